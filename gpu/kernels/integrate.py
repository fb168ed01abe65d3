"""Adding a view to the voxels of its blocks, or taking it out again.

Voxels are integer sums, so that the order of views, and of threads, cannot matter: Curless & Levoy
1996, eq. 3-4, before the division. Their layout is `Pool`'s. A pixel's confidence is the number of
observations that its distance counts for; its colour counts for one, because how surely a place is
known says nothing about how well it is seen, and the sums of colour end eight times as early.

A voxel at its limit is frozen: it takes and gives nothing more, so that taking a view out never
takes more than was put in. Of the observation that would go beyond, it takes what there is room
for: it is at its limit then, and its mean stays that of what it took.
"""

import numpy as np
from numba import float32, int32, njit, prange, uint8, uint32, uint64

from gpu.kernels import (
    BLOCK_VOX,
    BLOCK_VOXELS,
    COLOR_COUNT_LIMIT,
    DISTANCE_STEPS,
    JIT,
    WEIGHT_LIMIT,
)
from gpu.kernels.bits import bits_of, float_of

BLOCKS_PER_TASK = 16
LAYER_VOXELS = 64
LINE_VOXELS = 16
"""Voxels whose words fill a cache line: lines that a view does not see are left alone."""
NEAREST_M = 0.01
CROSSED = 1024.0
"""What a voxel that starts or ceases to be meshed adds to its block's change."""


# One work-item = one image row, SIMD. `depth` (H, W) uint16 or float32, `rgba` (H, W) uint32 with
# r in the lowest byte and, if `weighted`, the confidence in the highest (else it is 1 everywhere);
# `pixels` (H, W) uint64: float32 bits of the depth in metres (0 outside [low_m, high_m] or without
# confidence) below, r | g << 8 | b << 16 | confidence << 24 above. Races: none.
@njit(parallel=True, **JIT)
def pack_pixels(depth, depth_scale_m, low_m, high_m, rgba, weighted, pixels):
    """Bring all that is known of a pixel into one word, so that a voxel gathers once."""
    scale_m, low, high = float32(depth_scale_m), float32(low_m), float32(high_m)
    kept = uint32(0xFFFFFFFF) if weighted else uint32(0x00FFFFFF)
    set_to_one = uint32(0) if weighted else uint32(1 << 24)
    for row in prange(depth.shape[0]):
        for column in range(depth.shape[1]):
            depth_m = float32(depth[row, column]) * scale_m
            rgbc = uint32((rgba[row, column] & kept) | set_to_one)
            counts = (depth_m >= low) & (depth_m <= high) & (rgbc >= uint32(1 << 24))
            depth_m = depth_m if counts else float32(0)
            pixels[row, column] = uint64(bits_of(depth_m)) | (uint64(rgbc) << uint64(32))


# One call = the 512 voxels of a block, SIMD. `offsets` (3, 512) float32: image coordinates
# (u·z, v·z, z) of a voxel relative to its block's first, which is at (first_u, first_v, first_z).
# Pixel centres are at integers; the half pixel that rounds is in the matrix already.
@njit(inline="always")
def _project(first_u, first_v, first_z, offsets, width, height, pixel_index, voxel_z):
    for i in range(BLOCK_VOXELS):
        z = first_z + offsets[2, i]
        inverse_z = float32(1) / z
        u = (first_u + offsets[0, i]) * inverse_z
        v = (first_v + offsets[1, i]) * inverse_z
        seen = (
            (u >= float32(0))
            & (v >= float32(0))
            & (u < float32(width))
            & (v < float32(height))
            & (z > float32(NEAREST_M))
        )
        pixel_index[i] = (int32(v) * int32(width) + int32(u)) if seen else int32(0)
        voxel_z[i] = z if seen else float32(1e30)


# One call = the 512 voxels of a block. Words stay whole: were they taken apart here, the compiler
# would gather each half on its own.
@njit(inline="always")
def _gather(pixel, pixel_index, observed):
    for i in range(BLOCK_VOXELS):
        observed[i] = pixel[uint32(pixel_index[i])]


# One call = the 512 voxels of a block, SIMD. `observed` (1024,) uint32 are the halves of their
# pixels. Writes each voxel's quantised distance, colour and confidence, and to `seen` (512,) uint8
# whether its pixel has depth and it is not hidden (1) and inside the truncation (2).
@njit(inline="always")
def _measure(observed, voxel_z, truncation, quantised, seen, rgbc):
    steps_per_m = float32(DISTANCE_STEPS) / truncation
    for i in range(BLOCK_VOXELS):
        depth_m = float_of(observed[2 * i])
        rgbc[i] = observed[2 * i + 1]
        distance_m = depth_m - voxel_z[i]
        visible = (depth_m > float32(0)) & (distance_m >= -truncation)
        near = visible & (distance_m <= truncation)
        steps = min(distance_m * steps_per_m, float32(DISTANCE_STEPS))
        quantised[i] = int32(np.floor(steps + float32(0.5)))
        seen[i] = (uint8(1) if visible else uint8(0)) | (uint8(2) if near else uint8(0))


