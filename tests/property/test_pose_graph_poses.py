"""Similarities form a group, graphs follow what agrees, and the continuous path never jumps."""

from itertools import pairwise

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from slam.constraint import Constraint
from slam.geometry import Mat4, inverse, rigid
from slam.pose_graph import PoseGraph
from slam.similarity import differ, hang, hung, inverses, scaled
from slam.tracker import TrackedFrame, TrackingState

lengths = st.floats(-10, 10)
angles = st.floats(-3, 3)
scales = st.floats(0.2, 5)
untimed = settings(deadline=None, max_examples=30)


@st.composite
def transforms(draw: st.DrawFn, size: float = 1.0) -> Mat4:
    rotation = Rotation.from_rotvec([size * draw(angles) for _ in range(3)]).as_matrix()
    return rigid(rotation, np.array([size * draw(lengths) for _ in range(3)]))


def random_walk(rng: np.random.Generator, count: int, step_m: float = 0.2) -> list[Mat4]:
    poses = [np.eye(4)]
    while len(poses) < count:
        turn = Rotation.from_rotvec(rng.normal(0, 0.1, 3)).as_matrix()
        poses.append(poses[-1] @ rigid(turn, rng.normal(0, step_m, 3)))
    return poses


def tracked(pose: Mat4, polled: dict[int, Mat4]) -> TrackedFrame:
    return TrackedFrame(TrackingState.TRACKING, pose, keyframes=polled)


@untimed
@given(transforms(), scales, transforms(), scales, transforms())
def test_what_hangs_on_what_hangs_is_hung_by_both(
    a: Mat4, scale_a: float, b: Mat4, scale_b: float, c: Mat4
) -> None:
    together = hung(hung(a, scale_a, b), scale_a * scale_b, c)
    in_turn = hung(a, scale_a, hung(b, scale_b, c))
    np.testing.assert_allclose(together, in_turn, atol=1e-9)


@untimed
@given(transforms(), scales, transforms())
def test_hanging_undoes_hung(world_from_keyframe: Mat4, scale: float, keyframe_from: Mat4) -> None:
    world_from = hung(world_from_keyframe, scale, keyframe_from)
    np.testing.assert_allclose(
        hang(world_from_keyframe, scale, world_from), keyframe_from, atol=1e-9
    )


@untimed
@given(st.lists(transforms(), min_size=1, max_size=5), scales)
def test_stacks_are_as_one_by_one(poses: list[Mat4], scale: float) -> None:
    stack = np.array(poses)
    np.testing.assert_array_equal(inverses(stack), np.array([inverses(each) for each in poses]))
    np.testing.assert_allclose(inverses(stack), np.array([inverse(each) for each in poses]))
    np.testing.assert_array_equal(
        scaled(stack, np.full(len(poses), scale)), np.array([scaled(each, scale) for each in poses])
    )
    np.testing.assert_array_equal(
        hung(stack, np.full(len(poses), scale), stack),
        np.array([hung(each[None], scale, each[None])[0] for each in poses]),
    )


@untimed
@given(transforms(), st.floats(1e-4, 0.1), st.floats(1e-4, 0.1))
def test_poses_differ_by_length_or_by_angle(pose: Mat4, apart_m: float, apart_rad: float) -> None:
    turn = Rotation.from_rotvec([0, apart_rad, 0]).as_matrix()
    moved, turned = (
        pose @ rigid(np.eye(3), np.array([0, 0, apart_m])),
        pose @ rigid(turn, np.zeros(3)),
    )
    for other, tolerances, is_apart in (
        (moved, (0.99 * apart_m, 1e-9), True),
        (moved, (1.01 * apart_m, 1e-6), False),
        (turned, (1e-9, 0.99 * apart_rad), True),
        (turned, (1e-9, 1.01 * apart_rad), False),
    ):
        assert bool(differ(pose, other, *tolerances)) == is_apart


@untimed
@given(st.integers(0, 2**32 - 1), st.integers(12, 40), st.booleans())
def test_constraints_of_the_truth_lead_back_to_it(seed: int, count: int, has_scale: bool) -> None:
    rng = np.random.default_rng(seed)
    truth = random_walk(rng, count)
    drifting = [truth[0]]
    for before, after in pairwise(truth):
        error = rigid(
            Rotation.from_rotvec(rng.normal(0, 0.003, 3)).as_matrix(), rng.normal(0, 0.004, 3)
        )
        drifting.append(drifting[-1] @ inverse(before) @ after @ error)
    graph = PoseGraph(np.eye(4), scale_drifts=has_scale)
    graph.update(dict(enumerate(drifting)))
    graph.constrain(
        Constraint("refinement", a, b, inverse(truth[a]) @ truth[b], 5e-4, 2e-4, 1.0, 1e-3)
        for a, b in zip(range(count - 3), range(3, count), strict=True)
    )
    graph.constrain(
        [Constraint("refinement", 0, b, truth[b], 5e-4, 2e-4, 1.0, 1e-3) for b in (1, 2)]
    )
    graph.settle()
    for keyframe_ns, keyframe in graph.keyframes().items():
        np.testing.assert_allclose(keyframe.world_from_keyframe, truth[keyframe_ns], atol=0.003)
        assert abs(keyframe.scale - 1) < 0.01


@settings(deadline=None, max_examples=15)
@given(st.integers(0, 2**32 - 1))
def test_corrections_never_make_the_continuous_path_jump(seed: int) -> None:
    """Whatever closes, culls, constrains, scales or is found between two frames."""
    rng = np.random.default_rng(seed)
    walk = random_walk(rng, 60, step_m=0.02)
    graph, polled = PoseGraph(np.eye(4)), {0: walk[0]}
    map_from_walk, before = np.eye(4), None
    for index, pose in enumerate(walk):
        if rng.random() < 0.1:  # the tracker closes a loop: all moves
            jump = rigid(
                Rotation.from_rotvec(rng.normal(0, 0.1, 3)).as_matrix(), rng.normal(0, 0.5, 3)
            )
            map_from_walk = jump @ map_from_walk
            polled = {ns: jump @ at for ns, at in polled.items()}
        if rng.random() < 0.3:
            polled = {**polled, index: map_from_walk @ pose}
        if rng.random() < 0.1 and len(polled) > 3:
            gone = sorted(polled)[int(rng.integers(1, len(polled)))]
            polled = {ns: at for ns, at in polled.items() if ns != gone}
        instants = sorted(graph.keyframes())
        if len(instants) > 1 and rng.random() < 0.3:
            first, second = rng.choice(instants, 2, replace=False).tolist()
            wrong = rigid(np.eye(3), rng.normal(0, 0.2, 3))
            relative = inverse(walk[first]) @ walk[second] @ wrong
            graph.constrain([Constraint("alignment", first, second, relative, 0.01, 0.01)])
        frame = tracked(map_from_walk @ pose, polled)
        found = None
        if rng.random() < 0.2:
            found = graph.place(index, frame) @ rigid(np.eye(3), rng.normal(0, 0.1, 3))
        graph.add(index, index, frame, found)
        if before is not None:
            motion = inverse(before) @ graph.odom_from_camera
            np.testing.assert_allclose(motion, inverse(walk[index - 1]) @ pose, atol=1e-9)
        before = graph.odom_from_camera
