"""The frames of a pose graph: which keyframe each hangs on, and how."""

from bisect import bisect_left

import numpy as np
from numpy.typing import NDArray

from mapcast_client.errors import InputError
from slam.geometry import Mat4
from slam.growing_rows import GrowingRows

FRAME_ROW = np.dtype(
    [
        ("capture_ns", np.int64),
        ("keyframe", np.int64),
        ("keyframe_from_camera", np.float64, (4, 4)),
        ("is_found", np.bool_),
        ("rehung_revision", np.int64),
    ]
)
"""keyframe: its row. is_found: the pose is not the tracker's, but was found in the world.
rehung_revision: when it was hung on another keyframe; 0: never."""


class FrameTable:
    """A row per frame, in the order of time."""

    def __init__(self, table: GrowingRows | None = None) -> None:
        self._table = GrowingRows(FRAME_ROW) if table is None else table
        self._times_ns: list[int] = self.rows["capture_ns"].tolist()

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

    @property
    def newest_ns(self) -> int | None:
        """When the last frame was captured."""
        return self._times_ns[-1] if self._times_ns else None

    def row_of(self, capture_ns: int) -> int:
        """The row of a frame. Raises InputError if it is not known."""
        row = bisect_left(self._times_ns, capture_ns)
        if row == len(self._times_ns) or self._times_ns[row] != capture_ns:
            raise InputError(f"no frame of capture_ns {capture_ns} has a pose")
        return row

    def rows_of(self, capture_ns: NDArray[np.int64]) -> NDArray[np.int64]:
        """(N,) rows of frames. Raises InputError if one is not known."""
        if len(capture_ns) == 1:
            return np.array([self.row_of(int(capture_ns[0]))], np.int64)
        times_ns = self.rows["capture_ns"]
        rows = np.searchsorted(times_ns, capture_ns)
        is_known = rows < len(times_ns)
        is_known[is_known] = times_ns[rows[is_known]] == capture_ns[is_known]
        if not is_known.all():
            raise InputError(f"no frame of capture_ns {capture_ns[~is_known][0]} has a pose")
        return rows

    def since(self, capture_ns: int) -> tuple[int, bool]:
        """The first row not before an instant, and whether it is that instant's frame."""
        row = bisect_left(self._times_ns, capture_ns)
        return row, self._times_ns[row : row + 1] == [capture_ns]

    def add(
        self, capture_ns: int, keyframe: int, keyframe_from_camera: Mat4, is_found: bool
    ) -> int:
        """Add a frame, which is later than all others. Returns its row."""
        assert not self._times_ns or capture_ns > self._times_ns[-1], (
            f"frame of {capture_ns} is not later"
        )
        self._times_ns.append(capture_ns)
        return self._table.append(
            {
                "capture_ns": capture_ns,
                "keyframe": keyframe,
                "keyframe_from_camera": keyframe_from_camera,
                "is_found": is_found,
            }
        )

    def rehang(
        self, rows: NDArray[np.int64], keyframe: int, keyframe_from_camera: Mat4, revision: int
    ) -> None:
        """Hang frames on another keyframe, by their (N, 4, 4) poses seen from it."""
        self.rows["keyframe"][rows] = keyframe
        self.rows["keyframe_from_camera"][rows] = keyframe_from_camera
        self.rows["rehung_revision"][rows] = revision

    def rehung_since(self, revision: int) -> NDArray[np.int64]:
        """Rows of frames that were hung on another keyframe after a revision."""
        return np.flatnonzero(self.rows["rehung_revision"] > revision)

    def rescale(self, factor: float) -> None:
        """Make all lengths `factor` times as long."""
        self.rows["keyframe_from_camera"][:, :3, 3] *= factor
