"""What a graph tells others, and the path that never jumps."""

import numpy as np
from graph_walk import circles, constraint, drifted, keyframes, moved, solved, tracked

from slam.geometry import Mat4, inverse
from slam.pose_graph import PoseGraph

TRUTH = circles(101, 100)
DRIFTED = drifted(TRUTH, moved(0.002, yaw_rad=0.0006))


def at(x_m: float) -> Mat4:
    return moved(x_m)


def graph_of_frames(poses: list[Mat4], keyframe_every: int = 10) -> PoseGraph:
    graph = PoseGraph(np.eye(4))
    polled: dict[int, Mat4] = {}
    for index, pose in enumerate(poses):
        if index % keyframe_every == 0:
            polled = {**polled, index: pose}
        graph.add(index, index, tracked(pose, polled))
    return graph


def test_new_keyframes_are_told_once() -> None:
    graph = graph_of_frames([at(0.1 * step) for step in range(25)])
    changes = graph.changes(0)
    assert sorted(changes.keyframes) == [0, 10, 20]
    np.testing.assert_array_equal(changes.keyframes[10].world_from_keyframe, at(1.0))
    again = graph.changes(changes.revision)
    assert not again.keyframes
    assert not again.frames


def test_moves_too_small_to_matter_add_up_and_are_told_at_the_end() -> None:
    graph = graph_of_frames([at(0.1 * step) for step in range(11)])
    told = graph.changes(0)
    graph.update({0: at(0), 10: at(1.0006)})
    told = graph.changes(told.revision)
    assert not told.keyframes
    graph.update({0: at(0), 10: at(1.0012)})
    told = graph.changes(told.revision)
    assert list(told.keyframes) == [10]
    graph.update({0: at(0), 10: at(1.0013)})
    told = graph.changes(told.revision)
    assert not told.keyframes
    exact = graph.changes(told.revision, exact=True)
    assert list(exact.keyframes) == [10]
    np.testing.assert_array_equal(exact.keyframes[10].world_from_keyframe, at(1.0013))
    assert not graph.changes(exact.revision, exact=True).keyframes


def test_two_who_ask_at_their_own_pace_know_the_same_in_the_end() -> None:
    graph = graph_of_frames([at(0.1 * step) for step in range(21)])
    known: list[dict[int, float]] = [{}, {}]
    revisions = [0, 0]
    rng = np.random.default_rng(3)
    for step in range(40):
        graph.update({0: at(0), 10: at(1 + 0.0007 * rng.normal()), 20: at(2 + 0.01 * step)})
        for who in range(2):
            if rng.random() < 0.4 or step == 39:
                changes = graph.changes(revisions[who], exact=step == 39)
                revisions[who] = changes.revision
                for keyframe_ns, keyframe in changes.keyframes.items():
                    known[who][keyframe_ns] = float(keyframe.world_from_keyframe[0, 3])
    now = {ns: float(pose.world_from_keyframe[0, 3]) for ns, pose in graph.keyframes().items()}
    assert known == [now, now]


def test_culled_keyframes_are_told_when_what_they_hang_on_moves() -> None:
    graph = graph_of_frames([at(0.1 * step) for step in range(21)])
    graph.update({0: at(0), 20: at(2)})
    told = graph.changes(0)
    graph.update({0: at(0.5), 20: at(2)})
    changes = graph.changes(told.revision)
    assert sorted(changes.keyframes) == [0, 10]
    np.testing.assert_allclose(changes.keyframes[10].world_from_keyframe, at(1.5), atol=1e-12)


def test_frames_that_hang_on_another_keyframe_are_told() -> None:
    graph = graph_of_frames([at(0.1 * step) for step in range(5)])
    told = graph.changes(0)
    graph.update({0: at(0), 3: at(0.3)})
    changes = graph.changes(told.revision)
    assert sorted(changes.frames) == [3, 4]
    assert {hang.keyframe_ns for hang in changes.frames.values()} == {3}
    np.testing.assert_allclose(changes.frames[4].keyframe_from_camera, at(0.1), atol=1e-12)


def test_many_frames_are_placed_as_one_by_one() -> None:
    graph = graph_of_frames(DRIFTED)
    graph.constrain([constraint(TRUTH, 0, 100)])
    solved(graph)
    instants = np.array([3, 50, 99])
    poses, scales = graph.world_from_cameras(instants)
    for instant, pose in zip(instants.tolist(), poses, strict=True):
        np.testing.assert_array_equal(pose, graph.world_from_camera(instant))
        hang = graph.hang_of(instant)
        keyframe = graph.keyframes()[hang.keyframe_ns].world_from_keyframe
        np.testing.assert_allclose(keyframe @ hang.keyframe_from_camera, pose, atol=1e-12)
    assert scales.tolist() == [1, 1, 1]
    np.testing.assert_array_equal(graph.trajectory().world_from_camera[instants], poses)


def test_the_continuous_path_begins_in_the_world_and_follows_the_tracker() -> None:
    graph = PoseGraph(moved(5.0, yaw_rad=1.0))
    polled = {0: TRUTH[0]}
    for index, pose in enumerate(TRUTH[:30]):
        graph.add(index, index, tracked(pose, polled))
        np.testing.assert_allclose(
            graph.odom_from_camera, graph.world_from_camera(index), atol=1e-9
        )


def test_a_correction_does_not_make_the_continuous_path_jump() -> None:
    graph = graph_of_frames(DRIFTED[:96])
    before, world_before = graph.odom_from_camera, graph.world_from_camera(95)
    polled = keyframes(DRIFTED[:96])
    graph.update(polled)
    graph.constrain([constraint(TRUTH, first, 95 - first) for first in range(5)])
    solved(graph)
    assert np.linalg.norm((graph.world_from_camera(95) - world_before)[:3, 3]) > 0.1
    graph.add(96, 96, tracked(DRIFTED[96], polled))
    motion = inverse(DRIFTED[95]) @ DRIFTED[96]
    np.testing.assert_allclose(inverse(before) @ graph.odom_from_camera, motion, atol=1e-6)


def test_a_frame_that_is_found_elsewhere_does_not_make_it_jump() -> None:
    graph = graph_of_frames(DRIFTED[:50])
    before = graph.odom_from_camera
    polled = keyframes(DRIFTED[:50:10])
    found = DRIFTED[50] @ moved(0.3)
    graph.add(50, 50, tracked(DRIFTED[50], {0: DRIFTED[0]} | polled), found)
    np.testing.assert_allclose(graph.world_from_camera(50), found, atol=1e-9)
    motion = inverse(DRIFTED[49]) @ DRIFTED[50]
    np.testing.assert_allclose(inverse(before) @ graph.odom_from_camera, motion, atol=0.01)
