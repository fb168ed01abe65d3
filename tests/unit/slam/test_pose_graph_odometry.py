import numpy as np
from graph_walk import circles, drifted, moved

from slam.geometry import Mat4, inverse
from slam.pose_graph_odometry import closed_loops, measure

TRUTH = circles(60, 58)
DRIFTED = drifted(TRUTH, moved(0.004, yaw_rad=0.001))


def stacked(poses: list[Mat4]) -> Mat4:
    return np.array(poses)


def test_neighbours_are_measured_along_each_chain_only() -> None:
    chains = [np.array([0, 1, 2, 3]), np.array([5, 4])]
    measured = measure(chains, [(0, 3), (1, 5)], stacked(TRUTH[:6]))
    assert sorted(map(tuple, measured.pairs.tolist())) == [
        (0, 1),
        (0, 3),
        (1, 2),
        (1, 5),
        (2, 3),
        (5, 4),
    ]
    for (first, second), first_from_second in zip(
        measured.pairs.tolist(), measured.first_from_second, strict=True
    ):
        expected = inverse(TRUTH[first]) @ TRUTH[second]
        np.testing.assert_allclose(first_from_second, expected, atol=1e-12)


def test_a_loop_that_closes_is_noticed_between_its_ends() -> None:
    loops = closed_loops(stacked(DRIFTED), stacked(TRUTH))
    assert loops
    for old, recent in loops:
        assert recent - old >= 10
        assert np.linalg.norm((TRUTH[old] - TRUTH[recent])[:3, 3]) < 1.5
    assert (1, 59) in loops


def test_what_moves_as_a_whole_closes_no_loop() -> None:
    poses = stacked(TRUTH)
    assert not closed_loops(poses, moved(1.0, 2.0, yaw_rad=0.5) @ poses)


def test_small_adjustments_close_no_loop() -> None:
    adjusted = [pose @ moved(0.01, yaw_rad=0.001 * (-1) ** step) for step, pose in enumerate(TRUTH)]
    assert not closed_loops(stacked(TRUTH), stacked(adjusted))


def test_few_keyframes_close_no_loop() -> None:
    assert not closed_loops(stacked(DRIFTED[:10]), stacked(TRUTH[:10]))
    assert not closed_loops(stacked([]), stacked([]))
