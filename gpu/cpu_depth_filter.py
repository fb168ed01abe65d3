"""The depth filter in main memory."""

import numpy as np
from numpy.typing import NDArray

from gpu.kernels.depth_filter import REACH_PX, count_observations, smooth_depth, to_metres

_NOTHING = np.empty((1, 1), np.uint8)


class CpuDepthFilter:
    """Makes of a view's depth a smoother one, and how much it counts; see `depth_filter`."""

    def __init__(
        self,
        size_px: tuple[int, int],
        focal_px: NDArray[np.float64],
        centre_px: NDArray[np.float64],
        range_m: tuple[float, float],
    ) -> None:
        """For images of a (width, height); depth outside the range does not count."""
        width, height = size_px
        self._range_m = range_m
        self._focal, self._centre = focal_px.astype(np.float32), centre_px.astype(np.float32)
        self._inverse = (1 / focal_px).astype(np.float32)
        self._padded = np.zeros((height + 2 * REACH_PX, width + 2 * REACH_PX), np.float32)
        self._smooth = np.empty((height, width), np.float32)
        self._counts = np.empty((height, width), np.uint8)

    def apply(
        self,
        depth: NDArray[np.uint16] | NDArray[np.float32],
        depth_scale_m: float,
        confidence: NDArray[np.uint8] | None,
    ) -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
        """(H, W) metres, 0: none, and (H, W) observations; both until the next call."""
        # One type for the compiler, whoever made the array.
        given = np.ascontiguousarray(_NOTHING if confidence is None else confidence).view()
        given.flags.writeable = False
        weighted = confidence is not None
        to_metres(depth, float(depth_scale_m), *self._range_m, given, weighted, self._padded)
        smooth_depth(self._padded, self._smooth)
        count_observations(
            self._smooth, self._focal, self._inverse, self._centre, given, weighted, self._counts
        )
        return self._smooth, self._counts
