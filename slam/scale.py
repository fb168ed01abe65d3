"""How many metres a unit of a monocular map has.

The sources, best first: "imu" (the tracker is metric itself), "declared" (`declared_scale` of the
first tracked frame: whoever declares it means it), "network" (`ScaleEstimator` over the first
frames with depth), "none" (the map is "unscaled"). Whoever owns the map asks again at each
map_number, and gives a settled scale to the pose graph, once: another scale is another map.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from slam.geometry import Mat4, inverse

_FEWEST_PAIRS = 20
"""Points of one keyframe; fewer tell more of their own errors than of the scale."""
_FEWEST_KEYFRAMES, _MOST_KEYFRAMES = 5, 15
_PRECISE = 0.05
"""Relative error of the scale at which it is settled before all keyframes are there."""
_SIGMA_OF_MAD = 1.4826
_ERROR_OF_MEDIAN = 1.2533
"""Standard error of a median by that of a mean, of normal values."""


@dataclass(frozen=True, slots=True)
class ScaleEstimate:
    """A scale and how far it can be trusted."""

    metres_per_unit: float
    relative_error: float
    """One sigma, from how the keyframes disagree; an error that they share is not in it."""
    keyframes: int

    @property
    def is_settled(self) -> bool:
        """Whether more keyframes would hardly change it."""
        precise = self.keyframes >= _FEWEST_KEYFRAMES and self.relative_error <= _PRECISE
        return precise or self.keyframes >= _MOST_KEYFRAMES


class ScaleEstimator:
    """Collects what a metric depth network says of a map's points, keyframe by keyframe."""

    def __init__(self) -> None:
        self._log_scales: list[float] = []

    def add(self, depth_units: NDArray[np.floating], depth_m: NDArray[np.floating]) -> bool:
        """Take one keyframe: (N,) depths of its map points, and what the network says there.

        Pairs with a depth that is not positive and finite do not count. Returns whether the
        keyframe had the 20 pairs that it takes.
        """
        usable = (depth_units > 0) & (depth_m > 0) & np.isfinite(depth_units) & np.isfinite(depth_m)
        if np.count_nonzero(usable) < _FEWEST_PAIRS:
            return False
        log_ratios = np.log(depth_m[usable].astype(np.float64) / depth_units[usable])
        self._log_scales.append(float(np.median(log_ratios)))
        return True

    @property
    def estimate(self) -> ScaleEstimate | None:
        """The median over the keyframes, each of which is a median over its points."""
        if not self._log_scales:
            return None
        log_scale = float(np.median(self._log_scales))
        deviation = float(np.median(np.abs(np.array(self._log_scales) - log_scale)))
        keyframes = len(self._log_scales)
        error = _ERROR_OF_MEDIAN * _SIGMA_OF_MAD * deviation / np.sqrt(keyframes)
        return ScaleEstimate(float(np.exp(log_scale)), float(np.expm1(error)), keyframes)


def declared_scale(points_camera: NDArray[np.floating], scene_depth_m: float) -> float | None:
    """Metres per unit, at which the median depth of (N, 3) points that a view sees is as declared.

    None if there are none in front of the camera.
    """
    depths = points_camera[:, 2][points_camera[:, 2] > 0]
    return scene_depth_m / float(np.median(depths)) if len(depths) else None


def camera_points(
    points_tracker: NDArray[np.float32], tracker_from_camera: Mat4
) -> NDArray[np.float64]:
    """(N, 3) points in camera coordinates."""
    camera_from_tracker = inverse(tracker_from_camera)
    points: NDArray[np.float64] = (
        points_tracker @ camera_from_tracker[:3, :3].T + camera_from_tracker[:3, 3]
    )
    return points
