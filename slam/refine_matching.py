"""Which keyframes see the same, and which of their features are the same."""

from collections.abc import Mapping, Sequence

import numpy as np
import pycolmap
from numpy.typing import NDArray

from slam.geometry import Mat4
from slam.refine_device import MatchingDevice
from slam.refine_features import DESCRIPTOR_LENGTH, Features

_MAX_ANGLE_DEG = 50.0
_MAX_DISTANCE = 0.8
"""Of the scene's depth: further apart two keyframes hardly have features in common."""
_NEIGHBOURS = 8
_RETRIEVED = 2
_MIN_LIKENESS = 0.12
_RATIO = 0.8
_MAX_ANGLE_RAD = 0.7
"""Between the descriptors of a match."""
_MAX_ERROR_PX = 2.0
MIN_MATCHES = 15
CONSISTENT_PX = 4.0
"""Matches further from where the poses say are wrong, or of a loop that is open."""
_MOST = 0.7

Matches = NDArray[np.uint32]
"""(M, 2) feature indices in the first and the second keyframe."""


def nearby(
    key: int, world_from_keyframe: Mapping[int, Mat4], scene_depth: float
) -> dict[int, float]:
    """How far away others are that look at about the same: distance over depth plus angle."""
    others = [other for other in world_from_keyframe if other != key]
    if not others:
        return {}
    poses = np.array([world_from_keyframe[other] for other in others])
    here = world_from_keyframe[key]
    distance = np.linalg.norm(poses[:, :3, 3] - here[:3, 3], axis=1) / scene_depth
    cosine = np.clip(poses[:, :3, 2] @ here[:3, 2], -1.0, 1.0)
    angle = np.degrees(np.arccos(cosine)) / _MAX_ANGLE_DEG
    is_near = (distance < _MAX_DISTANCE) & (angle < 1)
    return {other: float(distance[i] + angle[i]) for i, other in enumerate(others) if is_near[i]}


def guided(key: int, world_from_keyframe: Mapping[int, Mat4], scene_depth: float) -> list[int]:
    """The keyframes that see most of what `key` sees, if the poses are right, nearest first."""
    near = nearby(key, world_from_keyframe, scene_depth)
    return sorted(near, key=near.__getitem__)[:_NEIGHBOURS]


def retrieved(key: int, features: Mapping[int, Features], but: Sequence[int]) -> list[int]:
    """The keyframes whose pictures are most like that of `key`, wherever they are said to be."""
    others = [other for other in features if other != key and other not in but]
    if not others:
        return []
    likeness = np.array([features[other].likeness for other in others]) @ features[key].likeness
    best = np.argsort(-likeness)[:_RETRIEVED]
    return [others[i] for i in best if likeness[i] > _MIN_LIKENESS]


def match(first: Features, second: Features, device: MatchingDevice) -> Matches:
    """Mutual nearest neighbours that are clearly nearer than the next (Lowe 2004)."""
    found = device.nearest(first.descriptors, second.descriptors)
    if min(len(found.index), len(found.back)) < 2:
        return np.empty((0, 2), np.uint32)
    lengths = np.sqrt([found.distance, found.next_distance])
    angle, next_angle = 2 * np.arcsin(np.minimum(lengths / (2 * DESCRIPTOR_LENGTH), 1.0))
    rows = np.arange(len(found.index))
    is_mutual = found.back[found.index] == rows
    is_clear = is_mutual & (angle < _RATIO * next_angle) & (angle < _MAX_ANGLE_RAD)
    return np.stack([rows[is_clear], found.index[is_clear]], axis=1).astype(np.uint32)


def verified(
    camera: pycolmap.Camera,
    first: Features,
    second: Features,
    matches: Matches,
    second_from_first: Mat4,
) -> Matches:
    """Those of the matches that one rigid motion explains; none if they are too few.

    The motion that the poses tell, if most matches agree with it; otherwise another is searched.
    """
    if len(matches) < MIN_MATCHES:
        return matches[:0]
    errors_px = epipolar_errors_px(camera, first, second, matches, second_from_first)
    inliers = matches[errors_px < CONSISTENT_PX]
    if len(inliers) < _MOST * len(matches):
        inliers = _searched(camera, first, second, matches)
    return inliers if len(inliers) >= MIN_MATCHES else inliers[:0]


def _searched(
    camera: pycolmap.Camera, first: Features, second: Features, matches: Matches
) -> Matches:
    options = pycolmap.TwoViewGeometryOptions(min_num_inliers=MIN_MATCHES)
    options.ransac.max_error = _MAX_ERROR_PX
    options.ransac.random_seed = 0
    geometry = pycolmap.estimate_calibrated_two_view_geometry(
        camera, first.points_px, camera, second.points_px, matches, options
    )
    return np.asarray(geometry.inlier_matches, np.uint32).reshape(-1, 2)


def epipolar_errors_px(
    camera: pycolmap.Camera,
    first: Features,
    second: Features,
    matches: Matches,
    second_from_first: Mat4,
) -> NDArray[np.float64]:
    """(M,) distance of matches from where two poses say: √ of Sampson's error, in pixels."""
    x, y = (
        normalised(camera, side.points_px[matches[:, i]]) for i, side in enumerate((first, second))
    )
    tx, ty, tz = second_from_first[:3, 3]
    essential = np.array([[0, -tz, ty], [tz, 0, -tx], [-ty, tx, 0]]) @ second_from_first[:3, :3]
    lines_second, lines_first = x @ essential.T, y @ essential
    gradient = np.hypot(
        np.linalg.norm(lines_second[:, :2], axis=1), np.linalg.norm(lines_first[:, :2], axis=1)
    )
    errors = np.abs((y * lines_second).sum(axis=1)) / np.maximum(gradient, 1e-12)
    return np.asarray(errors * camera.mean_focal_length(), np.float64)


def normalised(camera: pycolmap.Camera, points_px: NDArray[np.float64]) -> NDArray[np.float64]:
    """(N, 3) where the rays through (N, 2) pixels are at z = 1."""
    rays = np.ones((len(points_px), 3))
    rays[:, :2] = camera.cam_from_img(points_px)
    return rays
