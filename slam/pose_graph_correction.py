"""Moves keyframes to where all that was measured between them says they are."""

from collections.abc import Collection, Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from slam.constraint import Constraint
from slam.geometry import Mat4
from slam.pose_graph_constraints import Constraints
from slam.pose_graph_factors import Edge
from slam.pose_graph_keyframes import KeyframeTable
from slam.pose_graph_odometry import Odometry, closed_loops, measure
from slam.pose_graph_segments import Segment
from slam.pose_graph_solver import EdgeKey, GraphSolver, Solution
from slam.similarity import differ, hung, inverses

_MOVED = 1e-4
"""Metres, radians and relative scale: where a solution moves a keyframe by less, it stays."""

_NODES_PER_ADVANCE = 300
"""Iterations at once are over so many nodes in all: about 5 ms."""

_SETTLING_STEPS_MAX = 200


class Correction:
    """Poses of keyframes that suit the tracker and the constraints of others.

    It does nothing until there is a constraint. From then on, keyframes are where the last solution
    put them, and those that are newer follow the last of these as the tracker says. The poses of
    the tracker enter as relative ones alone: its jumps move nothing until they are solved for.
    """

    def __init__(
        self,
        keyframes: KeyframeTable,
        segments: Sequence[Segment],
        has_scale: bool,
        constraints: Constraints | None = None,
        loops: Iterable[tuple[int, int]] = (),
    ) -> None:
        """Begin with what is known: `constraints`, and loops that the tracker closed."""
        self._keyframes = keyframes
        self._segments = segments
        self._solver = GraphSolver(has_scale)
        self._odometry = Odometry()
        self._links: dict[int, tuple[EdgeKey, Edge]] = {}
        self.constraints = Constraints() if constraints is None else constraints
        self.loops = list(loops)
        if self.is_active:
            self._begin()
            self._put(self.constraints.keys())

    @property
    def is_active(self) -> bool:
        """Whether there are constraints."""
        return len(self.constraints) > 0

    @property
    def is_settled(self) -> bool:
        """Whether the poses are those of a solution of all that is known."""
        return self._solver.is_settled

    @property
    def rejected(self) -> list[tuple[str, int, int]]:
        """Constraints that the last solution contradicts: source and capture_ns of both."""
        instants = self._keyframes.rows["capture_ns"]
        return [
            (source, int(instants[first]), int(instants[second]))
            for source, first, second in self._solver.rejected
        ]

    def constrain(self, constraints: Iterable[Constraint]) -> None:
        """Take constraints; those of keyframes that are not known are left out."""
        was_active = self.is_active
        keys = [self.constraints.put(constraint, self._keyframes) for constraint in constraints]
        if self.is_active and not was_active:
            self._begin()
        self._put(key for key in keys if key is not None)

    def note_loops(self, rows: NDArray[np.int64], before: Mat4, after: Mat4) -> None:
        """See whether the tracker closed a loop: keyframes in the order of time, at two polls."""
        loops = [
            (int(rows[first]), int(rows[second])) for first, second in closed_loops(before, after)
        ]
        self.loops += [loop for loop in loops if loop not in self.loops]

    def drop(self, row: int) -> None:
        """Take a keyframe out that was culled."""
        if row in self._solver:
            self._solver.drop_node(row)

    def follow(self, changed: Collection[int] = ()) -> None:
        """Take in what the tracker says by now; `changed`: rows culled, or back again."""
        self._extend()
        self._measure()
        if changed:
            parent = self._keyframes.rows["parent"]
            parents = {int(parent[row]) for row in changed} - {-1}
            carried = np.flatnonzero(np.isin(parent, list(parents)))
            self._put(self.constraints.of([*changed, *carried.tolist()]))

    def advance(self) -> bool:
        """Solve a little, if there is anything to solve; whether that moved keyframes."""
        has_moved = False
        for _ in range(max(1, _NODES_PER_ADVANCE // max(len(self._solver), 1))):
            if self._solver.is_settled:
                break
            has_moved |= self._step()
        return has_moved

    def settle(self) -> bool:
        """Solve all, to the end; whether that moved keyframes."""
        if not self.is_active:
            return False
        self._measure(exact=True)
        self._solver.require_all()
        has_moved = False
        for _ in range(_SETTLING_STEPS_MAX):
            if self._solver.is_settled:
                break
            has_moved |= self._step()
        return has_moved

    def _begin(self) -> None:
        """From here on, poses are held instead of passed through."""
        self._keyframes.rows["is_solved"][self._keyframes.live()] = True
        self._extend()
        self._measure()

    def _put(self, keys: Iterable[EdgeKey]) -> None:
        for key in keys:
            edge = self.constraints.edge(key, self._keyframes)
            if edge is None:
                self._solver.drop_edge(key)
            else:
                self._solver.put_edge(key, edge)

    def _step(self) -> bool:
        solution = self._solver.step()
        return solution is not None and self._take(solution)

    def _take(self, solution: Solution) -> bool:
        """Move keyframes as far as it matters, and those that follow them; whether any did."""
        rows, solved = self._keyframes.rows, solution.numbers
        world, scale = solution.world_from_keyframe, solution.scale
        moved = differ(rows["world_from_keyframe"][solved], world, _MOVED, _MOVED)
        moved |= np.abs(np.log(scale / rows["scale"][solved])) > _MOVED
        self._keyframes.place(solved[moved], world[moved], scale[moved])
        rows["is_solved"][solved] = True
        self._extend()
        return bool(moved.any())

    def _extend(self) -> None:
        """Let the newest keyframes follow, and the solver know where they are."""
        segment = len(self._segments) - 1
        live = self._keyframes.live(segment)
        rows = self._keyframes.rows
        is_solved = rows["is_solved"][live]
        solved, unsolved = live[is_solved], live[~is_solved]
        if len(unsolved) and len(solved):
            self._place_beside(solved, unsolved)
        elif len(unsolved):
            segment_from_keyframe = rows["segment_from_keyframe"][unsolved]
            placed = self._segments[segment].place(self._keyframes, segment_from_keyframe)
            self._keyframes.place(unsolved, *placed)
        new = [row for row in self._keyframes.live().tolist() if row not in self._solver]
        for row in new if self._solver.is_running else {*new, *unsolved.tolist()}:
            node = self._keyframes.rows[row]
            self._solver.put_node(row, node["world_from_keyframe"], float(node["scale"]))

    def _place_beside(self, solved: NDArray[np.int64], unsolved: NDArray[np.int64]) -> None:
        """Place keyframes as the tracker has them beside the last solved one before each."""
        rows = self._keyframes.rows
        instants = rows["capture_ns"]
        before = np.searchsorted(instants[solved], instants[unsolved]) - 1
        beside = solved[np.maximum(before, 0)]
        segment_from = rows["segment_from_keyframe"]
        relative = inverses(segment_from[beside]) @ segment_from[unsolved]
        scale = rows["scale"][beside]
        world = hung(rows["world_from_keyframe"][beside], scale, relative)
        self._keyframes.place(unsolved, world, scale)

    def _measure(self, exact: bool = False) -> None:
        chains = [self._keyframes.live(segment) for segment in range(len(self._segments))]
        loops = [(self._keyframes.root(a)[0], self._keyframes.root(b)[0]) for a, b in self.loops]
        segment_from_keyframe = self._keyframes.rows["segment_from_keyframe"]
        measured = measure(
            chains, [loop for loop in loops if loop[0] != loop[1]], segment_from_keyframe
        )
        self._odometry.refresh(self._solver, measured, exact)
        for segment, chain in enumerate(chains):
            if len(chain):
                self._link(segment, int(chain[0]))

    def _link(self, segment: int, first: int) -> None:
        """Tie a segment's first keyframe to what was before."""
        edge = self._segments[segment].edge(self._keyframes, first)
        if edge is None:
            return
        key = ("segment", edge.first, first)
        if segment in self._links:
            key_before, before = self._links[segment]
            if key == key_before and np.array_equal(
                before.first_from_second, edge.first_from_second
            ):
                return
            self._solver.drop_edge(key_before)
        self._links[segment] = (key, edge)
        self._solver.put_edge(key, edge)
