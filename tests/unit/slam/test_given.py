from dataclasses import replace

import numpy as np
import plane_scene
import pytest

from mapcast_client.errors import FrameError, StateError
from slam.geometry import rigid
from slam.given import GivenPoseTracker
from slam.pose_graph import PoseGraph
from slam.tracker import TrackingState


def test_the_path_is_the_one_that_was_given() -> None:
    tracker, graph = GivenPoseTracker(plane_scene.CALIBRATION), PoseGraph(np.eye(4))
    frames = [plane_scene.frame(index, 3 * index) for index in range(25)]
    for frame in frames:
        tracked = tracker.track(frame)
        assert tracked.state is TrackingState.TRACKING
        assert tracked.is_keyframe == (frame.capture_ns in tracked.keyframes)
        graph.add(frame.index, frame.capture_ns, tracked)
    assert len(tracked.keyframes) == 3
    given = [frame.world_from_camera for frame in frames]
    np.testing.assert_allclose(graph.trajectory().world_from_camera, given, atol=1e-12)


def test_another_one_goes_on_where_it_ended() -> None:
    first, second = (GivenPoseTracker(plane_scene.CALIBRATION) for _ in range(2))
    frames = [plane_scene.frame(index, 3 * index) for index in range(25)]
    tracked = [first.track(frame) for frame in frames]
    second.resume(tracked[16].keyframes, 17, frames[16].capture_ns)
    with pytest.raises(FrameError, match="time goes back"):
        second.track(frames[16])  # it is in the map
    again = [second.track(frame) for frame in frames[17:]]
    assert [one.is_keyframe for one in again] == [one.is_keyframe for one in tracked[17:]]
    assert again[-1].keyframes.keys() == tracked[-1].keyframes.keys()


@pytest.mark.parametrize(
    ("pose", "message"),
    [
        (None, "brings no world_from_camera"),
        (np.full((4, 4), np.nan), "NaN"),
        (rigid(np.eye(3) * 1.5, np.zeros(3)), "not a rigid transform"),
    ],
)
def test_a_frame_without_a_rigid_pose_is_refused(pose: np.ndarray | None, message: str) -> None:
    tracker = GivenPoseTracker(plane_scene.CALIBRATION)
    frame = plane_scene.frame(4, 0)
    with pytest.raises(FrameError, match=f"frame 4: .*{message}"):
        tracker.track(replace(frame, world_from_camera=pose))
    assert tracker.track(frame).is_keyframe


@pytest.mark.parametrize("far_m", [1.001e5, 1e15, 1e300])
def test_a_pose_out_of_any_range_leaves_no_trace(far_m: float) -> None:
    tracker, graph = GivenPoseTracker(plane_scene.CALIBRATION), PoseGraph(np.eye(4))
    frames = [plane_scene.frame(index, 3 * index) for index in range(12)]
    away = replace(frames[0], world_from_camera=rigid(np.eye(3), np.array([0.0, far_m, 0.0])))
    with pytest.raises(FrameError, match=r"frame 0: .* leads 1\S+ m .* at most 100000 m"):
        tracker.track(away)
    for frame in frames:
        tracked = tracker.track(frame)
        graph.add(frame.index, frame.capture_ns, tracked)
    assert list(tracked.keyframes) == [frames[0].capture_ns, frames[10].capture_ns]
    given = [frame.world_from_camera for frame in frames]
    np.testing.assert_array_equal(graph.trajectory().world_from_camera, given)


def test_a_nearly_rigid_pose_is_made_rigid() -> None:
    frame = plane_scene.frame(0, 0)
    stretched = rigid(np.eye(3) * 1.001, np.array([1.0, 2, 3]))
    tracker = GivenPoseTracker(plane_scene.CALIBRATION)
    pose = tracker.track(replace(frame, world_from_camera=stretched)).tracker_from_camera
    np.testing.assert_allclose(pose, rigid(np.eye(3), np.array([1.0, 2, 3])), atol=1e-12)


def test_a_closed_tracker_refuses_frames() -> None:
    tracker = GivenPoseTracker(plane_scene.CALIBRATION)
    tracker.close()
    with pytest.raises(StateError, match="closed"):
        tracker.track(plane_scene.frame(0, 0))
