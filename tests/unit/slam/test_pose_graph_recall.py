import numpy as np

from slam.geometry import Mat4, rigid
from slam.pose_graph import UPRIGHT, PoseGraph
from slam.pose_graph_changes import KeyframePose
from slam.tracker import TrackedFrame, TrackingState


def at(x_m: float, y_m: float = 0.0) -> Mat4:
    return rigid(np.eye(3), np.array([x_m, y_m, 0.0]))


def tracked(pose: Mat4, keyframes: dict[int, Mat4]) -> TrackedFrame:
    return TrackedFrame(TrackingState.TRACKING, pose, keyframes=keyframes)


def test_keyframes_are_where_another_process_had_them_last() -> None:
    graph = PoseGraph(UPRIGHT)
    graph.add(0, 10, tracked(at(0), {10: at(0)}))
    graph.add(1, 20, tracked(at(1), {10: at(0), 20: at(1)}))
    graph.add(2, 30, tracked(at(2), {10: at(0), 20: at(1)}))
    revision = graph.revision

    again = PoseGraph.from_state(graph.state())  # as of a checkpoint; then a loop was closed
    moved = UPRIGHT @ at(5, 1)
    again.recall({20: KeyframePose(moved), 99: KeyframePose(at(7))})
    assert again.revision > revision
    assert list(again.keyframes()) == [10, 20]
    np.testing.assert_allclose(again.world_from_camera(30), moved @ at(1), atol=1e-12)
    np.testing.assert_allclose(again.world_from_camera(10), UPRIGHT, atol=1e-12)

    again.begin_segment(np.eye(4))  # a new tracker, in world coordinates
    again.add(3, 40, tracked(at(6), {40: at(6)}))
    np.testing.assert_allclose(again.world_from_camera(40), at(6), atol=1e-12)
    np.testing.assert_allclose(again.world_from_camera(30), moved @ at(1), atol=1e-12)


def test_a_frame_of_the_past_hangs_where_it_hung() -> None:
    graph = PoseGraph(np.eye(4))
    keyframes = {10: at(0), 30: at(2)}
    graph.update(keyframes)
    graph.add(0, 10, tracked(at(0), keyframes), at(0), 10)
    graph.add(1, 40, tracked(at(3), keyframes), at(3), 10)  # not on the latest one
    graph.recall({10: KeyframePose(at(1))})
    np.testing.assert_allclose(graph.world_from_camera(40), at(4), atol=1e-12)
