"""A tracker that drifts by the amount it says, and a walk that sees its start again."""

from collections.abc import Iterator

import numpy as np
import pytest

from mapcast_client.errors import InputError
from mapcast_client.v1 import ingest_pb2
from replay.drift import DriftingTracker
from replay.laps import SecondLap
from replay.room.path import walk
from replay.sequence import RGBD, frame_range
from slam.camera import Calibration, Camera
from slam.frame import Frame
from slam.given import GivenPoseTracker
from slam.trajectory import Trajectory

CAMERA = Camera(8, 6, 8.0, 8.0, 3.5, 2.5)
FRAMES = 300
PATH = walk(FRAMES, 30.0, 0)


def track(tracker: DriftingTracker, count: int = FRAMES) -> np.ndarray:
    """The poses of the path's frames as the tracker says them."""
    poses = []
    for index in range(count):
        color, depth = np.zeros((6, 8, 3), np.uint8), np.ones((6, 8), np.uint16)
        frame = Frame(index, 10 * index, color, depth, world_from_camera=PATH[index])
        tracked = tracker.track(frame)
        assert tracked.tracker_from_camera is not None
        poses.append(tracked.tracker_from_camera)
        if tracked.is_keyframe:
            np.testing.assert_array_equal(tracked.keyframes[10 * index], poses[-1])
    return np.array(poses)


def drifting(closes_at: int | None, share: float = 0.01, seed: int = 0) -> DriftingTracker:
    """Over given poses."""
    tracker = GivenPoseTracker(Calibration(CAMERA))
    return DriftingTracker(tracker, None if closes_at is None else 10 * closes_at, share, seed)


@pytest.mark.parametrize("share", [0.01, 0.03])
def test_the_error_grows_to_about_its_share_of_the_way(share: float) -> None:
    length_m = np.linalg.norm(np.diff(PATH[:, :3, 3], axis=0), axis=1).sum()
    errors = [
        np.linalg.norm(track(drifting(None, share, seed))[:, :3, 3] - PATH[:, :3, 3], axis=1)
        for seed in range(4)
    ]
    ends = np.array(errors)[:, -1] / (share * length_m)
    assert 0.7 < np.median(ends) < 1.4
    assert (np.array(errors)[:, 30] < 0.3 * np.array(errors)[:, -1]).all()


def test_the_same_seed_drifts_alike_and_another_does_not() -> None:
    np.testing.assert_array_equal(track(drifting(None), 50), track(drifting(None), 50))
    assert not np.array_equal(track(drifting(None), 50), track(drifting(None, seed=1), 50))


def test_closing_the_loop_puts_all_keyframes_right() -> None:
    tracker = drifting(closes_at=200)
    poses = track(tracker, 201)
    assert np.linalg.norm(poses[199, :3, 3] - PATH[199, :3, 3]) > 0.01
    np.testing.assert_allclose(poses[200], PATH[200], atol=1e-12)
    frame = Frame(201, 2010, np.zeros((6, 8, 3), np.uint8), None, world_from_camera=PATH[201])
    for instant, tracker_from_keyframe in tracker.track(frame).keyframes.items():
        np.testing.assert_allclose(tracker_from_keyframe, PATH[instant // 10], atol=1e-12)


class Lap:
    """Three frames at 30 Hz. Implements `RgbdSequence`."""

    name, sensor, frame_rate_hz, calibration = "lap", RGBD, 30.0, Calibration(CAMERA)

    def __init__(self, ground_truth: Trajectory | None) -> None:
        self.ground_truth = ground_truth

    def __len__(self) -> int:
        return 3

    def frames(self, limit: int | None = None, start: int = 0) -> Iterator[ingest_pb2.Frame]:
        """Each with its number in its picture."""
        for index in frame_range(3, limit, start):
            color = ingest_pb2.Image(data=bytes([index]))
            yield ingest_pb2.Frame(index=index, capture_ns=1000 * index, color=color)


def test_a_second_lap_sees_the_first_frames_again() -> None:
    further = SecondLap(Lap(Trajectory(np.arange(3), PATH[:3])), 5)
    assert len(further) == 8
    frames = list(further.frames())
    assert [frame.index for frame in frames] == list(range(8))
    assert [frame.color.data[0] for frame in frames] == [0, 1, 2, 0, 1, 2, 0, 1]
    instants = [round(index * 1e9 / 30) for index in range(8)]
    assert [frame.capture_ns for frame in frames] == instants
    path = further.ground_truth
    assert path.capture_ns.tolist() == instants
    np.testing.assert_array_equal(path.world_from_camera, PATH[[0, 1, 2, 0, 1, 2, 0, 1]])
    assert [frame.index for frame in further.frames(3, start=4)] == [4, 5, 6]


def test_a_walk_of_unknown_path_is_no_lap() -> None:
    with pytest.raises(InputError, match="no ground truth"):
        SecondLap(Lap(None), 1)
