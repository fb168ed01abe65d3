import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from mapcast_client.errors import InputError
from replay.evaluate import (
    LiveAte,
    ate_rmse_m,
    relative_error,
    similarity_from_estimated,
    truth_from_estimated,
)
from replay.room.path import walk
from replay.similarity import scale_of
from slam.geometry import rigid
from slam.trajectory import Trajectory

TURNED = Rotation.from_euler("xyz", [20, -40, 100], degrees=True).as_matrix()
MOVED = rigid(TURNED, np.array([5, -3, 2.0]))


def trajectory(frames: int = 300) -> Trajectory:
    return Trajectory(np.arange(frames, dtype=np.int64) * 33_333_333, walk(frames, 30, 1))


def disturbed(truth: Trajectory, sigma_m: float, scale: float = 1.0) -> Trajectory:
    poses = MOVED @ truth.world_from_camera
    poses[:, :3, 3] *= scale
    poses[:, :3, 3] += np.random.default_rng(3).normal(0, sigma_m, (len(truth), 3))
    return Trajectory(truth.capture_ns, poses)


def test_alignment_takes_a_rigid_motion_out() -> None:
    truth = trajectory()
    assert ate_rmse_m(disturbed(truth, 0.0), truth) < 1e-9
    assert ate_rmse_m(disturbed(truth, 0.01), truth) == pytest.approx(0.01 * np.sqrt(3), rel=0.1)
    recovered = truth_from_estimated(disturbed(truth, 0.0), truth)
    np.testing.assert_allclose(recovered @ MOVED, np.eye(4), atol=1e-9)


def test_scale_is_an_error_unless_asked_for() -> None:
    truth = trajectory()
    estimated = disturbed(truth, 0.0, scale=2.0)
    assert ate_rmse_m(estimated, truth) > 0.1
    assert ate_rmse_m(estimated, truth, scaled=True) < 1e-9


def straight(offsets_m: np.ndarray) -> Trajectory:
    poses = np.tile(np.eye(4), (len(offsets_m), 1, 1))
    poses[:, :3, 3] = offsets_m
    return Trajectory(np.arange(len(poses), dtype=np.int64) * 33_333_333, poses)


def test_a_straight_path_has_an_error_though_its_rotation_is_open() -> None:
    along_m = np.linspace(0, 1, 30)[:, None] * (1.0, 0, 0)
    wiggle_m = 0.01 * np.tile([[0, 1.0, 0], [0, -1.0, 0]], (15, 1))
    turned = straight(along_m @ TURNED.T + 5)
    for scaled in (False, True):
        assert ate_rmse_m(turned, straight(along_m), scaled=scaled) == pytest.approx(0, abs=1e-7)
        wiggly = straight(along_m + wiggle_m)
        assert ate_rmse_m(turned, wiggly, scaled=scaled) == pytest.approx(0.01, rel=0.05)
    stretched = straight(2 * along_m)
    assert ate_rmse_m(stretched, straight(along_m)) == pytest.approx(along_m[:, 0].std())
    assert ate_rmse_m(stretched, straight(along_m), scaled=True) == pytest.approx(0, abs=1e-7)


def test_a_path_that_stands_still_has_an_error_but_no_scale() -> None:
    still, moved = straight(np.zeros((4, 3))), straight(np.eye(4)[:, :3])
    assert ate_rmse_m(still, still) == 0
    assert ate_rmse_m(still, moved) == pytest.approx(0.75)
    with pytest.raises(InputError, match="stands still"):
        ate_rmse_m(still, moved, scaled=True)


def test_a_few_steps_are_aligned_by_where_the_cameras_look() -> None:
    """Three centimetres of path, with a centimetre of noise, say little about the rotation."""
    whole = trajectory()
    truth = Trajectory(whole.capture_ns[:5], whole.world_from_camera[:5])
    recovered = truth_from_estimated(disturbed(truth, 0.01), truth) @ MOVED
    angle_rad = Rotation.from_matrix(recovered[:3, :3]).magnitude()
    assert angle_rad < np.radians(1)
    np.testing.assert_allclose(recovered[:3, 3], 0, atol=0.05)
    assert truth_from_estimated(straight(np.zeros((3, 3))), straight(np.ones((3, 3)))) == (
        pytest.approx(rigid(np.eye(3), np.ones(3)))
    )


