"""Graphs that outlive their tracker: on disk, and with another one after it."""

import numpy as np
import pytest
from graph_walk import circles, constraint, drifted, keyframes, moved, off_m, solved, tracked

from mapcast_client.errors import InputError
from slam.geometry import Mat4, inverse
from slam.pose_graph import PoseGraph

TRUTH = circles(101, 100)
DRIFTED = drifted(TRUTH, moved(0.002, yaw_rad=0.0006))
LOOPS = [constraint(TRUTH, first, 100 - first) for first in range(6)]


def walked() -> PoseGraph:
    graph = PoseGraph(np.eye(4))
    for index, pose in enumerate(DRIFTED):
        polled = keyframes(DRIFTED[: index + 1])
        graph.add(2 * index, 2 * index, tracked(pose, {2 * ns: at for ns, at in polled.items()}))
    return graph


def poses_of(graph: PoseGraph) -> dict[int, list[list[float]]]:
    return {ns: pose.world_from_keyframe.tolist() for ns, pose in graph.keyframes().items()}


def corrected() -> PoseGraph:
    graph = PoseGraph(np.eye(4))
    for index, pose in enumerate(DRIFTED):
        graph.add(index, index, tracked(pose, keyframes(DRIFTED[: index + 1])))
    graph.update({ns: pose for ns, pose in keyframes(DRIFTED).items() if ns not in (33, 34, 70)})
    graph.constrain(LOOPS)
    return solved(graph)


def test_a_graph_comes_back_from_its_arrays_to_the_bit() -> None:
    graph = corrected()
    state = graph.state()
    assert all(isinstance(array, np.ndarray) and array.dtype != object for array in state.values())
    back = PoseGraph.from_state(state)
    assert poses_of(back) == poses_of(graph)
    assert back.revision == graph.revision
    np.testing.assert_array_equal(
        back.trajectory().world_from_camera, graph.trajectory().world_from_camera
    )
    np.testing.assert_array_equal(back.odom_from_camera, graph.odom_from_camera)
    assert sorted(back.changes(0).keyframes) == sorted(graph.changes(0).keyframes)
    for name, array in back.state().items():
        np.testing.assert_array_equal(array, graph.state()[name])


def test_an_empty_graph_comes_back() -> None:
    back = PoseGraph.from_state(PoseGraph(moved(1.0)).state())
    assert not back.keyframes()
    back.begin_segment(moved(2.0))
    back.add(0, 5, tracked(moved(0.5), {5: moved(0.5)}))
    np.testing.assert_array_equal(back.world_from_camera(5), moved(2.5))


def test_what_was_solved_stays_when_a_graph_that_came_back_is_solved_again() -> None:
    graph = corrected()
    back = PoseGraph.from_state(graph.state())
    back.settle()
    for keyframe_ns, keyframe in back.keyframes().items():
        before = graph.keyframes()[keyframe_ns].world_from_keyframe
        np.testing.assert_allclose(keyframe.world_from_keyframe, before, atol=0.002)


@pytest.mark.parametrize("name", ["keyframes.parent", "frames.keyframe", "graph.loops"])
def test_a_state_that_lacks_something_or_has_it_otherwise_is_refused(name: str) -> None:
    state = corrected().state()
    lacking = {key: array for key, array in state.items() if key != name}
    with pytest.raises(InputError, match=name.partition(".")[2]):
        PoseGraph.from_state(lacking)
    with pytest.raises(InputError, match=name.partition(".")[2]):
        PoseGraph.from_state({**state, name: state[name].astype(np.float32)})


def onward(count: int, start: Mat4) -> dict[int, Mat4]:
    """Keyframes of another tracker, whose coordinates begin at its first camera."""
    walk = circles(count, 50)
    return {1000 + 10 * step: start @ pose for step, pose in enumerate(walk)}


def test_another_tracker_goes_on_where_it_is_said_to_lie() -> None:
    graph = walked()
    before = poses_of(graph)
    graph.begin_segment(moved(7.0))
    polled = onward(5, np.eye(4))
    graph.add(300, 1000, tracked(polled[1000], polled))
    np.testing.assert_allclose(graph.world_from_camera(1000), moved(7.0), atol=1e-12)
    graph.add(301, 1045, tracked(polled[1040] @ moved(0.1), polled))
    np.testing.assert_allclose(
        graph.world_from_camera(1045), moved(7.0) @ polled[1040] @ moved(0.1), atol=1e-12
    )
    assert before.items() <= poses_of(graph).items()
    graph.update({1000: moved(0.5), **{ns: polled[ns] for ns in list(polled)[1:]}})
    assert poses_of(graph)[1000] == moved(7.5).tolist()
    assert before.items() <= poses_of(graph).items()


def test_frames_before_its_first_keyframe_lie_there_too() -> None:
    graph = walked()
    graph.begin_segment(moved(7.0))
    known = {190: moved(9.0), 200: moved(9.0)}
    graph.add(300, 999, tracked(moved(0.25), known))
    np.testing.assert_allclose(graph.world_from_camera(999), moved(7.25), atol=1e-12)
    np.testing.assert_array_equal(graph.keyframes()[200].world_from_keyframe, DRIFTED[100])


def test_a_constraint_between_two_trackers_moves_the_later_one() -> None:
    graph = corrected()
    truth_from_other = TRUTH[100]
    graph.begin_segment(truth_from_other @ moved(0.1, 0.05))
    polled = onward(12, np.eye(4))
    graph.add(300, 1000, tracked(polled[1000], polled))
    before = graph.keyframes()
    truth = {ns: truth_from_other @ pose for ns, pose in polled.items()}
    graph.constrain(
        [constraint({0: TRUTH[0], **truth}, 0, later) for later in (1000, 1030, 1060, 1110)]
    )
    solved(graph)
    after = graph.keyframes()
    for keyframe_ns, pose in truth.items():
        np.testing.assert_allclose(after[keyframe_ns].world_from_keyframe, pose, atol=0.015)
    for keyframe_ns in range(0, 100, 10):
        np.testing.assert_allclose(
            after[keyframe_ns].world_from_keyframe,
            before[keyframe_ns].world_from_keyframe,
            atol=0.02,
        )


def test_the_continuous_path_goes_on_from_one_tracker_to_the_next() -> None:
    graph = walked()
    before, last = graph.odom_from_camera, graph.world_from_camera(200)
    graph.begin_segment(moved(7.0))
    polled = onward(3, np.eye(4))
    graph.add(300, 1000, tracked(polled[1000], polled))
    motion = inverse(last) @ graph.world_from_camera(1000)
    np.testing.assert_allclose(inverse(before) @ graph.odom_from_camera, motion, atol=1e-9)


def test_scaling_the_world_scales_constraints_too() -> None:
    graph = corrected()
    poses = poses_of(graph)
    graph.rescale(2.0)
    for keyframe_ns, pose in poses_of(graph).items():
        np.testing.assert_allclose(
            np.array(pose)[:3, 3], 2 * np.array(poses[keyframe_ns])[:3, 3], atol=1e-9
        )
    graph.settle()
    gap = inverse(graph.keyframes()[0].world_from_keyframe) @ (
        graph.keyframes()[100].world_from_keyframe
    )
    assert np.linalg.norm(gap[:3, 3]) < 0.02
    assert off_m(graph, TRUTH) > 1
