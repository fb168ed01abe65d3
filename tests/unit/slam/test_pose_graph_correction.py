"""Constraints of others: the poses that they lead to, and when."""

from dataclasses import replace

import graph_walk
import numpy as np
import pytest
from graph_walk import circles, constraint, drifted, keyframes, moved, off_m, solved, tracked

from slam.constraint import Constraint
from slam.geometry import Mat4, inverse
from slam.pose_graph import UPRIGHT, PoseGraph

TRUTH = circles(101, 100)
DRIFTED = drifted(TRUTH, moved(0.002, yaw_rad=0.0006))
LOOPS = [constraint(TRUTH, first, 100 - first) for first in range(6)]


def walked(poses: list[Mat4], world_from_tracker: Mat4 | None = None) -> PoseGraph:
    """A graph whose tracker says that its keyframes are at `poses`."""
    graph = PoseGraph(np.eye(4) if world_from_tracker is None else world_from_tracker)
    graph.update(keyframes(poses))
    return graph


def test_without_constraints_keyframes_are_where_the_tracker_says_to_the_bit() -> None:
    graph = walked(DRIFTED, UPRIGHT)
    graph.advance()
    graph.settle()
    for keyframe_ns, keyframe in graph.keyframes().items():
        np.testing.assert_array_equal(keyframe.world_from_keyframe, UPRIGHT @ DRIFTED[keyframe_ns])
        assert keyframe.scale == 1


def test_constraints_that_agree_with_the_tracker_move_nothing() -> None:
    graph = walked(DRIFTED)
    before = graph.keyframes()
    graph.constrain([constraint(DRIFTED, first, first + 30) for first in range(0, 70, 7)])
    assert not graph.advance()
    assert not graph.settle()
    for keyframe_ns, keyframe in graph.keyframes().items():
        np.testing.assert_array_equal(
            keyframe.world_from_keyframe, before[keyframe_ns].world_from_keyframe
        )


def test_constraints_of_the_truth_lead_to_it() -> None:
    graph = walked(DRIFTED)
    drift_m = off_m(graph, TRUTH)
    revision = graph.revision
    graph.constrain([constraint(TRUTH, first, first + 10) for first in range(0, 91, 2)])
    solved(graph)
    assert drift_m > 0.1
    assert off_m(graph, TRUTH) < 0.1 * drift_m
    assert graph.revision > revision


def test_a_single_loop_bends_the_whole_walk_evenly() -> None:
    graph = walked(DRIFTED)
    graph.constrain([constraint(TRUTH, 0, 100)])
    solved(graph)
    poses = graph.keyframes()
    np.testing.assert_allclose(poses[100].world_from_keyframe, TRUTH[100], atol=0.01)
    for step in range(100):
        before, after = poses[step].world_from_keyframe, poses[step + 1].world_from_keyframe
        relative_before = inverse(DRIFTED[step]) @ DRIFTED[step + 1]
        np.testing.assert_allclose(inverse(before) @ after, relative_before, atol=0.01)


@pytest.mark.parametrize("is_tracker_first", [False, True])
def test_a_loop_closed_by_the_tracker_and_another_is_corrected_once(is_tracker_first: bool) -> None:
    """At no moment in between is anything farther off than it was, or the ends torn apart again."""
    graph = walked(DRIFTED)
    worst_m, gaps_m = off_m(graph, TRUTH), []
    steps = [lambda: graph.constrain(LOOPS), lambda: graph.update(keyframes(TRUTH))]
    for step in reversed(steps) if is_tracker_first else steps:
        step()
        while True:
            assert off_m(graph, TRUTH) < worst_m + 0.005
            ends = graph.keyframes()
            gap = inverse(ends[0].world_from_keyframe) @ ends[100].world_from_keyframe
            gaps_m.append(float(np.linalg.norm(gap[:3, 3])))
            if graph.is_settled:
                break
            graph.advance()
        worst_m = off_m(graph, TRUTH)
    assert off_m(graph, TRUTH) < 0.002
    closed = gaps_m.index(next(gap_m for gap_m in gaps_m if gap_m < 0.01))
    assert all(gap_m < 0.01 for gap_m in gaps_m[closed:])


def test_a_loop_that_the_tracker_closes_holds_against_alignments_that_drifted_along() -> None:
    graph = walked(DRIFTED)
    graph.constrain([constraint(DRIFTED, first, first + 1, "alignment") for first in range(100)])
    gap_m = np.linalg.norm((inverse(DRIFTED[0]) @ DRIFTED[100])[:3, 3])
    graph.update(keyframes(TRUTH))
    solved(graph)
    poses = graph.keyframes()
    gap = inverse(poses[0].world_from_keyframe) @ poses[100].world_from_keyframe
    assert np.linalg.norm(gap[:3, 3]) < 0.1 * gap_m


