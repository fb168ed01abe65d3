"""What the depth filter computes, in NumPy: the definition that devices are held against.

float32 throughout, one rounding per operation, in the order written here.
"""

import numpy as np
from numpy.typing import NDArray

from gpu.grid import FusionGrid, Pinhole

f32 = np.float32
SPATIAL = np.array([1, 4, 6, 4, 1], f32)
GATE_SIGMAS, GATE_MOST = f32(5), f32(0.5)
LEAST_AGREEING = 8
STEEPEST, LEAST_COS2 = f32(5.671282), f32(0.03015369)
MOST, PER_VARIANCE = 4, f32(70433.33)


def sigma_m(depth_m: NDArray[np.float32]) -> NDArray[np.float32]:
    """Nguyen et al. 2012, eq. 3."""
    beyond_m = depth_m - f32(0.4)
    return f32(0.0012) + f32(0.0019) * (beyond_m * beyond_m)


def gate_m(depth_m: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.minimum(GATE_SIGMAS * sigma_m(depth_m), GATE_MOST * depth_m)


def metres(depth, depth_scale_m: float, confidence, grid: FusionGrid) -> NDArray[np.float32]:
    """(H, W), 0: does not count."""
    depth_m = depth.astype(f32) * f32(depth_scale_m)
    counts = (depth_m >= f32(grid.depth_min_m)) & (depth_m <= f32(grid.depth_max_m))
    if confidence is not None:
        counts &= confidence > 0
    return np.where(counts, depth_m, f32(0))


def smoothed(depth_m: NDArray[np.float32]) -> NDArray[np.float32]:
    """(H, W), 0: there is none, or fewer than 8 of its window are of its surface."""
    height, width = depth_m.shape
    padded = np.pad(depth_m, 2)
    inverse_gate = f32(1) / gate_m(np.where(depth_m > 0, depth_m, f32(1)))
    weights, shifts, agreeing = np.zeros((3, height, width), f32)
    for y in range(5):
        for x in range(5):
            off_m = padded[y : y + height, x : x + width] - depth_m
            ratio = off_m * inverse_gate
            rest = np.maximum(f32(1) - ratio * ratio, f32(0))
            weight = (rest * rest) * (SPATIAL[y] * SPATIAL[x])
            weights = weights + weight
            shifts = shifts + weight * off_m
            agreeing += rest > 0
    counts = (depth_m > 0) & (agreeing >= LEAST_AGREEING)
    shift_m = shifts / np.maximum(weights, f32(1))
    return np.where(counts, depth_m + shift_m, f32(0))


def observations(depth_m: NDArray[np.float32], camera: Pinhole) -> NDArray[np.int64]:
    """(H, W) how many observations a pixel counts for: cos θ / σ(z)² in whole ones."""
    focal, centre = camera.focal_px.astype(f32), camera.centre_px.astype(f32)
    inverse = (1 / camera.focal_px).astype(f32)
    v, u = np.mgrid[: camera.height_px, : camera.width_px].astype(f32)
    x, y = (u - centre[0]) * inverse[0], (v - centre[1]) * inverse[1]
    slope_u, known_u = _slope(depth_m, 1, inverse[0])
    slope_v, known_v = _slope(depth_m, 0, inverse[1])
    a, b = slope_u * focal[0], slope_v * focal[1]
    along = (depth_m + a * x) + b * y
    normal2 = (a * a + b * b) + along * along
    ray2 = (x * x + y * y) + f32(1)
    known = known_u & known_v
    depth2, lengths2 = depth_m * depth_m, normal2 * ray2
    sigma = sigma_m(depth_m)
    unit = (sigma * sigma) * PER_VARIANCE
    count = np.ones(depth_m.shape, np.int64)
    for more in range(2, MOST + 1):
        bound = (f32(more) - f32(0.5)) * unit
        count += depth2 >= (bound * bound) * lengths2
    return np.where(known & (depth2 >= LEAST_COS2 * lengths2), count, 0)


def _slope(depth_m, axis: int, inverse_focal: np.float32):
    """Of the depth along an axis, from neighbours on its surface; and whether there is one."""
    reach_m = gate_m(depth_m) + (STEEPEST * depth_m) * inverse_focal
    before_m, after_m = np.zeros_like(depth_m), np.zeros_like(depth_m)
    np.moveaxis(before_m, axis, 0)[1:] = np.moveaxis(depth_m, axis, 0)[:-1]
    np.moveaxis(after_m, axis, 0)[:-1] = np.moveaxis(depth_m, axis, 0)[1:]
    has_before = (before_m > 0) & (np.abs(before_m - depth_m) <= reach_m)
    has_after = (after_m > 0) & (np.abs(after_m - depth_m) <= reach_m)
    low_m, high_m = np.where(has_before, before_m, depth_m), np.where(has_after, after_m, depth_m)
    share = np.where(has_before & has_after, f32(0.5), f32(1))
    return (high_m - low_m) * share, has_before | has_after


def filtered(depth, depth_scale_m: float, confidence, grid: FusionGrid, camera: Pinhole):
    """(H, W) float32 metres, 0: none, and (H, W) uint8 confidence."""
    depth_m = smoothed(metres(depth, depth_scale_m, confidence, grid))
    count = observations(depth_m, camera)
    if confidence is not None:
        count = np.minimum(count * confidence, 255)
    return np.where(count > 0, depth_m, f32(0)), count.astype(np.uint8)
