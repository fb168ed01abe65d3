"""Solves a pose graph with gtsam (Dellaert and Kaess 2017): nodes that are keyframes, and edges.

gtsam holds Python's lock for as long as it works, so a thread of its own would not keep it out of
anybody's way: the work is cut into single Levenberg-Marquardt iterations instead. Incremental
smoothing (iSAM2) is no cheaper here: where loops close, a change touches most of its tree.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import gtsam
import numpy as np
from numpy.typing import NDArray

from slam.geometry import Mat4
from slam.pose_graph_factors import Edge, Factors, RigidFactors, SimilarityFactors, loss

_REJECTED_SIGMAS, _ACCEPTED_SIGMAS = 15.0, 5.0
"""A robust edge that is off by more in a solution is left out, as even a weak pull is wrong, until
it is off by less."""

_SURPRISE_SIGMAS = 0.1
"""An edge that is off by less is not worth solving for."""
_LOCAL_SIGMAS = 3.0
"""An edge that is off by more is no local matter."""
_LOCAL_NODES = 80
"""About so many nodes are a neighbourhood."""

_SETTLED_RMS = 1e-4
_STEPS_MAX = 40

EdgeKey = tuple[str, int, int]
"""What measured it, and the two nodes or keyframes."""


@dataclass(frozen=True, slots=True)
class Solution:
    """Where nodes are; N rows."""

    numbers: NDArray[np.int64]
    world_from_keyframe: Mat4
    """(N, 4, 4)"""
    scale: NDArray[np.float64]
    """(N,)"""


class GraphSolver:
    """Nodes and edges that come, change and go, and the poses that suit them best.

    The node of the smallest number is held where it was put. An edge that surprises makes its
    neighbourhood due for solving, or the whole graph where that is not enough.
    """

    def __init__(self, has_scale: bool) -> None:
        """`has_scale`: nodes are similarities instead of rigid transforms."""
        self._factors: Factors = SimilarityFactors() if has_scale else RigidFactors()
        self._graph = gtsam.NonlinearFactorGraph()
        self._values = gtsam.Values()
        self._slots_of: dict[int, set[int]] = {}
        self._slots: dict[EdgeKey, int] = {}
        self._edges: dict[int, tuple[EdgeKey, Edge, Any]] = {}
        self._free: list[int] = []
        self._rejected: set[int] = set()
        self._due: set[int] = set()
        self._is_global = False
        self._run: _Run | None = None
        self._steps = 0

    @property
    def is_settled(self) -> bool:
        """Whether there is nothing to solve."""
        return not self._due and self._run is None

    @property
    def is_running(self) -> bool:
        """Whether a solution is on its way: nodes are not to be put now."""
        return self._run is not None

    @property
    def rejected(self) -> list[EdgeKey]:
        """The robust edges that the last solution contradicts."""
        return sorted(self._edges[slot][0] for slot in self._rejected)

    def __len__(self) -> int:
        return len(self._slots_of)

    def __contains__(self, number: int) -> bool:
        return number in self._slots_of

    def put_node(self, number: int, world_from_keyframe: Mat4, scale: float = 1.0) -> None:
        """Put a node where it is now, as far as is known."""
        self._values.insert_or_assign(number, self._factors.value(world_from_keyframe, scale))
        self._slots_of.setdefault(number, set())

    def drop_node(self, number: int) -> None:
        """Take a node out, with its edges."""
        self._interrupt()
        for key in self.edges_of(number):
            self.drop_edge(key)
        del self._slots_of[number]
        self._due.discard(number)
        self._values.erase(number)

    def edges_of(self, number: int) -> Mapping[EdgeKey, Edge]:
        """The edges of a node."""
        slots = sorted(self._slots_of.get(number, ()))
        return {key: edge for key, edge, _ in (self._edges[slot] for slot in slots)}

    def put_edge(self, key: EdgeKey, edge: Edge) -> None:
        """Put an edge between two nodes, or measure it anew."""
        factor = self._factors.between(edge)
        slot = self._slots.get(key)
        if slot is not None and _ends(self._edges[slot][1]) != _ends(edge):
            self.drop_edge(key)
            slot = None
        if slot is None:
            slot = self._slots[key] = self._free.pop() if self._free else self._graph.size()
            for number in _ends(edge):
                self._slots_of[number].add(slot)
        if slot == self._graph.size():
            self._graph.push_back(factor)
        else:
            self._graph.replace(slot, factor)
        self._rejected.discard(slot)
        self._edges[slot] = (key, edge, factor)
        self._expect(edge, factor)

    def drop_edge(self, key: EdgeKey) -> None:
        """Take an edge out, if it is there."""
        slot = self._slots.pop(key, None)
        if slot is None:
            return
        _, edge, _ = self._edges.pop(slot)
        for number in _ends(edge):
            self._slots_of[number].discard(slot)
        if slot not in self._rejected:
            self._graph.remove(slot)
        self._rejected.discard(slot)
        self._free.append(slot)

    def require_all(self) -> None:
        """Make the whole graph due, however small the surprise."""
        self._interrupt()
        self._due.update(self._slots_of)
        self._is_global = True

    def step(self) -> Solution | None:
        """Do one iteration if anything is due; the solution, once it has settled."""
        if self.is_settled:
            return None
        if self._run is None:
            self._run = self._begin()
        self._steps += 1
        if not self._run.step() and self._steps < _STEPS_MAX:
            return None
        run, self._run, self._steps = self._run, None, 0
        self._values.update(run.values())
        solved = sorted(run.numbers)
        self._review({slot for number in solved for slot in self._slots_of[number]})
        return Solution(np.array(solved, np.int64), *self._factors.poses(self._values, solved))

    def _expect(self, edge: Edge, factor: Any) -> None:
        """Make an edge's nodes due if it says something else than the poses do."""
        error = factor.error(self._values)
        if error <= loss(_SURPRISE_SIGMAS, edge.is_robust, edge.tolerance):
            return
        self._due |= _ends(edge)
        if error > loss(_LOCAL_SIGMAS, edge.is_robust, edge.tolerance):
            self._interrupt()
            self._is_global = True

    def _interrupt(self) -> None:
        """Give up the solution under way, for another one that begins where it has got to."""
        if self._run is None:
            return
        run, self._run = self._run, None
        self._values.update(run.values())
        self._due |= run.numbers
        self._is_global |= run.is_global

    def _begin(self) -> "_Run":
        active = None if self._is_global else self._neighbourhood()
        graph = gtsam.NonlinearFactorGraph()
        if active is None:
            active = set(self._slots_of)
            graph.push_back(self._graph)
            held = {min(active)}
        else:
            held = {min(self._slots_of)} & active
            slots = {slot for number in active for slot in self._slots_of[number]}
            for slot in slots - self._rejected:
                _, edge, factor = self._edges[slot]
                graph.push_back(factor)
                held |= _ends(edge) - active
        values = gtsam.Values()
        for number in active | held:
            value = self._factors.at(self._values, number)
            values.insert(number, value)
            if number in held:
                graph.push_back(self._factors.held(number, value))
        run = _Run(graph, values, frozenset(active), self._is_global)
        self._due, self._is_global = set(), False
        return run

    def _neighbourhood(self) -> set[int] | None:
        """The nodes that are due and those next to them; None: that are too many to be local."""
        around, border = set(self._due), set(self._due)
        while border and len(around) < _LOCAL_NODES:
            border = {
                number
                for node in border
                for slot in self._slots_of[node] - self._rejected
                for number in _ends(self._edges[slot][1])
            } - around
            around |= border
        return around if len(self._due) < _LOCAL_NODES else None

    def _review(self, slots: Iterable[int]) -> None:
        """Leave out the robust edges that turned out wrong, take back those that did not."""
        for slot in slots:
            _, edge, factor = self._edges[slot]
            if not edge.is_robust:
                continue
            is_out = slot in self._rejected
            sigmas = edge.tolerance * (_ACCEPTED_SIGMAS if is_out else _REJECTED_SIGMAS)
            limit = loss(sigmas, is_robust=True, tolerance=edge.tolerance)
            if (factor.error(self._values) > limit) == is_out:
                continue
            if is_out:
                self._rejected.discard(slot)
                self._graph.replace(slot, factor)
            else:
                self._rejected.add(slot)
                self._graph.remove(slot)
            self._due |= _ends(edge)
            self._is_global = True


def _ends(edge: Edge) -> set[int]:
    return {edge.first, edge.second}


class _Run:
    """A solution under way."""

    def __init__(
        self, graph: Any, values: gtsam.Values, numbers: frozenset[int], is_global: bool
    ) -> None:
        self.numbers = numbers
        self.is_global = is_global
        self._before = values
        self._optimizer = gtsam.LevenbergMarquardtOptimizer(
            graph, values, gtsam.LevenbergMarquardtParams()
        )

    def step(self) -> bool:
        """Do one iteration; whether it hardly moved anything any more."""
        self._optimizer.iterate()
        before, self._before = self._before, self.values()
        moved = before.localCoordinates(self._before).norm()
        return bool(moved <= _SETTLED_RMS * np.sqrt(len(self.numbers)))

    def values(self) -> gtsam.Values:
        """Where it has got to: a copy, the optimizer's own is gone after the next iteration."""
        return gtsam.Values(self._optimizer.values())