def test_live_ate_agrees_with_evo() -> None:
    truth = trajectory()
    estimated = disturbed(truth, 0.02)
    live = LiveAte()
    for i, (a, b) in enumerate(
        zip(estimated.world_from_camera, truth.world_from_camera, strict=True)
    ):
        assert (live.rmse_m() is None) == (i < 3)
        live.add(a, b)
    assert len(live) == 300
    assert live.rmse_m() == pytest.approx(ate_rmse_m(estimated, truth), rel=1e-9)


def test_live_ate_scales_like_evo() -> None:
    truth = trajectory()
    estimated = disturbed(truth, 0.02, scale=3.0)
    live = LiveAte()
    for a, b in zip(estimated.world_from_camera, truth.world_from_camera, strict=True):
        live.add(a, b)
    scaled = ate_rmse_m(estimated, truth, scaled=True)
    assert live.rmse_m(scaled=True) == pytest.approx(scaled, rel=1e-9)
    assert live.rmse_m() == pytest.approx(ate_rmse_m(estimated, truth), rel=1e-9)


def test_live_ate_of_a_path_that_stands_still_has_no_scale() -> None:
    live = LiveAte()
    for _ in range(4):
        live.add(np.eye(4), MOVED)
    assert live.rmse_m() == pytest.approx(0, abs=1e-6)
    assert live.rmse_m(scaled=True) is None


def test_a_similarity_takes_scale_rotation_and_place_out() -> None:
    truth = trajectory()
    estimated = disturbed(truth, 0.0, scale=2.0)
    found = similarity_from_estimated(estimated, truth)
    assert scale_of(found) == pytest.approx(0.5)
    centres = estimated.world_from_camera[:, :3, 3] @ found[:3, :3].T + found[:3, 3]
    np.testing.assert_allclose(centres, truth.world_from_camera[:, :3, 3], atol=1e-9)
    with pytest.raises(InputError, match="no scale"):
        similarity_from_estimated(straight(np.zeros((4, 3))), truth)


def test_poses_belong_together_by_their_instants() -> None:
    truth = trajectory()
    some = slice(50, 250, 2)
    estimated = disturbed(truth, 0.0)
    part = Trajectory(estimated.capture_ns[some] + 400_000, estimated.world_from_camera[some])
    assert ate_rmse_m(part, truth) < 1e-9
    other_clock = Trajectory(part.capture_ns + 10**12, part.world_from_camera)
    with pytest.raises(InputError, match="0 of 100 estimated and 300 true poses"):
        ate_rmse_m(other_clock, truth)


def test_relative_error_measures_drift() -> None:
    truth = trajectory()
    drifting = truth.world_from_camera.copy()
    drifting[:, 0, 3] += 0.001 * np.arange(len(truth))
    error = relative_error(Trajectory(truth.capture_ns, drifting), truth, delta_frames=30)
    assert error.translation_rmse_m == pytest.approx(0.03, rel=1e-6)
    assert error.rotation_rmse_deg < 1e-5
    with pytest.raises(InputError, match="delta_frames is 300, must be 1 to 299"):
        relative_error(truth, truth, delta_frames=300)


def test_evo_leaves_no_trace(tmp_path: Path) -> None:
    script = """
import numpy as np
from replay.evaluate import ate_rmse_m
from replay.room.path import walk
from slam.trajectory import Trajectory
t = Trajectory(np.arange(90, dtype=np.int64), walk(90, 30, 0))
t = Trajectory(t.capture_ns * 33_333_333, t.world_from_camera)
assert ate_rmse_m(t, t) < 1e-9
"""
    home = tmp_path / "home"
    home.mkdir()
    done = subprocess.run(
        [sys.executable, "-c", script],
        env={**os.environ, "HOME": str(home)},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert not list(home.iterdir())