def test_keyframes_stay_where_they_were_found_while_the_tracker_puts_a_loop_right() -> None:
    graph = walked(TRUTH)
    alignments = [constraint(TRUTH, first, first + 1, "alignment") for first in range(100)]
    graph.constrain(replace(each, sigma_m=0.001, sigma_rad=0.0007) for each in alignments)
    solved(graph)
    half_corrected = [*TRUTH[:-5], *(moved(0.04) @ pose for pose in TRUTH[-5:])]
    graph.update(keyframes(half_corrected))
    solved(graph)
    assert off_m(graph, TRUTH) < 0.005


def test_the_newest_keyframes_follow_the_corrected_ones() -> None:
    graph = walked(DRIFTED[:100])
    graph.constrain([constraint(TRUTH, first, 99 - first) for first in range(6)])
    solved(graph)
    corrected = graph.keyframes()[99].world_from_keyframe
    polled = keyframes(DRIFTED)
    world_from_camera = graph.place(105, tracked(DRIFTED[100] @ moved(0.1), polled))
    follows = corrected @ inverse(DRIFTED[99]) @ DRIFTED[100] @ moved(0.1)
    np.testing.assert_allclose(world_from_camera, follows, atol=1e-3)


def test_what_is_wrong_altogether_is_left_out() -> None:
    graph = walked(DRIFTED)
    wrong = [
        constraint(TRUTH, 20, 70, error=moved(2.0)),
        constraint(TRUTH, 5, 50, error=moved(0, 1)),
    ]
    graph.constrain([*LOOPS, *wrong])
    solved(graph)
    assert sorted(graph.rejected) == [("refinement", 5, 50), ("refinement", 20, 70)]
    with_wrong = graph.keyframes()
    graph = walked(DRIFTED)
    graph.constrain(LOOPS)
    solved(graph)
    for keyframe_ns, keyframe in graph.keyframes().items():
        np.testing.assert_allclose(
            with_wrong[keyframe_ns].world_from_keyframe, keyframe.world_from_keyframe, atol=0.003
        )


def test_a_later_constraint_of_the_same_pair_and_source_replaces_the_earlier() -> None:
    graph = walked(DRIFTED)
    graph.constrain([constraint(TRUTH, 0, 100, error=moved(0.05))])
    solved(graph)
    graph.constrain([constraint(TRUTH, 0, 100)])
    solved(graph)
    end = graph.keyframes()[100].world_from_keyframe
    np.testing.assert_allclose(end, TRUTH[100], atol=0.01)


def test_constraints_of_culled_keyframes_stay() -> None:
    graph = walked(DRIFTED)
    graph.constrain(LOOPS)
    solved(graph)
    before = graph.keyframes()
    polled = keyframes(DRIFTED)
    for culled_ns in (1, 3, 97, 98, 100):
        del polled[culled_ns]
        graph.update(dict(polled))
    graph.settle()
    for keyframe_ns, keyframe in graph.keyframes().items():
        np.testing.assert_allclose(
            keyframe.world_from_keyframe, before[keyframe_ns].world_from_keyframe, atol=0.02
        )
    gap = inverse(graph.keyframes()[0].world_from_keyframe) @ (
        graph.keyframes()[100].world_from_keyframe
    )
    assert np.linalg.norm(gap[:3, 3]) < 0.01


def test_constraints_of_keyframes_that_are_not_known_are_left_out() -> None:
    graph = walked(DRIFTED[:50])
    graph.constrain([constraint(TRUTH, 0, 80)])
    assert graph.is_settled
    np.testing.assert_array_equal(graph.keyframes()[49].world_from_keyframe, DRIFTED[49])


def test_many_nodes_are_solved_in_small_steps_and_told_at_the_end() -> None:
    truth = circles(801, 200)
    graph = walked(drifted(truth, moved(0.0005, yaw_rad=0.0001)))
    graph.constrain([constraint(truth, first, first + 200) for first in range(0, 601, 10)])
    advances = 0
    while not graph.is_settled:
        revision, before = graph.revision, graph.keyframes()[800].world_from_keyframe
        has_moved = graph.advance()
        after = graph.keyframes()[800].world_from_keyframe
        assert has_moved == (graph.revision > revision)
        assert has_moved or np.array_equal(before, after)
        advances += 1
    assert advances > 1


