"""Walks with a known truth, and what drifting trackers and others say about them."""

from collections.abc import Mapping, Sequence
from itertools import pairwise

import numpy as np
from scipy.spatial.transform import Rotation

from slam.constraint import Constraint, ConstraintSource
from slam.geometry import Mat4, inverse, rigid
from slam.pose_graph import PoseGraph
from slam.tracker import TrackedFrame, TrackingState

RADIUS_M = 3.0


def moved(x_m: float = 0.0, y_m: float = 0.0, z_m: float = 0.0, yaw_rad: float = 0.0) -> Mat4:
    turn = Rotation.from_euler("z", yaw_rad).as_matrix()
    return rigid(turn, np.array([x_m, y_m, z_m]))


def circles(count: int, per_round: int) -> list[Mat4]:
    """Poses along a wavy circle, beginning at the identity."""
    poses = []
    for step in range(count):
        angle = 2 * np.pi * step / per_round
        turn = Rotation.from_euler("zyx", [angle, 0.05, 0.1 * np.sin(angle)]).as_matrix()
        centre = RADIUS_M * np.array([np.cos(angle), np.sin(angle), 0.1 * np.sin(2 * angle)])
        poses.append(rigid(turn, centre))
    return [inverse(poses[0]) @ pose for pose in poses]


def drifted(truth: list[Mat4], drift: Mat4) -> list[Mat4]:
    """The walk with an error that each step adds."""
    poses = truth[:1]
    for before, after in pairwise(truth):
        poses = [*poses, poses[-1] @ inverse(before) @ after @ drift]
    return poses


def keyframes(poses: list[Mat4], first_ns: int = 0) -> dict[int, Mat4]:
    """One per nanosecond."""
    return dict(enumerate(poses, first_ns))


def tracked(pose: Mat4, polled: dict[int, Mat4]) -> TrackedFrame:
    return TrackedFrame(TrackingState.TRACKING, pose, keyframes=polled)


def constraint(
    poses: Sequence[Mat4] | Mapping[int, Mat4],
    first: int,
    second: int,
    source: ConstraintSource = "refinement",
    error: Mat4 | None = None,
) -> Constraint:
    """What somebody measured who sees `poses`, but for an error."""
    first_from_second = inverse(poses[first]) @ poses[second]
    if error is not None:
        first_from_second = first_from_second @ error
    return Constraint(source, first, second, first_from_second, 0.003, 0.002)


def solved(graph: PoseGraph) -> PoseGraph:
    """The graph, after all the advances that it takes."""
    for _ in range(200):
        if graph.is_settled:
            return graph
        graph.advance()
    raise AssertionError("the solution does not settle")


def off_m(graph: PoseGraph, truth: list[Mat4]) -> float:
    """How far the farthest keyframe is from the truth."""
    poses = graph.keyframes()
    return max(
        float(np.linalg.norm(poses[ns].world_from_keyframe[:3, 3] - pose[:3, 3]))
        for ns, pose in enumerate(truth)
        if ns in poses
    )
