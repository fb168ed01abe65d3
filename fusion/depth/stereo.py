"""Depth of a frame from a second camera beside the first: rectified semi-global stereo."""

import math
from collections import deque
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from fusion.depth.rectified_pair import RectifiedPair, StereoCalibration
from fusion.depth.source import CONFIDENCE_MAX, DepthContext, EstimatedDepth
from gpu.backend import Backend
from gpu.stereo import StereoMatch, StereoMatcher
from gpu.stereo_search import MatchSettings
from mapcast_client.errors import InputError
from slam.camera import Camera
from slam.frame import Frame

_ERROR_PX = 0.25
"""Precision of a disparity."""
_RIGHTS_KEPT = 8


@dataclass(frozen=True, slots=True)
class StereoDepthSettings:
    """How a stereo pair is matched, and what its depth is worth."""

    match: MatchSettings = field(default_factory=MatchSettings)
    uniqueness: tuple[float, ...] = (0.1, 0.3, 0.5, 0.75, 1.0, 1.25, 1.5, 2.0)
    """Margin of the best disparity over the next, relative to its own cost, that is worth 1, 2, …
    observations; one where the right image's disparity differs by more than its rounding."""
    precise_m: float = 0.01
    """Depth errors up to which depth is worth that; beyond, less by the square of the error."""
    error_max_m: float = math.inf
    """Depths that are less precise are dropped."""
    hole_px: int = 0
    """Holes up to so wide take the depth of what lies behind, worth one observation; 0: none."""

    def __post_init__(self) -> None:
        for name in ("precise_m", "error_max_m"):
            if not getattr(self, name) > 0:
                raise InputError(f"{name} is {getattr(self, name)}, must be positive")
        if self.hole_px < 0:
            raise InputError(f"hole_px is {self.hole_px}, must not be negative")
        if not 0 < len(self.uniqueness) <= CONFIDENCE_MAX:
            raise InputError(
                f"uniqueness has {len(self.uniqueness)} levels, must be 1 to {CONFIDENCE_MAX}"
            )


class StereoDepth:
    """Measures depth against the picture of a second camera. Implements `DepthSource`.

    Depth is f · b / d, in metres; where it lies by 1/4 px of disparity d less precisely than
    asked for, it is worth less: σ_z = z² / (f · b) · σ_d.
    """

    def __init__(
        self,
        calibration: StereoCalibration,
        settings: StereoDepthSettings | None = None,
        backend: Backend | None = None,
    ) -> None:
        """Make a source for a pair of cameras, on a device or, if there is none, on the CPU."""
        self._settings = settings or StereoDepthSettings()
        self._pair = RectifiedPair(calibration)
        self._matcher = StereoMatcher(self._settings.match, backend)
        self._rights: deque[tuple[int, NDArray[np.uint8]]] = deque(maxlen=_RIGHTS_KEPT)

    @property
    def camera(self) -> Camera:
        """The left camera without its distortion: that of the depth images."""
        return self._pair.unturned

    @property
    def depth_min_m(self) -> float:
        """What is nearer is not searched."""
        return self._pair.disparity_m_px / (self._settings.match.disparities - 1)

    def take_right(self, capture_ns: int, right: NDArray[np.uint8]) -> None:
        """Keep the right camera's picture for the frame of that instant, which comes next."""
        self._rights.append((capture_ns, right))

    def depth(self, frame: Frame, context: DepthContext) -> EstimatedDepth | None:
        """Measure the depth of a frame of the left camera; None if it has no right picture.

        In metres. Raises FrameError if a picture has another size than its camera.
        """
        for capture_ns, right in self._rights:
            if capture_ns == frame.capture_ns:
                return self.measure(frame.color, right)
        return None

    def measure(self, left: NDArray[np.uint8], right: NDArray[np.uint8]) -> EstimatedDepth:
        """Measure the depth of a pair of pictures, RGB or gray, as their cameras give them.

        Raises FrameError if one has another size than its camera, DeviceMemoryError if the device
        has no room.
        """
        match = self._matcher.match(*self._pair.rectify(left, right))
        holes = self._settings.hole_px
        disparity_px = match.filled(holes) if holes else match.disparity_px
        is_none = (disparity_px <= 0) | ~self._is_seen(disparity_px)
        depth_m = np.divide(self._pair.disparity_m_px, np.where(is_none, np.inf, disparity_px))
        confidence = self._confidence(match, depth_m)
        depth_m = np.where(confidence > 0, depth_m, 0).astype(np.float32)
        estimated = EstimatedDepth(self._pair.unturn(depth_m), self._pair.unturn_image(confidence))
        estimated.depth_m.flags.writeable = estimated.confidence.flags.writeable = False
        return estimated

    def close(self) -> None:
        """Give back the device's memory."""
        self._matcher.close()

    def _is_seen(self, disparity_px: NDArray[np.float32]) -> NDArray[np.bool_]:
        """(H, W) where both cameras see what a disparity says."""
        columns = np.arange(disparity_px.shape[1])
        there = np.maximum(columns - np.rint(disparity_px).astype(np.int64), 0)
        right_seen = np.take_along_axis(self._pair.right_seen, there, axis=1)
        return np.asarray(self._pair.left_seen & right_seen)

    def _confidence(self, match: StereoMatch, depth_m: NDArray[np.float64]) -> NDArray[np.uint8]:
        """What each depth is worth; those filled in one observation, those too coarse none."""
        worth = np.searchsorted(self._settings.uniqueness, match.uniqueness, side="right")
        worth[match.difference_px > 1] = 1
        error_m = depth_m**2 * (_ERROR_PX / self._pair.disparity_m_px)
        share = np.minimum(1, (self._settings.precise_m / np.maximum(error_m, 1e-9)) ** 2)
        weighted = np.maximum(np.rint(worth * share), worth > 0)
        weighted[match.disparity_px == 0] = 1
        weighted[(depth_m == 0) | (error_m > self._settings.error_max_m)] = 0
        return weighted.astype(np.uint8)
