import numpy as np
import pytest

from mapcast_client.errors import InputError
from slam.geometry import Mat4, rigid
from slam.pose_graph import UPRIGHT, PoseGraph
from slam.tracker import TrackedFrame, TrackingState


def at(x_m: float, y_m: float = 0.0) -> Mat4:
    return rigid(np.eye(3), np.array([x_m, y_m, 0.0]))


def turned(x_m: float) -> Mat4:
    """A quarter turn about z."""
    return rigid(np.array([[0.0, -1, 0], [1, 0, 0], [0, 0, 1]]), np.array([x_m, 0.0, 0.0]))


def tracked(pose: Mat4, keyframes: dict[int, Mat4]) -> TrackedFrame:
    return TrackedFrame(TrackingState.TRACKING, pose, keyframes=keyframes)


def positions(graph: PoseGraph) -> list[list[float]]:
    return graph.trajectory().world_from_camera[:, :3, 3].round(9).tolist()


def test_upright_turns_optical_axes_into_the_world_s() -> None:
    right, down, forward = np.eye(4)[:3]
    assert (UPRIGHT @ right).tolist() == [1, 0, 0, 0]
    assert (UPRIGHT @ down).tolist() == [0, 0, -1, 0]
    assert (UPRIGHT @ forward).tolist() == [0, 1, 0, 0]
    assert np.linalg.det(UPRIGHT) == pytest.approx(1)


def test_a_frame_s_world_pose_is_the_tracker_s_in_the_world() -> None:
    graph = PoseGraph(UPRIGHT)
    world_from_camera = graph.place(10, tracked(at(1, 2), {10: at(1, 2)}))
    graph.add(0, 10, tracked(at(1, 2), {10: at(1, 2)}))
    np.testing.assert_array_equal(world_from_camera, UPRIGHT @ at(1, 2))
    np.testing.assert_allclose(graph.world_from_camera(10), world_from_camera, atol=1e-12)


def test_frames_move_with_their_keyframe_and_only_with_it() -> None:
    graph = PoseGraph(np.eye(4))
    keyframes = {10: at(0), 30: at(2)}
    graph.add(0, 10, tracked(at(0), {10: at(0)}))
    graph.add(1, 20, tracked(at(1), {10: at(0)}))
    graph.add(2, 30, tracked(at(2), keyframes))
    graph.add(3, 40, tracked(at(3), keyframes))
    graph.update({10: at(0), 30: turned(5)})
    assert positions(graph) == [[0, 0, 0], [1, 0, 0], [5, 0, 0], [5, 1, 0]]
    np.testing.assert_allclose(graph.world_from_camera(40), turned(5) @ at(1), atol=1e-12)


def test_poses_are_replaced_never_composed() -> None:
    graph = PoseGraph(np.eye(4))
    graph.add(0, 10, tracked(at(0), {10: at(0)}))
    for _ in range(3):
        graph.update({10: at(1)})
    assert positions(graph) == [[1, 0, 0]]


def test_a_keyframe_that_turns_up_late_takes_over_its_frame_and_those_since() -> None:
    graph = PoseGraph(np.eye(4))
    for index in range(4):
        graph.add(index, 10 + 10 * index, tracked(at(index), {10: at(0)}))
    graph.update({10: at(0), 30: turned(7)})
    assert positions(graph) == [[0, 0, 0], [1, 0, 0], [7, 0, 0], [7, 1, 0]]
    graph.update({10: at(0), 20: at(5), 30: turned(7)})
    assert positions(graph) == [[0, 0, 0], [5, 0, 0], [7, 0, 0], [7, 1, 0]]


def test_keyframes_that_turn_up_together_share_the_frames() -> None:
    graph = PoseGraph(np.eye(4))
    for index, x_m in enumerate((0, 1, 2, 3)):
        graph.add(index, 10 * (index + 1), tracked(at(x_m), {10: at(0)}))
    graph.update({10: at(0), 20: at(5), 30: at(9)})
    assert positions(graph) == [[0, 0, 0], [5, 0, 0], [9, 0, 0], [10, 0, 0]]


def test_a_keyframe_of_no_frame_takes_nothing_over() -> None:
    graph = PoseGraph(np.eye(4))
    graph.add(0, 10, tracked(at(0), {10: at(0)}))
    graph.add(1, 30, tracked(at(1), {10: at(0)}))
    graph.update({10: at(0), 20: at(9), 40: at(9)})
    assert positions(graph) == [[0, 0, 0], [1, 0, 0]]


def test_a_keyframe_s_own_frame_is_where_the_keyframe_is() -> None:
    graph = PoseGraph(np.eye(4))
    world_from_camera = graph.place(10, tracked(at(1.01), {10: at(1)}))
    graph.add(0, 10, tracked(at(1.01), {10: at(1)}))
    np.testing.assert_array_equal(world_from_camera, at(1))


def test_frames_of_culled_keyframes_follow_the_one_before() -> None:
    graph = PoseGraph(np.eye(4))
    keyframes = {10: at(0), 20: at(1), 30: at(2)}
    for index, (capture_ns, pose) in enumerate([*keyframes.items(), (35, at(2, 1))]):
        graph.add(index, capture_ns, tracked(pose, keyframes))
    graph.update({10: at(0), 20: at(1)})
    graph.update({10: at(4)})
    assert positions(graph) == [[4, 0, 0], [5, 0, 0], [6, 0, 0], [6, 1, 0]]
    graph.update({10: turned(0)})
    assert positions(graph) == [[0, 0, 0], [0, 1, 0], [0, 2, 0], [-1, 2, 0]]


def test_a_poll_without_keyframes_changes_nothing() -> None:
    graph = PoseGraph(np.eye(4))
    graph.add(0, 10, tracked(at(3), {10: at(3)}))
    graph.update({})
    assert positions(graph) == [[3, 0, 0]]


def test_an_unknown_instant_is_an_error() -> None:
    graph = PoseGraph(np.eye(4))
    graph.add(0, 10, tracked(at(3), {10: at(3)}))
    for capture_ns in (9, 11):
        with pytest.raises(InputError, match=f"no frame of capture_ns {capture_ns}"):
            graph.world_from_camera(capture_ns)
