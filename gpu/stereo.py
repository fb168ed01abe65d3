"""Stereo matching of a rectified pair, on the CPU or on a device: the same to the last bit."""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from gpu.backend import Backend
from gpu.kernels.stereo import STEPS_PER_PX, fill_holes
from gpu.stereo_search import CpuSearch, DeviceSearch, MatchSettings, RawMatch, StereoSearch
from mapcast_client.errors import InputError

_MOST_COSTS = (1 << 31) - 1
"""Elements of the cost volume: kernels count them in an int."""
_COST_FLOOR = 40
"""Path costs of a good match, about: below, the best disparity's own cost says nothing."""
_SPECKLE_STEPS = 16
"""1 px, as islands are found: in 1/16 px."""


@dataclass(frozen=True, slots=True, eq=False)
class StereoMatch:
    """The disparities of a pair, those that both images agree on; arrays are read-only."""

    disparity_px: NDArray[np.float32]
    """(H, W) of the left image: u there is u − disparity in the right one; 0 = none."""
    uniqueness: NDArray[np.float32]
    """(H, W) by how much the next best costs more, relative to what this one costs."""
    difference_px: NDArray[np.int32]
    """(H, W) by how much the right image's own best differs there."""

    def filled(self, widest_px: int) -> NDArray[np.float32]:
        """(H, W) disparities with the holes of rows, up to so wide, filled from behind.

        What one camera alone sees lies farther than what hides it from the other: a hole takes
        the lower disparity of its two sides.
        """
        steps = np.rint(self.disparity_px * STEPS_PER_PX).astype(np.int32)
        fill_holes(steps, widest_px)
        # Rows are filled one by one: this evens their streaks.
        even = cv2.medianBlur(steps.astype(np.uint16), 3).astype(np.float32) / STEPS_PER_PX
        return np.where(self.disparity_px > 0, self.disparity_px, even)


class StereoMatcher:
    """Matches rectified pairs: census, semi-global paths, a look back from the right image.

    Zabih & Woodfill 1994; Hirschmüller 2008. One thread calls it, the backend's.
    """

    def __init__(
        self, settings: MatchSettings | None = None, backend: Backend | None = None
    ) -> None:
        """Match on a device, or on the CPU if there is none."""
        self.settings = settings or MatchSettings()
        self._search: StereoSearch = (
            CpuSearch(self.settings) if backend is None else DeviceSearch(self.settings, backend)
        )

    def match(self, left: NDArray[np.uint8], right: NDArray[np.uint8]) -> StereoMatch:
        """Match two (H, W) gray images whose rows are the same lines of the world.

        Raises InputError if they are of different sizes, or too large, DeviceMemoryError if the
        device has no room.
        """
        raw = self.search(left, right)
        even = cv2.medianBlur(raw.disparity.astype(np.uint16), 3).astype(np.int32)
        disparity_px = even.astype(np.float32) / np.float32(STEPS_PER_PX)
        disparity_px[~self._is_believed(raw, even)] = 0
        uniqueness = raw.margin / (raw.least + np.float32(_COST_FLOOR))
        for array in (disparity_px, uniqueness, raw.difference_px):
            array.flags.writeable = False
        return StereoMatch(disparity_px, uniqueness, raw.difference_px)

    def search(self, left: NDArray[np.uint8], right: NDArray[np.uint8]) -> RawMatch:
        """The best disparity of every pixel, before anything is dropped. Raises as `match`."""
        if left.ndim != 2 or left.shape != right.shape or not left.size:
            raise InputError(
                f"left image is {left.shape} and right one {right.shape}, must be the same (H, W)"
            )
        if left.dtype != np.uint8 or right.dtype != np.uint8:
            raise InputError(f"images are {left.dtype} and {right.dtype}, must be uint8")
        if left.size * self.settings.disparities > _MOST_COSTS:
            raise InputError(
                f"images of {left.shape} times {self.settings.disparities} disparities: must be "
                f"at most {_MOST_COSTS} in all"
            )
        return self._search.run(np.ascontiguousarray(left), np.ascontiguousarray(right))

    def close(self) -> None:
        """Give back the device's memory."""
        self._search.close()

    def _is_believed(self, raw: RawMatch, even: NDArray[np.int32]) -> NDArray[np.bool_]:
        """(H, W) what the right image, the neighbours' median, and an island around agree on."""
        tolerance_px = self.settings.tolerance_px
        agrees = raw.difference_px <= tolerance_px
        agrees &= np.abs(even - raw.disparity) <= max(tolerance_px, 1) * STEPS_PER_PX
        steps = np.where(agrees, (even >> 4) + _SPECKLE_STEPS, 0).astype(np.int16)
        cv2.filterSpeckles(steps, 0, self.settings.speckle_px, _SPECKLE_STEPS)
        return steps > 0
