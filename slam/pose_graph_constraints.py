"""What others than the tracker measured between keyframes."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from slam.constraint import Constraint
from slam.geometry import inverse
from slam.growing_rows import GrowingRows
from slam.pose_graph_factors import Edge
from slam.pose_graph_keyframes import KeyframeTable
from slam.pose_graph_solver import EdgeKey
from slam.similarity import scaled

_SOURCES = ("refinement", "alignment")
_REFINED_MIN_M, _REFINED_MIN_RAD = 2e-4, 1e-4
_ALIGNED_MIN_M, _ALIGNED_MIN_RAD = 1.5e-3, 1e-3
_ALIKE_MAX = 3.0
"""Errors of alignments are alike from one to the next: a chain of them is off by more than each
would make believe, and must not outweigh a loop for that. So those that span n keyframes count as
√n alignments, up to this."""

_REFINED_TOLERANCE = 2.5
"""Refinement has looked at what it takes for a loop, and trackers drift: believe it sooner."""
_ALIGNED_TOLERANCE = 5.0
"""Alignments are bounded to centimetres, many of their sigmas; trackers are off by more while they
put a closed loop right, and the keyframe would go along with them."""

_ROW = np.dtype(
    [
        ("source", np.int64),
        ("first", np.int64),
        ("second", np.int64),
        ("first_from_second", np.float64, (4, 4)),
        ("sigma_m", np.float64),
        ("sigma_rad", np.float64),
        ("scale", np.float64),
        ("sigma_log_scale", np.float64),
        ("tolerance", np.float64),
    ]
)


class Constraints:
    """The constraints of keyframes, the latest of each pair and source."""

    def __init__(self) -> None:
        self._edges: dict[EdgeKey, Edge] = {}
        self._keys_of: dict[int, set[EdgeKey]] = {}

    def __len__(self) -> int:
        return len(self._edges)

    def put(self, constraint: Constraint, keyframes: KeyframeTable) -> EdgeKey | None:
        """Add or replace one; None, and nothing changes, if a keyframe of it is not known."""
        first = keyframes.row_of(constraint.first_ns)
        second = keyframes.row_of(constraint.second_ns)
        if first is None or second is None or first == second:
            return None
        seen_from_first = 1.0 / float(keyframes.rows["scale"][first])
        edge = Edge(
            first,
            second,
            scaled(constraint.first_from_second, seen_from_first),
            constraint.sigma_m * seen_from_first,
            constraint.sigma_rad,
            is_robust=True,
            scale=constraint.scale,
            sigma_log_scale=constraint.sigma_log_scale,
        )
        return self._put(constraint.source, _weighed(constraint.source, edge))

    def _put(self, source: str, edge: Edge) -> EdgeKey:
        key = (source, min(edge.first, edge.second), max(edge.first, edge.second))
        self._edges[key] = edge
        for number in key[1:]:
            self._keys_of.setdefault(number, set()).add(key)
        return key

    def of(self, keyframes: Iterable[int]) -> set[EdgeKey]:
        """The constraints of some keyframes, by their rows."""
        return set().union(*(self._keys_of.get(row, set()) for row in keyframes))

    def edge(self, key: EdgeKey, keyframes: KeyframeTable) -> Edge | None:
        """A constraint between the keyframes that carry its own; None if it is one and the same.

        first_root_from_second_root = first_root_from_first · measured · second_from_second_root,
        where what is behind the measurement has the second one's scale.
        """
        edge = self._edges[key]
        first, first_root_from_first = keyframes.root(edge.first)
        second, second_root_from_second = keyframes.root(edge.second)
        if first == second:
            return None
        second_from_root = scaled(inverse(second_root_from_second), edge.scale)
        first_from_second = first_root_from_first @ edge.first_from_second @ second_from_root
        return replace(edge, first=first, second=second, first_from_second=first_from_second)

    def keys(self) -> list[EdgeKey]:
        """All of them."""
        return list(self._edges)

    def rescale(self, factor: float) -> None:
        """Make all lengths `factor` times as long."""
        for (source, _, _), edge in list(self._edges.items()):
            rescaled = scaled(edge.first_from_second, factor)
            edge = replace(edge, first_from_second=rescaled, sigma_m=edge.sigma_m * factor)
            self._put(source, edge)

    def columns(self) -> dict[str, NDArray[Any]]:
        """All of them as arrays."""
        table = GrowingRows(_ROW)
        for (source, _, _), edge in self._edges.items():
            fields = {name: getattr(edge, name) for name in _ROW.names[1:]} if _ROW.names else {}
            table.append({"source": _SOURCES.index(source), **fields})
        return table.columns()

    @classmethod
    def from_columns(cls, columns: Mapping[str, NDArray[Any]]) -> "Constraints":
        """Invert `columns`. Raises InputError if they are not such."""
        constraints = cls()
        for row in GrowingRows.from_columns(_ROW, columns).rows:
            source = _SOURCES[int(row["source"])]
            edge = Edge(
                int(row["first"]),
                int(row["second"]),
                row["first_from_second"].copy(),
                float(row["sigma_m"]),
                float(row["sigma_rad"]),
                is_robust=True,
                scale=float(row["scale"]),
                sigma_log_scale=float(row["sigma_log_scale"]),
                tolerance=float(row["tolerance"]),
            )
            constraints._put(source, edge)
        return constraints


def _weighed(source: str, edge: Edge) -> Edge:
    """An edge with the sigmas and the tolerance that those of a source deserve."""
    if source == "refinement":
        return replace(
            edge,
            sigma_m=max(edge.sigma_m, _REFINED_MIN_M),
            sigma_rad=max(edge.sigma_rad, _REFINED_MIN_RAD),
            tolerance=_REFINED_TOLERANCE,
        )
    alike = min(abs(edge.second - edge.first) ** 0.5, _ALIKE_MAX)
    return replace(
        edge,
        sigma_m=alike * max(edge.sigma_m, _ALIGNED_MIN_M),
        sigma_rad=alike * max(edge.sigma_rad, _ALIGNED_MIN_RAD),
        tolerance=_ALIGNED_TOLERANCE,
    )
