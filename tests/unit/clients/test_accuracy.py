import numpy as np
import pytest

from clients.cli.accuracy import RunningAte, path_error_m, true_scale
from clients.cli.tally import Tally
from mapcast_client.v1.ingest_pb2 import FrameResult, Pose
from slam.trajectory import Trajectory


def path(centres_m: np.ndarray) -> Trajectory:
    poses = np.tile(np.eye(4), (len(centres_m), 1, 1))
    poses[:, :3, 3] = centres_m
    return Trajectory(np.arange(len(centres_m), dtype=np.int64), poses)


def test_the_running_error_is_the_errors_of_the_frames_so_far() -> None:
    rng = np.random.default_rng(1)
    centres_m = rng.normal(size=(20, 3))
    truth = path(centres_m + rng.normal(scale=0.01, size=(20, 3)))
    tally = Tally()
    running = RunningAte(tally, truth)
    assert running.rmse_m() is None
    for index, (x, y, z) in enumerate(centres_m):
        pose = Pose(tx=x, ty=y, tz=z, qw=1)
        tally.add_result(FrameResult(capture_ns=index, world_from_camera=pose), now_s=0)
        tally.add_result(FrameResult(capture_ns=index), now_s=0)
        if index in (7, 19):
            expected = path_error_m(tally.live_trajectory(), truth)
            assert running.rmse_m() == pytest.approx(expected, rel=1e-6)


def test_a_monocular_path_is_scaled_to_fit() -> None:
    centres_m = np.random.default_rng(2).normal(size=(20, 3))
    truth, estimated = path(centres_m), path(4 * centres_m)
    assert path_error_m(estimated, truth) > 1
    assert path_error_m(estimated, truth, scaled=True) == pytest.approx(0, abs=1e-9)
    assert true_scale(estimated, truth) == pytest.approx(0.25)
    assert true_scale(estimated, None) is None
    assert true_scale(path(np.zeros((5, 3))), truth) is None
    tally = Tally()
    running = RunningAte(tally, truth, scaled=True)
    for index, (x, y, z) in enumerate(4 * centres_m):
        pose = Pose(tx=x, ty=y, tz=z, qw=1)
        tally.add_result(FrameResult(capture_ns=index, world_from_camera=pose), now_s=0)
    assert running.rmse_m() == pytest.approx(0, abs=1e-6)


def test_poses_of_an_epoch_that_is_over_do_not_count() -> None:
    centres_m = np.random.default_rng(3).normal(size=(20, 3))
    truth, tally = path(centres_m), Tally()
    running = RunningAte(tally, truth)
    for index, (x, y, z) in enumerate(centres_m):
        # The map found its scale half-way: its unit and its world are others from there on.
        pose, epoch = Pose(tx=x, ty=y, tz=z, qw=1), 8
        if index < 10:
            pose, epoch = Pose(tx=9 * z, ty=x, tz=-y, qw=1), 7
        result = FrameResult(capture_ns=index, world_from_camera=pose, epoch=epoch)
        tally.add_result(result, now_s=0)
        if index == 9:
            assert running.rmse_m() > 0.1
    dropped = FrameResult(capture_ns=20, status=FrameResult.STATUS_DROPPED, epoch=8)
    tally.add_result(dropped, now_s=0)
    assert tally.tracked == 20
    assert tally.live_trajectory().capture_ns.tolist() == list(range(10, 20))
    assert path_error_m(tally.live_trajectory(), truth) == pytest.approx(0, abs=1e-9)
    assert running.rmse_m() == pytest.approx(0, abs=1e-6)


def test_a_straight_path_has_an_error_too() -> None:
    along_m = np.linspace(0, 1, 30)[:, None] * (1.0, 0, 0)
    wiggle_m = 0.01 * np.tile([[0, 1.0, 0], [0, -1.0, 0]], (15, 1))
    assert path_error_m(path(along_m), path(along_m)) == pytest.approx(0, abs=1e-9)
    assert path_error_m(path(along_m), path(along_m + wiggle_m)) == pytest.approx(0.01, rel=0.05)


def test_a_path_at_other_times_than_the_truth_has_no_error() -> None:
    later = Trajectory(
        np.arange(5, dtype=np.int64) + 10**9, path(np.zeros((5, 3))).world_from_camera
    )
    assert path_error_m(later, path(np.zeros((5, 3)))) is None


def test_without_truth_or_path_there_is_no_error() -> None:
    assert path_error_m(path(np.eye(3)), None) is None
    assert path_error_m(path(np.eye(3)[:2]), path(np.eye(3))) is None
    assert RunningAte(Tally(), None).rmse_m() is None
