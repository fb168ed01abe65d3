"""What the tracker says about pairs of keyframes, from its latest poses of them alone."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from slam.geometry import Mat4
from slam.pose_graph_factors import Edge
from slam.pose_graph_solver import EdgeKey, GraphSolver
from slam.similarity import differ, inverses

_STRIDES = {1: 1.0, 3: 2.0}
"""Each keyframe is tied to the next one and, so that the chain bends evenly, to the third: with
sigmas so many times as large, as that is no other information."""

_SIGMA_M, _SIGMA_PER_M = 0.008, 0.04
_SIGMA_RAD, _SIGMA_PER_RAD = 0.005, 0.02
_SIGMA_LOG_SCALE = 0.005

_NOTICED_M, _NOTICED_RAD = 5e-4, 5e-4
"""Neighbours that moved by less against each other, since last measured, are as they were."""

_JUMP_M = 0.05
_NEAR_M = 1.5
_RECENT, _APART = 30, 10
"""A loop is closed between one of the most recent keyframes and one that is so many earlier."""


@dataclass(frozen=True, slots=True)
class Measured:
    """Pairs of keyframes, by their rows, and what was measured between them; E rows."""

    pairs: NDArray[np.int64]
    """(E, 2)"""
    first_from_second: Mat4
    """(E, 4, 4)"""
    looseness: NDArray[np.float64]
    """(E,) what sigmas are multiplied by."""

    @property
    def codes(self) -> NDArray[np.int64]:
        """(E,) a number per pair."""
        return np.asarray((self.pairs[:, 0] << 32) | self.pairs[:, 1])


class Odometry:
    """Keeps the edges of a solver equal to what the tracker says now."""

    SOURCE = "odometry"

    def __init__(self) -> None:
        self._measured = measure([], [], np.empty((0, 4, 4)))

    def refresh(self, solver: GraphSolver, now: Measured, exact: bool = False) -> None:
        """Put the edges that are new or measured otherwise, drop those that are gone.

        `exact`: however little they changed.
        """
        before, codes_before, codes = self._measured, self._measured.codes, now.codes
        for code in np.setdiff1d(codes_before, codes, assume_unique=True).tolist():
            solver.drop_edge(_key(code >> 32, code & 0xFFFFFFFF))
        _, at_before, at_now = np.intersect1d(
            codes_before, codes, assume_unique=True, return_indices=True
        )
        tolerances = (0.0, 0.0) if exact else (_NOTICED_M, _NOTICED_RAD)
        changed = np.ones(len(codes), np.bool_)
        changed[at_now] = differ(
            now.first_from_second[at_now], before.first_from_second[at_before], *tolerances
        ) | (now.looseness[at_now] != before.looseness[at_before])
        kept = now.first_from_second.copy()
        kept[at_now] = before.first_from_second[at_before]
        kept[changed] = now.first_from_second[changed]
        self._measured = Measured(now.pairs, kept, now.looseness)
        for row in np.flatnonzero(changed).tolist():
            first, second = now.pairs[row].tolist()
            edge = _edge(first, second, kept[row].copy(), float(now.looseness[row]))
            solver.put_edge(_key(first, second), edge)


def measure(
    chains: Sequence[NDArray[np.int64]],
    closures: Sequence[tuple[int, int]],
    segment_from_keyframe: Mat4,
) -> Measured:
    """Measure the pairs along chains of keyframes, and some more, from all keyframes' poses."""
    pairs = [np.array(closures, np.int64).reshape(-1, 2)]
    looseness = [np.ones(len(closures))]
    for chain in chains:
        for stride, looser in _STRIDES.items():
            pairs.append(np.column_stack([chain[:-stride], chain[stride:]]))
            looseness.append(np.full(len(pairs[-1]), looser))
    all_pairs = np.concatenate(pairs)
    _, distinct = np.unique((all_pairs[:, 0] << 32) | all_pairs[:, 1], return_index=True)
    first, second = segment_from_keyframe[all_pairs[distinct].T]
    return Measured(
        all_pairs[distinct], inverses(first) @ second, np.concatenate(looseness)[distinct]
    )


def closed_loops(before: Mat4, after: Mat4) -> list[tuple[int, int]]:
    """Pairs of keyframes that the tracker found to be elsewhere to each other than it had thought.

    `before` and `after` (N, 4, 4) are the poses of keyframes, in the order of time, at two polls.
    Of each recent keyframe whose view of old ones has jumped, the nearest of these.
    """
    if len(after) <= _APART or not _jumped(before, after, len(after) - 1).any():
        return []
    loops = []
    for recent in range(max(_APART, len(after) - _RECENT), len(after)):
        far = np.linalg.norm(after[: recent - _APART + 1, :3, 3] - after[recent, :3, 3], axis=1)
        far[~_jumped(before, after, recent)] = np.inf
        nearest = int(far.argmin())
        if far[nearest] < _NEAR_M:
            loops.append((nearest, recent))
    return loops


def _jumped(before: Mat4, after: Mat4, recent: int) -> NDArray[np.bool_]:
    """Of the keyframes long before one: whether what they look at has jumped in its view."""
    seen = [
        (inverses(poses[recent]) @ poses[: recent - _APART + 1])[:, :3] @ (0.0, 0.0, _NEAR_M, 1.0)
        for poses in (before, after)
    ]
    return np.asarray(np.linalg.norm(seen[1] - seen[0], axis=1) > _JUMP_M)


def _key(first: int, second: int) -> EdgeKey:
    return Odometry.SOURCE, first, second


def _edge(first: int, second: int, first_from_second: Mat4, looser: float) -> Edge:
    distance_m = float(np.linalg.norm(first_from_second[:3, 3]))
    cosine = (np.trace(first_from_second[:3, :3]) - 1) / 2
    angle_rad = float(np.arccos(np.clip(cosine, -1, 1)))
    return Edge(
        first,
        second,
        first_from_second,
        sigma_m=looser * (_SIGMA_M + _SIGMA_PER_M * distance_m),
        sigma_rad=looser * (_SIGMA_RAD + _SIGMA_PER_RAD * angle_rad),
        is_robust=False,
        sigma_log_scale=looser * _SIGMA_LOG_SCALE,
    )
