"""Places that the tracker did not recognise: keyframes whose poses disagree with what both see."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pycolmap
from numpy.typing import NDArray

from slam.constraint import Constraint
from slam.geometry import Mat4, inverse
from slam.refine_features import Features
from slam.refine_matching import Matches, normalised
from slam.refine_model import Pair, resection_covariance

_MIN_INLIERS = 30
_MAX_ERROR_PX = 3.0
_AGREEING = 2
"""So many pairs of keyframes must ask for the same correction."""
_MAX_DIFFERENCE = 0.05
"""Of two corrections that are the same, over the scene's depth."""
_MAX_DIFFERENCE_DEG = 2.0
_INFLATION = 2.0
_MIN_SIGMA, _MIN_SIGMA_RAD = 0.005, 0.004
"""Over the depth, and radians: a loop brings keyframes near enough to be adjusted together, which
tells better where they are than the depths of a single one."""


@dataclass(frozen=True, slots=True)
class Loop:
    """Where the second keyframe is as the first one's depths and the second one's pixels say."""

    pair: Pair
    constraint: Constraint

    def correction(self, world_from_keyframe: Mapping[int, Mat4]) -> Mat4:
        """How the second keyframe's world moves if the first one's is right."""
        first, second = (world_from_keyframe[key] for key in self.pair)
        moved: Mat4 = first @ self.constraint.first_from_second @ inverse(second)
        return moved


class LoopFinder:
    """Measures loops and believes them as soon as others say the same."""

    def __init__(self, camera: pycolmap.Camera) -> None:
        self._camera = camera
        self._waiting: dict[Pair, Loop] = {}
        self._told: set[Pair] = set()

    def add(self, pair: Pair, first: Features, second: Features, matches: Matches) -> None:
        """Take note of keyframes that see the same, but not from where they are said to be."""
        if pair not in self._told and pair not in self._waiting:
            loop = measure(self._camera, pair, first, second, matches)
            if loop is not None:
                self._waiting[pair] = loop

    def take(
        self, world_from_keyframe: Mapping[int, Mat4], scene_depth: float
    ) -> tuple[Constraint, ...]:
        """Those that agree with another one, once."""
        loops = [
            loop for loop in self._waiting.values() if set(loop.pair) <= world_from_keyframe.keys()
        ]
        agreed = [
            loop
            for loop in loops
            if sum(_agree(loop, other, world_from_keyframe, scene_depth) for other in loops)
            >= _AGREEING  # it agrees with itself
        ]
        for loop in agreed:
            del self._waiting[loop.pair]
            self._told.add(loop.pair)
        return tuple(loop.constraint for loop in agreed)


def measure(
    camera: pycolmap.Camera, pair: Pair, first: Features, second: Features, matches: Matches
) -> Loop | None:
    """Find the second keyframe from the first one's points with depth (Lepetit et al. 2009)."""
    depths = first.depths[matches[:, 0]]
    matches, depths = matches[depths > 0], depths[depths > 0]
    if len(matches) < _MIN_INLIERS:
        return None
    rays = normalised(camera, first.points_px[matches[:, 0]])
    points_first = rays * depths[:, None]
    options = pycolmap.AbsolutePoseEstimationOptions()
    options.ransac.max_error = _MAX_ERROR_PX
    options.ransac.random_seed = 0
    found = pycolmap.estimate_and_refine_absolute_pose(
        second.points_px[matches[:, 1]], points_first, camera, options
    )
    if found is None or found["num_inliers"] < _MIN_INLIERS:
        return None
    inlier = np.asarray(found["inlier_mask"], bool)
    second_from_first = found["cam_from_world"]
    points_second = second_from_first * points_first[inlier]
    covariance = resection_covariance(points_second, camera.mean_focal_length())
    sigma_rad, sigma = _INFLATION * np.sqrt(np.diag(covariance).reshape(2, 3).mean(axis=1))
    scale, sigma_log_scale = _scale(points_second[:, 2], second, matches[inlier, 1])
    first_from_second = np.eye(4)
    first_from_second[:3] = second_from_first.inverse().matrix()
    constraint = Constraint(
        "refinement",
        *pair,
        first_from_second,
        max(float(sigma), _MIN_SIGMA * float(np.median(points_second[:, 2]))),
        max(float(sigma_rad), _MIN_SIGMA_RAD),
        scale,
        sigma_log_scale,
    )
    return Loop(pair, constraint)


def _scale(
    depths: NDArray[np.float64], second: Features, rows: NDArray[np.uint32]
) -> tuple[float, float]:
    """Monocular: what the second keyframe's lengths are in the first one's unit, and how surely."""
    own = second.depths[rows]
    if second.is_sensed or np.count_nonzero(own) < _MIN_INLIERS:
        return 1.0, 0.0
    log_scale = np.log(depths[own > 0] / own[own > 0])
    middle = np.median(log_scale)
    spread = np.median(np.abs(log_scale - middle)) / 0.6745
    return float(np.exp(middle)), float(_INFLATION * spread / np.sqrt(len(log_scale)) + 1e-3)


def _agree(
    loop: Loop, other: Loop, world_from_keyframe: Mapping[int, Mat4], scene_depth: float
) -> bool:
    """Whether two corrections take the one's second keyframe to the same place."""
    pose = world_from_keyframe[loop.pair[1]]
    here = loop.correction(world_from_keyframe) @ pose
    there = other.correction(world_from_keyframe) @ pose
    distance = np.linalg.norm(here[:3, 3] - there[:3, 3])
    cosine = (np.trace(here[:3, :3].T @ there[:3, :3]) - 1) / 2
    angle_deg = np.degrees(np.arccos(np.clip(cosine, -1.0, 1.0)))
    return bool(distance < _MAX_DIFFERENCE * scene_depth and angle_deg < _MAX_DIFFERENCE_DEG)