# One call = the voxels of one cache line, SIMD. Writes each voxel's |Δ mean distance| to `moved`
# and zeroes `rgbc` where colour is not taken. Returns observations refused, whole or in part.
@njit(inline="always")
def _add_distances(first, quantised, seen, min_weight, rgbc, sdf_sum, counts, moved):
    refused = int32(0)
    for i in range(first, first + LINE_VOXELS):
        word, old_sum = counts[i], sdf_sum[i]
        visible, near = (seen[i] & uint8(1)) != 0, (seen[i] & uint8(2)) != 0
        weight, colored = int32(word & uint32(0xFFFF)), int32(word >> uint32(16))
        confidence = int32(rgbc[i] >> uint32(24))
        room = int32(int32(WEIGHT_LIMIT) - weight)
        color_full = colored == int32(COLOR_COUNT_LIMIT)
        is_refused = (visible & (confidence > room)) | (near & color_full)
        refused = int32(refused + (int32(1) if is_refused else int32(0)))

        step = min(confidence, room) if visible else int32(0)
        takes_color = near & (not color_full)
        counts[i] = uint32(word + uint32(step) + (uint32(65536) if takes_color else uint32(0)))
        sdf_sum[i] = int32(old_sum + int32(step * quantised[i]))
        rgbc[i] = rgbc[i] if takes_color else uint32(0)
        moved[i] = _shift(weight, old_sum, step, quantised[i], min_weight)
    return refused


# As `_add_distances`, the other way: what a frozen voxel took stays in it, and none goes below
# zero.
@njit(inline="always")
def _remove_distances(first, quantised, seen, min_weight, rgbc, sdf_sum, counts, moved):
    for i in range(first, first + LINE_VOXELS):
        word, old_sum = counts[i], sdf_sum[i]
        visible, near = (seen[i] & uint8(1)) != 0, (seen[i] & uint8(2)) != 0
        weight, colored = int32(word & uint32(0xFFFF)), int32(word >> uint32(16))
        confidence = int32(rgbc[i] >> uint32(24))
        gives = visible & (weight != int32(WEIGHT_LIMIT)) & (weight >= confidence)
        step = int32(-confidence) if gives else int32(0)
        gives_color = near & (colored != int32(COLOR_COUNT_LIMIT)) & (colored != int32(0))
        counts[i] = uint32(word + uint32(step) - (uint32(65536) if gives_color else uint32(0)))
        sdf_sum[i] = int32(old_sum + int32(step * quantised[i]))
        rgbc[i] = rgbc[i] if gives_color else uint32(0)
        moved[i] = _shift(weight, old_sum, step, quantised[i], min_weight)


# One call = one voxel: means s/w and (s + k·q)/(w + k) differ by |k|·|q·w - s| / (w·(w + k)).
@njit(inline="always")
def _shift(weight, old_sum, step, quantised, min_weight):
    old, change = float32(weight), float32(step)
    weights = max(old * (old + change), float32(1))
    shift = abs((float32(quantised) * old - float32(old_sum)) * change) / weights
    shift = shift * float32(1.0 / DISTANCE_STEPS)
    crossed = (weight >= min_weight) != (int32(weight + step) >= min_weight)
    return shift + (float32(CROSSED) if crossed else float32(0))


# One call = the voxels of one cache line, SIMD. The blue sum's carry goes from the top of the low
# word to the high word by hand.
@njit(inline="always")
def _add_colors(first, rgbc, removing, color_low, color_high):
    for i in range(first, first + LINE_VOXELS):
        red_blue = uint32((rgbc[i] & uint32(0xFF)) | ((rgbc[i] & uint32(0xFF0000)) << uint32(5)))
        green = uint32((rgbc[i] >> uint32(8)) & uint32(0xFF))
        low = color_low[i]
        if removing:
            new_low = uint32(low - red_blue)
            borrow = uint32(1 << 21) if new_low > low else uint32(0)
            color_high[i] = uint32(color_high[i] - green - borrow)
        else:
            new_low = uint32(low + red_blue)
            carry = uint32(1 << 21) if new_low < low else uint32(0)
            color_high[i] = uint32(color_high[i] + green + carry)
        color_low[i] = new_low


