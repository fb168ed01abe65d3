"""A sender's path is bent by corrections, whichever of results and corrections it takes first."""

import numpy as np
import pytest

from mapcast_client import CorrectedPath
from mapcast_client.errors import InputError
from mapcast_client.v1.ingest_pb2 import (
    Corrections,
    FrameHang,
    FrameResult,
    KeyframePose,
    Pose,
)


def at(x_m: float) -> Pose:
    return Pose(tx=x_m, qw=1)


def result(capture_ns: int, x_m: float, keyframe_ns: int, from_keyframe_m: float) -> FrameResult:
    return FrameResult(
        capture_ns=capture_ns,
        epoch=5,
        world_from_camera=at(x_m),
        keyframe_ns=keyframe_ns,
        keyframe_from_camera=at(from_keyframe_m),
    )


def keyframe(capture_ns: int, x_m: float, scale: float = 1.0, epoch: int = 5) -> Corrections:
    pose = KeyframePose(capture_ns=capture_ns, world_from_keyframe=at(x_m), scale=scale)
    return Corrections(epoch=epoch, keyframes=[pose])


def x_of(path: CorrectedPath) -> dict[int, float]:
    return {capture_ns: float(pose[0, 3]) for capture_ns, pose in path.poses().items()}


def test_frames_move_with_their_keyframe_and_are_as_told_before() -> None:
    path = CorrectedPath()
    path.add(result(20, 1.5, 10, 0.5))
    path.add(result(10, 1.0, 10, 0.0))
    assert x_of(path) == {10: 1.0, 20: 1.5}
    path.correct(keyframe(10, 2.0))
    assert x_of(path) == {10: 2.0, 20: 2.5}
    path.correct(keyframe(10, 2.0, scale=3.0))
    assert x_of(path) == {10: 2.0, 20: 3.5}
    assert np.array_equal(path.world_from_camera(20)[:3, :3], np.eye(3))


def test_a_hang_that_was_corrected_before_the_result_is_taken_is_the_newer() -> None:
    path = CorrectedPath()
    path.correct(keyframe(10, 0.0))
    path.correct(keyframe(20, 7.0))
    hang = FrameHang(capture_ns=20, keyframe_ns=20, keyframe_from_camera=at(0))
    path.correct(Corrections(epoch=5, frames=[hang]))
    path.add(result(20, 1.5, 10, 0.5))
    assert x_of(path) == {20: 7.0}


def test_frames_without_a_pose_and_of_other_epochs_are_left_out() -> None:
    path = CorrectedPath()
    path.add(FrameResult(capture_ns=5, epoch=5))
    path.add(result(20, 1.5, 10, 0.5))
    assert len(path) == 1
    path.correct(keyframe(10, 2.0, epoch=4))
    assert x_of(path) == {20: 1.5}
    path.correct(keyframe(10, 2.0, epoch=6))
    assert (path.epoch, path.poses()) == (6, {})
    with pytest.raises(InputError, match="no frame of capture_ns 20"):
        path.world_from_camera(20)
