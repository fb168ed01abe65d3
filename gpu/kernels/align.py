"""Aligning a view to the distance field: points of a depth image, the field there, and a step.

The field is trilinear in the cell around a point, as in `raycast`; its slope is that of the same
interpolation, so that a step along it changes the distance as it says. Bylow et al. 2013, III-B.
"""

import numpy as np
from numba import float32, int32, njit, uint32

from gpu.kernels import DISTANCE_STEPS, JIT, WEIGHT_LIMIT
from gpu.kernels.hashing import find_slot, pack_key

TAP_PX = 2
"""A point's depth is the mean of 3 × 3 pixels so far apart: a third of the noise."""
_STEP_SHARE = 0.03
"""Pixels whose depths differ by a larger share lie on both sides of an edge."""


# One call = one image, serial. `depth` (H, W) uint16 or float32; `points` (N, 3) float32 metres in
# the camera's frame, row by row. Races: none. Bounds: N ≥ (H / stride) · (W / stride). Returns how
# many points there are: one at the middle of each `stride_px` square where the depth is smooth.
@njit(**JIT)
def sample_depth(depth, depth_scale_m, low_m, high_m, stride_px, focal_px, centre_px, points):
    """Spread points over the smooth parts of a depth image."""
    height, width = depth.shape
    scale_m = float32(depth_scale_m)
    found = 0
    for v in range(stride_px // 2, height - TAP_PX, stride_px):
        for u in range(stride_px // 2, width - TAP_PX, stride_px):
            middle_m = float32(depth[v, u]) * scale_m
            if not low_m <= middle_m <= high_m or u < TAP_PX or v < TAP_PX:
                continue
            step_m = float32(_STEP_SHARE) * middle_m
            total_m, is_smooth = float32(0), True
            for dv in range(-TAP_PX, TAP_PX + 1, TAP_PX):
                for du in range(-TAP_PX, TAP_PX + 1, TAP_PX):
                    tap_m = float32(depth[v + dv, u + du]) * scale_m
                    is_smooth &= abs(tap_m - middle_m) <= step_m
                    total_m += tap_m
            if is_smooth:
                z = total_m * float32(1 / 9)
                points[found, 0] = float32((u - centre_px[0]) / focal_px[0]) * z
                points[found, 1] = float32((v - centre_px[1]) / focal_px[1]) * z
                points[found, 2] = z
                found += 1
    return found


# One call = all points, serial. `points` (N, 3) float32 in the camera's frame, `grid_from_camera`
# (3, 4) float64: metres to voxel indices. Writes `distances` (N,) float32 in truncations, NaN where
# a corner of the point's cell has less weight than `min_weight`, and `slopes` (N, 3) float32, its
# derivative along the grid's axes, per voxel. Races: none. Points near each other should follow
# each other: the block of the one before is not looked up again.
@njit(**JIT)
def sample_field(points, grid_from_camera, min_weight, pool, distances, slopes):
    """Read the field at points."""
    # Taken out of the tuple once: each time counts references.
    upper, sdf_sum, counts = pool.upper, pool.sdf_sum, pool.counts
    keys, slots = pool.bucket_keys, pool.bucket_slots
    m = grid_from_camera
    least = uint32(min_weight)
    last_x, last_y, last_z, slot = int32(1 << 30), int32(0), int32(0), int32(-1)
    corner = np.empty(8, np.float32)
    for i in range(points.shape[0]):
        distances[i] = np.nan
        px, py, pz = points[i, 0], points[i, 1], points[i, 2]
        gx = m[0, 0] * px + m[0, 1] * py + m[0, 2] * pz + m[0, 3]
        gy = m[1, 0] * px + m[1, 1] * py + m[1, 2] * pz + m[1, 3]
        gz = m[2, 0] * px + m[2, 1] * py + m[2, 2] * pz + m[2, 3]
        x, y, z = int32(np.floor(gx)), int32(np.floor(gy)), int32(np.floor(gz))
        if (x >> 3) != last_x or (y >> 3) != last_y or (z >> 3) != last_z:
            last_x, last_y, last_z = x >> 3, y >> 3, z >> 3
            slot = find_slot(keys, slots, pack_key(last_x, last_y, last_z))
        if slot < 0:
            continue
        if not _read_cell(slot, x & 7, y & 7, z & 7, least, upper, sdf_sum, counts, corner):
            continue
        fx, fy, fz = float32(gx - x), float32(gy - y), float32(gz - z)
        # Differences along x at the cell's four edges (y, z), values on them, then along y and z.
        e00, e10 = corner[1] - corner[0], corner[3] - corner[2]
        e01, e11 = corner[5] - corner[4], corner[7] - corner[6]
        v00, v10 = corner[0] + fx * e00, corner[2] + fx * e10
        v01, v11 = corner[4] + fx * e01, corner[6] + fx * e11
        near, far = v00 + fy * (v10 - v00), v01 + fy * (v11 - v01)
        near_x, far_x = e00 + fy * (e10 - e00), e01 + fy * (e11 - e01)
        distances[i] = near + fz * (far - near)
        slopes[i, 0] = near_x + fz * (far_x - near_x)
        slopes[i, 1] = (v10 - v00) + fz * ((v11 - v01) - (v10 - v00))
        slopes[i, 2] = far - near


# One call = the cell whose first corner is voxel (x, y, z) of `slot`. Writes the mean distances of
# its corners (bits x, y, z) in truncations; False if one is not known well enough.
@njit(**JIT)
def _read_cell(slot, x, y, z, least, upper, sdf_sum, counts, corner):
    for k in range(8):
        cx, cy, cz = x + (k & 1), y + ((k >> 1) & 1), z + (k >> 2)
        owner = upper[slot, (cx >> 3) | ((cy >> 3) << 1) | ((cz >> 3) << 2)]
        if owner < 0:
            return False
        voxel = (cz & 7) * 64 + (cy & 7) * 8 + (cx & 7)
        weight = counts[owner, voxel] & uint32(WEIGHT_LIMIT)
        if weight < least:
            return False
        mean = float32(sdf_sum[owner, voxel]) / float32(weight)
        corner[k] = mean * float32(1.0 / DISTANCE_STEPS)
    return True


# One call = all points, serial. `points`, `distances` and `slopes` as `sample_field` has them,
# `camera_from_grid` (3, 3) float64 a rotation, `sigmas_m` (N,) float32. A twist (v, w) moves a
# point p by v + w × p in the camera's frame; rotations count in units of 1 / `lever_m`. Writes the
# sums of weight · JᵀJ (6, 6) and weight · J · residual (6,), float64, over points whose residual is
# within `limit` sigmas, weighted by Tukey's biweight and the sigma. Returns the sums of the weights
# and of weight · residual². Races: none.
@njit(**JIT)
def sum_normal_equations(
    points,
    distances,
    slopes,
    camera_from_grid,
    sigmas_m,
    truncation_m,
    voxel_size_m,
    lever_m,
    limit,
    normal,
    gradient,
):
    """Linearise the distances of points in a small motion of the camera."""
    normal[:] = 0
    gradient[:] = 0
    m = camera_from_grid
    slope_scale = truncation_m / voxel_size_m
    weights = squares = 0.0
    row = np.empty(6, np.float64)
    for i in range(points.shape[0]):
        residual_m = distances[i] * truncation_m
        ratio = residual_m / (limit * sigmas_m[i])
        if not abs(ratio) < 1:  # NaN, too
            continue
        weight = (1 - ratio * ratio) ** 2 / (sigmas_m[i] * sigmas_m[i])
        for axis in range(3):
            row[axis] = slope_scale * (
                m[axis, 0] * slopes[i, 0] + m[axis, 1] * slopes[i, 1] + m[axis, 2] * slopes[i, 2]
            )
        x, y, z = points[i, 0], points[i, 1], points[i, 2]
        row[3] = (y * row[2] - z * row[1]) / lever_m
        row[4] = (z * row[0] - x * row[2]) / lever_m
        row[5] = (x * row[1] - y * row[0]) / lever_m
        weights += weight
        squares += weight * residual_m * residual_m
        for j in range(6):
            gradient[j] += weight * row[j] * residual_m
            for k in range(j, 6):
                normal[j, k] += weight * row[j] * row[k]
    for j in range(6):
        for k in range(j):
            normal[j, k] = normal[k, j]
    return weights, squares
