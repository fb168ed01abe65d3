"""Which blocks a depth image touches, and their slots in the pool.

The blocks depend on pixels and pose alone, never on the pool, so that what `integrate` put in is
found again by `remove`. Slots are given in image order, whatever the number of threads.
"""

import numpy as np
from numba import float32, int32, int64, njit, prange, uint32, uint64

from gpu.kernels import COORDINATE_LIMIT, JIT, KEY_BITS
from gpu.kernels.bits import float_of
from gpu.kernels.hashing import find_slot, first_bucket, pack_key, unpack_key
from gpu.kernels.pool import EMPTY

ROWS_PER_TASK = 4


# One work-item = ROWS_PER_TASK sampled image rows. `pixels` (H, W) uint64: depth in metres as
# float32 bits below, colour above; 0 depth is invalid. A ray is sampled at `steps` points from
# `-band_m` to `band_m` around its depth. `block_from_camera` (3, 4) float64, in blocks.
# Known blocks get `stamps[slot] = stamp`; keys of unknown ones go to `missing[row]` with their
# number in `missing_counts[row]`. Races: stamps are written with one value only, everything else
# belongs to its row. Bounds: the caller has checked that the band stays in ±COORDINATE_LIMIT.
@njit(parallel=True, **JIT)
def touch_blocks(
    pixels,
    stride_px,
    focal_px,
    centre_px,
    block_from_camera,
    band_m,
    steps,
    pool,
    stamps,
    stamp,
    missing,
    missing_counts,
):
    """Stamp the known blocks in the band of every sampled ray and list the unknown."""
    rows = (pixels.shape[0] + stride_px - 1) // stride_px
    columns = (pixels.shape[1] + stride_px - 1) // stride_px
    rotation = block_from_camera[:, :3].astype(np.float32)
    # Whole blocks and the rest apart: far from the origin float32 alone would lose the rest.
    whole = np.floor(block_from_camera[:, 3])
    rest = (block_from_camera[:, 3] - whole).astype(np.float32)
    x0 = int32(whole[0]) + int32(COORDINATE_LIMIT)
    y0 = int32(whole[1]) + int32(COORDINATE_LIMIT)
    z0 = int32(whole[2]) + int32(COORDINATE_LIMIT)
    rx, ry, rz = rest[0], rest[1], rest[2]
    r00, r10, r20 = rotation[0, 0], rotation[1, 0], rotation[2, 0]
    inverse_focal_x = float32(1.0 / focal_px[0])
    inverse_focal_y = float32(1.0 / focal_px[1])
    centre_x, centre_y = float32(centre_px[0]), float32(centre_px[1])
    step_m = float32(2.0 * band_m / (steps - 1))
    bucket_keys, bucket_slots = pool.bucket_keys, pool.bucket_slots
    first_m = float32(-band_m)

    for task in prange((rows + ROWS_PER_TASK - 1) // ROWS_PER_TASK):
        keys = np.empty(columns, np.int64)
        depths_m = np.empty(columns, np.float32)
        for row in range(task * ROWS_PER_TASK, min(rows, (task + 1) * ROWS_PER_TASK)):
            ray_y = (float32(row * stride_px) - centre_y) * inverse_focal_y
            row_x = rotation[0, 1] * ray_y + rotation[0, 2]
            row_y = rotation[1, 1] * ray_y + rotation[1, 2]
            row_z = rotation[2, 1] * ray_y + rotation[2, 2]
            for column in range(columns):
                pixel = pixels[row * stride_px, column * stride_px]
                depths_m[column] = float_of(uint32(pixel & uint64(0xFFFFFFFF)))
            found = 0
            for step in range(steps):
                offset_m = first_m + step_m * float32(step)
                for column in range(columns):
                    ray_x = (float32(int32(column) * int32(stride_px)) - centre_x) * inverse_focal_x
                    depth_m = depths_m[column] + offset_m
                    x = int32(np.floor((r00 * ray_x + row_x) * depth_m + rx)) + x0
                    y = int32(np.floor((r10 * ray_x + row_y) * depth_m + ry)) + y0
                    z = int32(np.floor((r20 * ray_x + row_z) * depth_m + rz)) + z0
                    key = (int64(x) << (2 * KEY_BITS)) | (int64(y) << KEY_BITS) | int64(z)
                    keys[column] = key if depths_m[column] > float32(0) else int64(EMPTY)
                last = int64(EMPTY)
                for column in range(columns):
                    key = keys[column]
                    if key == last:
                        continue
                    last = key
                    if key == EMPTY:
                        continue
                    slot = find_slot(bucket_keys, bucket_slots, key)
                    if slot >= 0:
                        stamps[slot] = stamp
                    else:
                        missing[row, found] = key
                        found += 1
            missing_counts[row] = found


@njit(inline="always")
def _link(slot, pool):
    """Make a new block and its neighbours at offsets 0 or 1 (0 or −1) per axis know each other."""
    x, y, z = pool.coords[slot]
    pool.upper[slot, 0] = slot
    pool.lower[slot, 0] = slot
    for corner in range(1, 8):
        dx, dy, dz = corner & 1, (corner >> 1) & 1, corner >> 2
        above = find_slot(pool.bucket_keys, pool.bucket_slots, pack_key(x + dx, y + dy, z + dz))
        below = find_slot(pool.bucket_keys, pool.bucket_slots, pack_key(x - dx, y - dy, z - dz))
        pool.upper[slot, corner] = above
        pool.lower[slot, corner] = below
        if above >= 0:
            pool.lower[above, corner] = slot
        if below >= 0:
            pool.upper[below, corner] = slot


@njit(inline="always")
def _is_among(key, keys):
    at = np.searchsorted(keys, key)
    return at < keys.size and keys[at] == key


# One call = all missing keys in row order, serial. New blocks get the next slot and know
# their neighbours. Keys among `banned` (sorted), and all when the pool is full, are refused: they
# move to the front of `missing` (flat). Returns (blocks in the pool, keys refused).
@njit(**JIT)
def insert_blocks(missing, missing_counts, banned, pool, stamps, stamp, count):
    """Give slots to unknown blocks while the pool has any."""
    bucket_keys, bucket_slots, coords = pool.bucket_keys, pool.bucket_slots, pool.coords
    bucket_mask = bucket_keys.size - 1
    refused_keys = missing.ravel()
    refused = 0
    for row in range(missing.shape[0]):
        for index in range(missing_counts[row]):
            key = missing[row, index]
            slot = find_slot(bucket_keys, bucket_slots, key)
            if slot < 0 and (count == coords.shape[0] or _is_among(key, banned)):
                refused_keys[refused] = key
                refused += 1
                continue
            if slot < 0:
                slot = int32(count)
                count += 1
                bucket = first_bucket(key, bucket_mask)
                while bucket_keys[bucket] != EMPTY:
                    bucket = (bucket + 1) & bucket_mask
                bucket_keys[bucket] = key
                bucket_slots[bucket] = slot
                coords[slot, 0], coords[slot, 1], coords[slot, 2] = unpack_key(key)
                _link(slot, pool)
            stamps[slot] = stamp
    return count, refused


# One call = the whole pool, serial. Writes the slots whose stamp is `stamp`, in order.
@njit(**JIT)
def collect_stamped(stamps, stamp, count, touched):
    """List the blocks of this frame and return their number."""
    found = 0
    for slot in range(count):
        touched[found] = slot
        found += 1 if stamps[slot] == stamp else 0
    return found
