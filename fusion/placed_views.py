"""The views that are in a volume, and where each is in it."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from slam.geometry import Mat4


@dataclass(frozen=True, slots=True)
class FusedViews:
    """The views that are in a volume; V rows."""

    capture_ns: NDArray[np.int64]
    """(V,) in the order they came in."""
    world_from_camera: NDArray[np.float64]
    """(V, 4, 4) the poses at which they are in."""
    scale: NDArray[np.float64]
    """(V,) what their depths were multiplied by."""

    @classmethod
    def none(cls) -> "FusedViews":
        """No views."""
        return cls(np.empty(0, np.int64), np.empty((0, 4, 4)), np.empty(0))


class PlacedViews:
    """A growing table of views, a row each."""

    def __init__(self, views: FusedViews) -> None:
        """Begin with `views`."""
        self._count = len(views.capture_ns)
        self._capture_ns = views.capture_ns.copy()
        self._world_from_camera = views.world_from_camera.copy()
        self._scale = views.scale.copy()
        self._is_frozen = np.zeros(self._count, np.bool_)

    def __len__(self) -> int:
        return self._count

    @property
    def frozen_count(self) -> int:
        """How many cannot move any more."""
        return int(np.count_nonzero(self._is_frozen[: self._count]))

    def add(self, capture_ns: int, world_from_camera: Mat4, scale: float) -> None:
        """Add a row."""
        if self._count == len(self._capture_ns):
            self._grow()
        self._capture_ns[self._count] = capture_ns
        self._count += 1
        self.place(self._count - 1, world_from_camera, scale)

    def _grow(self) -> None:
        size = max(64, 2 * self._count)
        for name in ("_capture_ns", "_world_from_camera", "_scale", "_is_frozen"):
            column = getattr(self, name)
            grown = np.zeros((size, *column.shape[1:]), column.dtype)
            grown[: self._count] = column[: self._count]
            setattr(self, name, grown)

    def place(self, row: int, world_from_camera: Mat4, scale: float) -> None:
        """Note where a view is in now."""
        self._world_from_camera[row] = world_from_camera
        self._scale[row] = scale

    def freeze(self, row: int) -> None:
        """Note that a view stays where it is."""
        self._is_frozen[row] = True

    def capture_ns(self, rows: Sequence[int] | NDArray[np.int64]) -> NDArray[np.int64]:
        """(R,) when the views of some rows were captured."""
        return self._capture_ns[: self._count][rows]

    def at(self, row: int) -> tuple[int, Mat4, float]:
        """A view's capture_ns, world_from_camera and scale."""
        return (
            int(self._capture_ns[row]),
            self._world_from_camera[row].copy(),
            float(self._scale[row]),
        )

    def placed(self, capture_ns: int) -> Mat4 | None:
        """Where the view of an instant is in; None if it is not."""
        rows = np.flatnonzero(self._capture_ns[: self._count] == capture_ns)
        return self._world_from_camera[rows[0]].copy() if len(rows) else None

    def movable(self) -> NDArray[np.int64]:
        """The rows of views that are not frozen."""
        return np.flatnonzero(~self._is_frozen[: self._count])

    def displacements_m(
        self,
        rows: NDArray[np.int64],
        world_from_camera: NDArray[np.float64],
        scale: NDArray[np.float64],
        corners_camera: NDArray[np.float64],
    ) -> NDArray[np.float64]:
        """(R,) how far the farthest of (C, 3) points of a view goes when it is placed anew.

        `world_from_camera` (R, 4, 4) and `scale` (R,) are the new ones of `rows`; the points are
        those of the view at its new scale.
        """
        shrunk = (self._scale[rows] / scale)[:, None, None] * corners_camera
        before = _moved(self._world_from_camera[rows], shrunk)
        after = _moved(world_from_camera, corners_camera)
        squares: NDArray[np.float64] = ((after - before) ** 2).sum(axis=2).max(axis=1)
        return np.sqrt(squares)

    def all(self) -> FusedViews:
        """A copy of the table."""
        rows = slice(0, self._count)
        return FusedViews(
            self._capture_ns[rows].copy(),
            self._world_from_camera[rows].copy(),
            self._scale[rows].copy(),
        )


def _moved(
    target_from_source: NDArray[np.float64], points: NDArray[np.float64]
) -> NDArray[np.float64]:
    """(R, C, 3) points of each of (R, 4, 4) transforms."""
    rotated: NDArray[np.float64] = points @ target_from_source[:, :3, :3].transpose(0, 2, 1)
    return rotated + target_from_source[:, None, :3, 3]