# One call = the voxels of a block, SIMD. `columns` (64,) takes sums along z: strided faces are read
# off them.
@njit(inline="always")
def _add_change(moved, columns, change):
    """Sum over the block, and over its voxels with x = 0, y = 0, z = 0."""
    whole = x_face = y_face = z_face = float32(0)
    for i in range(LAYER_VOXELS):
        columns[i] = moved[i]
        z_face += moved[i]
    for z in range(1, BLOCK_VOX):
        for i in range(LAYER_VOXELS):
            columns[i] += moved[z * LAYER_VOXELS + i]
    for i in range(LAYER_VOXELS):
        whole += columns[i]
    for i in range(BLOCK_VOX):
        x_face += columns[i * BLOCK_VOX]
        y_face += columns[i]
    change[0] += whole
    change[1] += x_face
    change[2] += y_face
    change[3] += z_face


# One call = the voxels of a block, whose arrays these are. `seen` is a view of `seen_words`.
@njit(inline="always")
def _update(quantised, seen_words, seen, least, rgbc, removing, sdf_sum, counts, low, high, moved):
    refused = int32(0)
    moved[:] = 0
    for line in range(BLOCK_VOXELS // LINE_VOXELS):
        flags = seen_words[2 * line] | seen_words[2 * line + 1]
        if flags == 0:
            continue
        first = line * LINE_VOXELS
        if removing:
            _remove_distances(first, quantised, seen, least, rgbc, sdf_sum, counts, moved)
        else:
            refused += _add_distances(first, quantised, seen, least, rgbc, sdf_sum, counts, moved)
        if flags & uint64(0x0202020202020202):
            _add_colors(first, rgbc, removing, low, high)
    return refused


# One work-item = BLOCKS_PER_TASK blocks of `touched` (K,) int32. Views make P passes over a block,
# one after the other, while its words are near: pass p over the blocks whose `takes` (K,) uint32
# has bit p. Its `images_from_grid` (P, 3, 4) float64 lead from voxel indices to (u + 0.5)·z,
# (v + 0.5)·z, z, its `offsets` (P, 3, 512) are as for `_project`, its pixels are those of
# `image_of` (P,) in `pixels` (I, H, W), as `pack_pixels` leaves them. Races: a slot appears once in
# `touched`. Returns observations refused by frozen voxels.
@njit(parallel=True, **JIT)
def integrate_blocks(
    touched,
    takes,
    images_from_grid,
    offsets,
    pixels,
    image_of,
    removing,
    truncation_m,
    min_weight,
    pool,
):
    """Add views to blocks, or take them out (`removing` (P,))."""
    images, height, width = pixels.shape
    flat_pixels = pixels.reshape((images, height * width))
    truncation = float32(truncation_m)
    least = int32(min_weight)
    # Taken out of the tuple once: each time counts references.
    coords, changes = pool.coords, pool.change
    sdf_sums, all_counts = pool.sdf_sum, pool.counts
    color_lows, color_highs = pool.color_low, pool.color_high
    refused = 0
    for task in prange((touched.size + BLOCKS_PER_TASK - 1) // BLOCKS_PER_TASK):
        pixel_index = np.empty(BLOCK_VOXELS, np.int32)
        voxel_z = np.empty(BLOCK_VOXELS, np.float32)
        observed = np.empty(BLOCK_VOXELS, np.uint64)
        observed_halves = observed.view(np.uint32)
        rgbc = np.empty(BLOCK_VOXELS, np.uint32)
        moved = np.empty(BLOCK_VOXELS, np.float32)
        columns = np.empty(LAYER_VOXELS, np.float32)
        quantised = np.empty(BLOCK_VOXELS, np.int32)
        seen_words = np.empty(BLOCK_VOXELS // 8, np.uint64)
        seen = seen_words.view(np.uint8)
        for index in range(task * BLOCKS_PER_TASK, min(touched.size, (task + 1) * BLOCKS_PER_TASK)):
            slot = touched[index]
            x = coords[slot, 0] * BLOCK_VOX
            y = coords[slot, 1] * BLOCK_VOX
            z = coords[slot, 2] * BLOCK_VOX
            sdf_sum, counts = sdf_sums[slot], all_counts[slot]
            color_low, color_high = color_lows[slot], color_highs[slot]
            for p in range(removing.size):
                if (takes[index] >> uint32(p)) & uint32(1) == 0:
                    continue
                m = images_from_grid[p]
                first_u = float32(m[0, 0] * x + m[0, 1] * y + m[0, 2] * z + m[0, 3])
                first_v = float32(m[1, 0] * x + m[1, 1] * y + m[1, 2] * z + m[1, 3])
                first_z = float32(m[2, 0] * x + m[2, 1] * y + m[2, 2] * z + m[2, 3])
                pixel = flat_pixels[image_of[p]]
                _project(first_u, first_v, first_z, offsets[p], width, height, pixel_index, voxel_z)
                _gather(pixel, pixel_index, observed)
                _measure(observed_halves, voxel_z, truncation, quantised, seen, rgbc)
                refused += _update(
                    quantised, seen_words, seen, least, rgbc, removing[p],
                    sdf_sum, counts, color_low, color_high, moved,
                )  # fmt: skip
                _add_change(moved, columns, changes[slot])
    return refused
