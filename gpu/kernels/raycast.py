"""Rendering a volume: where rays first enter a surface, its colour and normal.

First each image tile learns between which depths blocks lie, then its rays march there only; as
InfiniTAM, Prisacariu et al. 2014, §4.1. The surface is that of `marching_cubes`: the trilinear
distance in cells whose 8 corners have enough weight.
"""

import numpy as np
from numba import float32, int32, njit, prange, uint32

from gpu.kernels import BLOCK_VOX, DISTANCE_STEPS, JIT, WEIGHT_LIMIT
from gpu.kernels.hashing import find_slot, pack_key

TILE_PX = 8
NEAREST_M = 0.05
_INVALID = 2.0
"""No distance; those are in [-1, 1]."""


# One call = all blocks, serial. `camera_from_grid` (3, 4) float64: voxel indices to metres.
# `ranges` (rows, columns, 2) float32: nearest and farthest depth of blocks over each tile; a block
# that reaches behind the camera lies over all of them. Bounds: `count` places are taken.
@njit(**JIT)
def tile_ranges(pool, count, camera_from_grid, focal_px, centre_px, ranges):
    """Find the depths between which the rays of each tile can meet a block."""
    m = camera_from_grid
    rows, columns = ranges.shape[:2]
    ranges[:, :, 0] = np.inf
    ranges[:, :, 1] = 0
    for slot in range(count):
        near, far = np.inf, -np.inf
        u_low, u_high, v_low, v_high = np.inf, -np.inf, np.inf, -np.inf
        for corner in range(8):
            gx = float(BLOCK_VOX * (pool.coords[slot, 0] + (corner & 1)))
            gy = float(BLOCK_VOX * (pool.coords[slot, 1] + ((corner >> 1) & 1)))
            gz = float(BLOCK_VOX * (pool.coords[slot, 2] + (corner >> 2)))
            x = m[0, 0] * gx + m[0, 1] * gy + m[0, 2] * gz + m[0, 3]
            y = m[1, 0] * gx + m[1, 1] * gy + m[1, 2] * gz + m[1, 3]
            z = m[2, 0] * gx + m[2, 1] * gy + m[2, 2] * gz + m[2, 3]
            near, far = min(near, z), max(far, z)
            inverse_z = 1.0 / max(z, 1e-6)
            u = focal_px[0] * x * inverse_z + centre_px[0]
            v = focal_px[1] * y * inverse_z + centre_px[1]
            u_low, u_high = min(u_low, u), max(u_high, u)
            v_low, v_high = min(v_low, v), max(v_high, v)
        if far <= NEAREST_M:
            continue
        first_column, last_column, first_row, last_row = 0, columns - 1, 0, rows - 1
        if near > NEAREST_M:
            if u_high < 0 or v_high < 0 or u_low >= columns * TILE_PX or v_low >= rows * TILE_PX:
                continue
            first_column = max(int(u_low) // TILE_PX, 0)
            first_row = max(int(v_low) // TILE_PX, 0)
            last_column = int(min(u_high / TILE_PX, columns - 1.0))
            last_row = int(min(v_high / TILE_PX, rows - 1.0))
        for row in range(first_row, last_row + 1):
            for column in range(first_column, last_column + 1):
                ranges[row, column, 0] = min(ranges[row, column, 0], max(near, NEAREST_M))
                ranges[row, column, 1] = max(ranges[row, column, 1], far)


# `memo` (4,) int32: block coordinates and slot of the last block looked up by this thread.
@njit(inline="always")
def _slot_at(x, y, z, keys, slots, memo):
    bx, by, bz = x >> 3, y >> 3, z >> 3
    if bx != memo[0] or by != memo[1] or bz != memo[2]:
        memo[0], memo[1], memo[2] = bx, by, bz
        memo[3] = find_slot(keys, slots, pack_key(bx, by, bz))
    return memo[3]


# The cell's corner `corner` (bits x, y, z) as slot and voxel index; slot -1 where no block is.
@njit(inline="always")
def _corner_voxel(slot, upper, x, y, z, corner):
    cx = (x & 7) + (corner & 1)
    cy = (y & 7) + ((corner >> 1) & 1)
    cz = (z & 7) + (corner >> 2)
    owner = upper[slot, (cx >> 3) | ((cy >> 3) << 1) | ((cz >> 3) << 2)]
    return owner, (cz & 7) * 64 + (cy & 7) * 8 + (cx & 7)


@njit(inline="always")
def _corner_share(fx, fy, fz, corner):
    """Trilinear weight of a corner at the fractions fx, fy, fz of a cell."""
    wx = fx if corner & 1 else float32(1) - fx
    wy = fy if corner & 2 else float32(1) - fy
    wz = fz if corner & 4 else float32(1) - fz
    return wx * wy * wz


# One call = one point of the grid. Distance in units of the truncation, or _INVALID.
@njit(**JIT)
def _distance_at(px, py, pz, least, upper, sdf_sum, counts, keys, slots, memo):
    x, y, z = int32(np.floor(px)), int32(np.floor(py)), int32(np.floor(pz))
    slot = _slot_at(x, y, z, keys, slots, memo)
    if slot < 0:
        return float32(_INVALID)
    fx, fy, fz = px - float32(x), py - float32(y), pz - float32(z)
    distance = float32(0)
    for corner in range(8):
        owner, voxel = _corner_voxel(slot, upper, x, y, z, corner)
        if owner < 0:
            return float32(_INVALID)
        weight = counts[owner, voxel] & uint32(WEIGHT_LIMIT)
        if weight < least:
            return float32(_INVALID)
        mean = float32(sdf_sum[owner, voxel]) / float32(weight)
        distance += _corner_share(fx, fy, fz, corner) * mean
    return distance * float32(1.0 / DISTANCE_STEPS)


# One call = one point on the surface: colour of its cell's corners, trilinear over those with one.
@njit(**JIT)
def _color_at(px, py, pz, upper, counts, color_low, color_high, keys, slots, memo, out):
    x, y, z = int32(np.floor(px)), int32(np.floor(py)), int32(np.floor(pz))
    slot = _slot_at(x, y, z, keys, slots, memo)
    fx, fy, fz = px - float32(x), py - float32(y), pz - float32(z)
    red = green = blue = total = float32(0)
    for corner in range(8):
        owner, voxel = _corner_voxel(slot, upper, x, y, z, corner)
        count = counts[owner, voxel] >> uint32(16)
        if count > 0:
            share = _corner_share(fx, fy, fz, corner)
            scale = share / float32(count)
            low, high = color_low[owner, voxel], color_high[owner, voxel]
            red += scale * float32(low & uint32(0x1FFFFF))
            green += scale * float32(high & uint32(0x1FFFFF))
            blue += scale * float32((low >> uint32(21)) | ((high >> uint32(21)) << uint32(11)))
            total += share
    if total > float32(1e-6):
        out[0] = int(red / total + float32(0.5))
        out[1] = int(green / total + float32(0.5))
        out[2] = int(blue / total + float32(0.5))


# One call = one ray from `origin` along `ray` (grid units per metre of depth). Returns the depth of
# the first crossing from outside to inside between `near` and `far`, or 0.
@njit(**JIT)
def _march(
    ox,
    oy,
    oz,
    rx,
    ry,
    rz,
    near,
    far,
    truncation_m,
    voxel_size_m,
    least,
    upper,
    sdf_sum,
    counts,
    keys,
    slots,
    memo,
):
    length = np.sqrt(rx * rx + ry * ry + rz * rz)
    voxel_step = float32(1) / length
    truncation_step = truncation_m / voxel_size_m * voxel_step
    near_surface = float32(2) * voxel_size_m / truncation_m
    depth, last_depth, last = near, near, float32(_INVALID)
    while depth < far:
        px, py, pz = ox + rx * depth, oy + ry * depth, oz + rz * depth
        x, y, z = int32(np.floor(px)), int32(np.floor(py)), int32(np.floor(pz))
        slot = _slot_at(x, y, z, keys, slots, memo)
        if slot < 0:
            next_depth = depth + (
                _to_block_exit(px, py, pz, rx, ry, rz) + float32(0.01) * voxel_step
            )
            if not next_depth > depth:  # so far away that the step is rounded off
                return float32(0)
            last, depth = float32(_INVALID), next_depth
            continue
        # One voxel tells whether the surface is far; eight are read only near it.
        voxel = (z & 7) * 64 + (y & 7) * 8 + (x & 7)
        weight = counts[slot, voxel] & uint32(WEIGHT_LIMIT)
        distance = float32(_INVALID)
        if weight >= least:
            distance = (
                float32(sdf_sum[slot, voxel]) / float32(weight) * float32(1.0 / DISTANCE_STEPS)
            )
            if abs(distance) < near_surface:
                distance = _distance_at(
                    px, py, pz, least, upper, sdf_sum, counts, keys, slots, memo
                )
        if distance <= float32(0) and float32(0) < last <= float32(1):
            for _ in range(3):
                crossing = last_depth + (depth - last_depth) * last / (last - distance)
                middle = _distance_at(
                    ox + rx * crossing,
                    oy + ry * crossing,
                    oz + rz * crossing,
                    least,
                    upper,
                    sdf_sum,
                    counts,
                    keys,
                    slots,
                    memo,
                )
                if middle > float32(1):
                    break
                if middle > float32(0):
                    last, last_depth = middle, crossing
                else:
                    distance, depth = middle, crossing
            return last_depth + (depth - last_depth) * last / (last - distance)
        last, last_depth = distance, depth
        step = voxel_step
        if float32(0) < distance <= float32(1):
            step = max(distance * truncation_step, float32(0.75) * voxel_step)
        next_depth = depth + step
        if not next_depth > depth:
            return float32(0)
        depth = next_depth
    return float32(0)


@njit(inline="always")
def _to_block_exit(px, py, pz, rx, ry, rz):
    """Depth until a ray leaves the block around a point."""
    exit_depth = float32(np.inf)
    for p, r in ((px, rx), (py, ry), (pz, rz)):
        low = np.floor(p * float32(1.0 / BLOCK_VOX)) * float32(BLOCK_VOX)
        if r > float32(1e-9):
            exit_depth = min(exit_depth, (low + float32(BLOCK_VOX) - p) / r)
        elif r < float32(-1e-9):
            exit_depth = min(exit_depth, (low - p) / r)
    return max(exit_depth, float32(0))


# One work-item = one row of tiles. `grid_from_camera` (3, 4) float64: metres to voxel indices.
# Writes `color` (H, W, 3) uint8, `depth_m` (H, W) float32 along +Z and `normals` (H, W, 3) float32
# in the world, all 0 where a ray meets nothing. Races: none.
@njit(parallel=True, **JIT)
def cast_rays(
    ranges,
    grid_from_camera,
    focal_px,
    centre_px,
    truncation_m,
    voxel_size_m,
    min_weight,
    pool,
    color,
    depth_m,
    normals,
):
    """Render the surface."""
    # Helpers take arrays, not the pool: passing tuples of arrays counts references at every call.
    upper, sdf_sum, counts = pool.upper, pool.sdf_sum, pool.counts
    color_low, color_high = pool.color_low, pool.color_high
    keys, slots = pool.bucket_keys, pool.bucket_slots
    height, width = depth_m.shape
    m = grid_from_camera.astype(np.float32)
    least = uint32(min_weight)
    truncation, voxel = float32(truncation_m), float32(voxel_size_m)
    for tile_row in prange(ranges.shape[0]):
        memo = np.full(4, np.iinfo(np.int32).max, np.int32)
        memo[3] = -1
        for v in range(tile_row * TILE_PX, min(height, (tile_row + 1) * TILE_PX)):
            for u in range(width):
                near, far = ranges[tile_row, u // TILE_PX, 0], ranges[tile_row, u // TILE_PX, 1]
                x = float32((u - centre_px[0]) / focal_px[0])
                y = float32((v - centre_px[1]) / focal_px[1])
                rx = m[0, 0] * x + m[0, 1] * y + m[0, 2]
                ry = m[1, 0] * x + m[1, 1] * y + m[1, 2]
                rz = m[2, 0] * x + m[2, 1] * y + m[2, 2]
                depth = _march(
                    m[0, 3],
                    m[1, 3],
                    m[2, 3],
                    rx,
                    ry,
                    rz,
                    near,
                    far,
                    truncation,
                    voxel,
                    least,
                    upper,
                    sdf_sum,
                    counts,
                    keys,
                    slots,
                    memo,
                )
                depth_m[v, u] = depth
                if depth > float32(0):
                    px, py, pz = m[0, 3] + rx * depth, m[1, 3] + ry * depth, m[2, 3] + rz * depth
                    _color_at(
                        px,
                        py,
                        pz,
                        upper,
                        counts,
                        color_low,
                        color_high,
                        keys,
                        slots,
                        memo,
                        color[v, u],
                    )
                    _normal_at(
                        px,
                        py,
                        pz,
                        rx,
                        ry,
                        rz,
                        least,
                        upper,
                        sdf_sum,
                        counts,
                        keys,
                        slots,
                        memo,
                        normals[v, u],
                    )


# One call = one point on the surface. Differences over ±1 voxel, one-sided where one is missing;
# the direction back along the ray where the distance says nothing.
@njit(**JIT)
def _normal_at(px, py, pz, rx, ry, rz, least, upper, sdf_sum, counts, keys, slots, memo, out):
    for axis in range(3):
        dx, dy, dz = float32(axis == 0), float32(axis == 1), float32(axis == 2)
        ahead = _distance_at(
            px + dx, py + dy, pz + dz, least, upper, sdf_sum, counts, keys, slots, memo
        )
        behind = _distance_at(
            px - dx, py - dy, pz - dz, least, upper, sdf_sum, counts, keys, slots, memo
        )
        # The distance is 0 at the point itself.
        slope = ahead - behind
        if ahead > float32(1) or behind > float32(1):
            slope = float32(2) * ahead if ahead <= float32(1) else float32(0)
            slope = float32(-2) * behind if behind <= float32(1) else slope
        out[axis] = slope
    if out[0] == 0 and out[1] == 0 and out[2] == 0:
        out[0], out[1], out[2] = -rx, -ry, -rz
    length = np.sqrt(out[0] * out[0] + out[1] * out[1] + out[2] * out[2])
    for axis in range(3):
        out[axis] /= length
