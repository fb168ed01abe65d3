from collections.abc import Mapping, Sequence

import gtsam
import numpy as np
import pytest
from graph_walk import circles, drifted, moved

from slam.geometry import Mat4, inverse
from slam.pose_graph_factors import Edge, RigidFactors, loss
from slam.pose_graph_solver import GraphSolver, Solution

TRUTH = circles(200, 100)
DRIFTED = drifted(TRUTH, moved(0.001))


def edge(
    poses: Sequence[Mat4] | Mapping[int, Mat4], first: int, second: int, is_robust: bool = False
) -> Edge:
    return Edge(first, second, inverse(poses[first]) @ poses[second], 0.01, 0.01, is_robust)


def chain(poses: list[Mat4], has_scale: bool = False) -> GraphSolver:
    solver = GraphSolver(has_scale)
    for number, pose in enumerate(poses):
        solver.put_node(number, pose)
    for number in range(len(poses) - 1):
        solver.put_edge(("odometry", number, number + 1), edge(poses, number, number + 1))
    return solver


def solution(solver: GraphSolver) -> Solution:
    for _ in range(100):
        found = solver.step()
        if found is not None:
            return found
    raise AssertionError("no solution")


def test_edges_that_agree_with_the_poses_leave_nothing_to_solve() -> None:
    solver = chain(DRIFTED)
    assert solver.is_settled
    assert solver.step() is None
    assert len(solver) == 200


@pytest.mark.parametrize("has_scale", [False, True])
def test_the_first_node_stays_and_an_edge_moves_the_others(has_scale: bool) -> None:
    solver = chain(DRIFTED[:50], has_scale)
    solver.put_edge(("loop", 0, 49), edge(TRUTH, 0, 49))
    found = solution(solver)
    assert found.numbers.tolist() == list(range(50))
    np.testing.assert_allclose(found.world_from_keyframe[0], DRIFTED[0], atol=1e-6)
    after = np.linalg.norm((found.world_from_keyframe[49] - TRUTH[49])[:3, 3])
    assert after < 0.1 * np.linalg.norm((DRIFTED[49] - TRUTH[49])[:3, 3])
    assert found.scale.shape == (50,)


def test_a_small_surprise_is_solved_where_it_is() -> None:
    solver = chain(DRIFTED)
    solver.put_edge(("odometry", 150, 151), edge([pose @ moved(0.002) for pose in TRUTH], 150, 151))
    found = solution(solver)
    assert 150 in found.numbers
    assert len(found.numbers) < 100


def test_a_large_surprise_is_solved_everywhere() -> None:
    solver = chain(DRIFTED)
    shifted = {150: DRIFTED[150], 151: DRIFTED[151] @ moved(0.5)}
    solver.put_edge(("odometry", 150, 151), edge(shifted, 150, 151))
    assert len(solution(solver).numbers) == 200


def test_an_edge_may_come_back_between_other_nodes() -> None:
    solver = chain(DRIFTED[:50])
    solver.put_edge(("loop", 0, 49), edge(DRIFTED, 0, 49))
    solver.put_edge(("loop", 0, 49), edge(DRIFTED, 0, 48))
    assert ("loop", 0, 49) not in solver.edges_of(49)
    assert ("loop", 0, 49) in solver.edges_of(48)


def test_nodes_leave_with_their_edges_even_while_all_is_being_solved() -> None:
    solver = chain(DRIFTED[:50])
    solver.put_edge(("loop", 0, 49), edge(TRUTH, 0, 49))
    solver.step()
    solver.drop_node(49)
    solver.drop_node(0)
    assert 49 not in solver
    assert ("odometry", 48, 49) not in solver.edges_of(48)
    found = solution(solver)
    assert found.numbers.tolist() == list(range(1, 49))
    np.testing.assert_allclose(found.world_from_keyframe[0], DRIFTED[1], atol=0.05)


def test_a_robust_edge_is_left_out_while_others_contradict_it() -> None:
    solver = chain(DRIFTED[:50])
    wrong = [*TRUTH[:49], TRUTH[49] @ moved(5.0)]
    solver.put_edge(("loop", 0, 49), edge(wrong, 0, 49, is_robust=True))
    solution(solver)
    assert solver.rejected == [("loop", 0, 49)]
    solver.put_edge(("loop", 0, 49), edge(TRUTH, 0, 49, is_robust=True))
    solution(solver)
    assert solver.rejected == []


@pytest.mark.parametrize("is_robust", [False, True])
def test_loss_is_what_the_kernel_says(is_robust: bool) -> None:
    factors, values = RigidFactors(), gtsam.Values()
    values.insert(0, factors.value(TRUTH[0], 1.0))
    values.insert(1, factors.value(TRUTH[0] @ moved(0.03), 1.0))
    factor = factors.between(Edge(0, 1, np.eye(4), 0.01, 0.01, is_robust))
    assert factor.error(values) == pytest.approx(loss(3.0, is_robust))
