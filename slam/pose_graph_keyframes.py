"""The keyframes of a pose graph: where the tracker has them, and where they are in the world."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from slam.geometry import Mat4
from slam.growing_rows import GrowingRows
from slam.similarity import differ, hang, hung, inverses

KEYFRAME_ROW = np.dtype(
    [
        ("capture_ns", np.int64),
        ("segment", np.int64),
        ("segment_from_keyframe", np.float64, (4, 4)),
        ("world_from_keyframe", np.float64, (4, 4)),
        ("scale", np.float64),
        ("is_solved", np.bool_),
        ("parent", np.int64),
        ("parent_from_keyframe", np.float64, (4, 4)),
        ("told_world_from_keyframe", np.float64, (4, 4)),
        ("told_scale", np.float64),
        ("told_revision", np.int64),
    ]
)
"""segment_from_keyframe: as the tracker of that segment last said, in the world's lengths.
is_solved: its world pose is a solution's; those of others follow from the tracker.
parent: the row of the keyframe that a culled one hangs on; -1: it is not culled."""


class KeyframeTable:
    """A row per keyframe, culled ones too."""

    def __init__(self, table: GrowingRows | None = None) -> None:
        self._table = GrowingRows(KEYFRAME_ROW) if table is None else table
        self._row_of = {int(ns): row for row, ns in enumerate(self.rows["capture_ns"])}

    def __len__(self) -> int:
        return len(self._table)

    @property
    def rows(self) -> NDArray[np.void]:
        """The table. Not to be kept: it grows."""
        return self._table.rows

    @property
    def table(self) -> GrowingRows:
        """All there is to save."""
        return self._table

    def row_of(self, capture_ns: int) -> int | None:
        """The row of a keyframe; None if it is not known."""
        return self._row_of.get(capture_ns)

    def rows_of(self, capture_ns: Sequence[int]) -> NDArray[np.int64]:
        """(N,) rows of known keyframes."""
        return np.array([self._row_of[instant] for instant in capture_ns], np.int64)

    def add(self, capture_ns: int, segment: int) -> int:
        """Add a keyframe, whose poses are to be put yet. Returns its row."""
        row = self._table.append(
            {
                "capture_ns": capture_ns,
                "segment": segment,
                "world_from_keyframe": np.eye(4),
                "scale": 1.0,
                "parent": -1,
                "parent_from_keyframe": np.eye(4),
            }
        )
        self._row_of[capture_ns] = row
        return row

    def live(self, segment: int | None = None) -> NDArray[np.int64]:
        """The rows of keyframes that are not culled (of a segment), in the order of time."""
        rows = self.rows
        is_live = rows["parent"] < 0
        if segment is not None:
            is_live &= rows["segment"] == segment
        live = np.flatnonzero(is_live)
        return live[np.argsort(rows["capture_ns"][live])]

    def cull(self, row: int, parent: int) -> None:
        """Hang a keyframe, and what hangs on it, on another by where the tracker has both."""
        rows = self.rows
        segment_from = rows["segment_from_keyframe"]
        rows["parent"][row] = parent
        rows["parent_from_keyframe"][row] = inverses(segment_from[parent]) @ segment_from[row]
        for child in np.flatnonzero(rows["parent"] == row):
            rows["parent"][child] = parent
            rows["parent_from_keyframe"][child] = (
                rows["parent_from_keyframe"][row] @ rows["parent_from_keyframe"][child]
            )

    def revive(self, row: int) -> None:
        """Take a culled keyframe back."""
        self.rows["parent"][row] = -1
        self.rows["is_solved"][row] = False

    def root(self, row: int) -> tuple[int, Mat4]:
        """The keyframe that one hangs on if it is culled, or itself; and root_from_keyframe."""
        parent = int(self.rows["parent"][row])
        if parent < 0:
            return row, np.eye(4)
        return parent, self.rows["parent_from_keyframe"][row].copy()

    def segment_from_keyframe(self, row: int) -> Mat4:
        """Where the tracker has a keyframe, or would have it if it were not culled."""
        root, root_from_keyframe = self.root(row)
        return np.asarray(self.rows["segment_from_keyframe"][root] @ root_from_keyframe)

    def place(
        self,
        placed: NDArray[np.int64],
        world_from_keyframe: Mat4,
        scale: float | NDArray[np.float64],
    ) -> None:
        """Move keyframes in the world, and those that hang on them."""
        rows = self.rows
        rows["world_from_keyframe"][placed] = world_from_keyframe
        rows["scale"][placed] = scale
        culled = np.flatnonzero(rows["parent"] >= 0)
        parents = rows["parent"][culled]
        rows["world_from_keyframe"][culled] = self.hung(
            parents, rows["parent_from_keyframe"][culled]
        )
        rows["scale"][culled] = rows["scale"][parents]

    def hung(self, rows: NDArray[np.int64], keyframe_from_source: Mat4) -> Mat4:
        """(N, 4, 4) world_from_source of what hangs on keyframes."""
        world_from_keyframe = self.rows["world_from_keyframe"][rows]
        return hung(world_from_keyframe, self.rows["scale"][rows], keyframe_from_source)

    def hang(self, row: int, world_from_source: Mat4) -> Mat4:
        """keyframe_from_source of what is somewhere in the world."""
        return hang(
            self.rows["world_from_keyframe"][row], self.rows["scale"][row], world_from_source
        )

    def tell(self, revision: int, tolerance: float) -> bool:
        """Note which keyframes are told at a revision: those new, or moved since last told.

        `tolerance`: metres, radians and relative scale; 0: all that moved at all. Returns whether
        there are any.
        """
        rows = self.rows
        world, told_world = rows["world_from_keyframe"], rows["told_world_from_keyframe"]
        if tolerance > 0:
            moved = differ(world, told_world, tolerance, tolerance)
            moved |= np.abs(rows["scale"] - rows["told_scale"]) > tolerance
        else:
            moved = (world != told_world).any(axis=(1, 2)) | (rows["scale"] != rows["told_scale"])
        moved |= rows["told_revision"] == 0
        told_world[moved] = world[moved]
        rows["told_scale"][moved] = rows["scale"][moved]
        rows["told_revision"][moved] = revision
        return bool(moved.any())

    def rescale(self, factor: float, centre_world: NDArray[np.float64]) -> None:
        """Make all lengths `factor` times as long, the world's about a centre."""
        rows = self.rows
        for name in ("segment_from_keyframe", "parent_from_keyframe"):
            rows[name][:, :3, 3] *= factor
        centres = rows["world_from_keyframe"][:, :3, 3]
        centres[...] = centre_world + factor * (centres - centre_world)