def test_each_keyframe_of_a_monocular_map_has_a_scale() -> None:
    """The tracker's unit shrinks along the way: it comes back too early, and 20 % too small."""
    unit = np.exp(np.linspace(0, np.log(0.8), 101))
    poses = TRUTH[:1]
    for step in range(100):
        relative = inverse(TRUTH[step]) @ TRUTH[step + 1]
        relative[:3, 3] *= unit[step]
        poses = [*poses, poses[-1] @ relative]
    graph = PoseGraph(np.eye(4), scale_drifts=True)
    graph.update(keyframes(poses))
    loops = [
        Constraint(
            "refinement", 0, last, inverse(TRUTH[0]) @ TRUTH[last], 0.003, 0.002, scale, 0.005
        )
        for last, scale in ((98, 1 / unit[98]), (99, 1 / unit[99]), (100, 1 / unit[100]))
    ]
    before_m = off_m(graph, TRUTH)
    graph.constrain(loops)
    solved(graph)
    assert off_m(graph, TRUTH) < 0.15 * before_m
    scales = [keyframe.scale for keyframe in graph.keyframes().values()]
    np.testing.assert_allclose(scales, 1 / unit, rtol=0.05)
    graph.add(0, 101, tracked(poses[100] @ moved(0.08), keyframes(poses)))
    seen_m = np.linalg.norm(
        graph.world_from_camera(101)[:3, 3] - graph.keyframes()[100].world_from_keyframe[:3, 3]
    )
    assert seen_m == pytest.approx(0.08 * graph.scale_of(101))
    assert graph.scale_of(101) == pytest.approx(1 / 0.8, rel=0.03)


def test_a_frame_found_on_a_surface_hangs_on_it() -> None:
    """Its own keyframe will move because of what was found: it must not move it once more."""
    graph = walked(DRIFTED)
    found = DRIFTED[100] @ moved(0.03)
    graph.add(0, 100, tracked(DRIFTED[100], keyframes(DRIFTED)), found, found_on_ns=90)
    shift = constraint([*DRIFTED[:100], found], 90, 100, "alignment")
    graph.constrain([shift])
    solved(graph)
    assert np.linalg.norm((graph.keyframes()[100].world_from_keyframe - DRIFTED[100])[:3, 3]) > 0.02
    np.testing.assert_allclose(graph.world_from_camera(100), found, atol=0.005)


def test_a_found_frame_needs_no_tracker() -> None:
    graph = walked(DRIFTED)
    lost = graph_walk.TrackedFrame(graph_walk.TrackingState.LOST)
    graph.add(0, 105, lost, world_from_camera=moved(1.0))
    np.testing.assert_allclose(graph.world_from_camera(105), moved(1.0), atol=1e-12)
    assert graph.hang_of(105).keyframe_ns == 100


def test_keyframes_that_are_culled_and_come_back_keep_their_constraints() -> None:
    graph = walked(DRIFTED)
    graph.constrain(LOOPS)
    solved(graph)
    before = graph.keyframes()
    graph.update({ns: pose for ns, pose in keyframes(DRIFTED).items() if ns not in (97, 98, 100)})
    solved(graph)
    graph.update(keyframes(DRIFTED))
    graph.settle()
    for keyframe_ns, keyframe in graph.keyframes().items():
        was = before[keyframe_ns].world_from_keyframe
        np.testing.assert_allclose(keyframe.world_from_keyframe, was, atol=0.002)


def test_two_loops_outweigh_many_alignments_that_drifted_along() -> None:
    """Each alignment is believed to millimetres, but their errors are alike: 1 % of the path."""
    truth = circles(201, 200)
    drifting = drifted(truth, moved(0.001, yaw_rad=0.0003))
    graph = walked(drifting)
    graph.constrain(
        Constraint("alignment", a, b, inverse(drifting[a]) @ drifting[b], 0.001, 0.0007)
        for b in range(1, 201)
        for a in {b - 1, max(b - 8, 0)}
    )
    graph.constrain([constraint(truth, 0, 200), constraint(truth, 1, 199)])
    solved(graph)
    assert not graph.rejected
    poses = graph.keyframes()
    gap = inverse(poses[0].world_from_keyframe) @ poses[200].world_from_keyframe
    assert np.linalg.norm(drifting[200][:3, 3]) > 0.15
    assert np.linalg.norm(gap[:3, 3]) < 0.01
