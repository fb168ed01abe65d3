"""How many metres a unit of a monocular map has.

The sources, best first: "imu" (the tracker is metric itself), "network" (`ScaleEstimator` over the
first keyframes), "declared" (`declared_scale` of the first tracked frames), "none" (the map is
"unscaled"). Whoever owns the map asks again at each map_number, and gives a settled scale to the
pose graph, once: another scale is another map.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from slam.camera import Camera
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


def depth_pairs(
    points_tracker: NDArray[np.float32],
    tracker_from_camera: Mat4,
    camera: Camera,
    depth_m: NDArray[np.float32],
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """(N,) depths of map points in a view, and (N,) depths (H, W) at their nearest pixels.

    Only points in front of the camera and inside its image. `depth_m` has 0 where there is none.
    """
    points_camera = camera_points(points_tracker, tracker_from_camera)
    points_camera = points_camera[points_camera[:, 2] > 0]
    x, y, z = points_camera.T
    u = np.rint(camera.fx_px * x / z + camera.cx_px)
    v = np.rint(camera.fy_px * y / z + camera.cy_px)
    inside = (u >= 0) & (u < camera.width_px) & (v >= 0) & (v < camera.height_px)
    rows, columns = v[inside].astype(np.intp), u[inside].astype(np.intp)
    return z[inside], depth_m[rows, columns].astype(np.float64)


def declared_scale(
    views: Sequence[NDArray[np.floating]], scene_depth_m: float
) -> ScaleEstimate | None:
    """The scale at which the scene's median depth is as declared.

    `views`: (N, 3) points in camera coordinates of each of the first tracked frames, a handful.
    None if they have no points in front of the camera.
    """
    depths = [points_camera[:, 2][points_camera[:, 2] > 0] for points_camera in views]
    medians = np.array([np.median(depth) for depth in depths if len(depth)])
    if not len(medians):
        return None
    scales = scene_depth_m / medians
    metres_per_unit = float(np.median(scales))
    spread = float(np.median(np.abs(scales - metres_per_unit)))
    return ScaleEstimate(metres_per_unit, _SIGMA_OF_MAD * spread / metres_per_unit, len(medians))


def camera_points(
    points_tracker: NDArray[np.float32], tracker_from_camera: Mat4
) -> NDArray[np.float64]:
    """(N, 3) points in camera coordinates."""
    camera_from_tracker = inverse(tracker_from_camera)
    points: NDArray[np.float64] = (
        points_tracker @ camera_from_tracker[:3, :3].T + camera_from_tracker[:3, 3]
    )
    return points
