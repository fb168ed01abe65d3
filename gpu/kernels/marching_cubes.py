"""Marching cubes over voxel blocks, in two passes: count, then write where the counts say.

Voxels sit on lattice points; block b's cells are the 8³ between its voxels and the first ones of
its upper neighbours. A cell is meshed when all 8 corners have enough weight. Rows of 9 lattice
points along x are bits of one word, so that most of the work is on whole rows. Rows are stored
with stride 10: index z · 10 + y, so that neighbours lie at fixed distances.
"""

import numpy as np
from numba import float32, int32, int64, njit, prange, uint8, uint16, uint32, uint64

from gpu.kernels import BLOCK_VOXELS, JIT
from gpu.kernels.cases import EDGE_AXIS, EDGE_CORNER, TRIANGLE_COUNTS, TRIANGLES

ROWS = 100
"""Words per block: lattice rows (z, y) 0–8 at z · 10 + y; cell rows one further in z and y."""
VERTEX_STEPS = 31
TASKS = 64
"""Each takes every 64th block: neighbours in the pool cost alike, so all tasks do."""
_CELL = 11
_EDGE_TABLE = 900
_EDGE_OFFSET = (
    EDGE_AXIS * _EDGE_TABLE
    + ((EDGE_CORNER >> 2) * 10 + ((EDGE_CORNER >> 1) & 1)) * 9
    + (EDGE_CORNER & 1)
).astype(np.int32)
_LOWEST_BIT = np.array([(i & -i).bit_length() - 1 for i in range(512)], np.int32)
_GATHER_BITS = 0x0102040810204080
_NO_COLOR = 128
_EXACT = {**JIT, "fastmath": False}
"""Vertices are those of every other backend, to the bit."""


@njit(inline="always")
def _pack_bits(bytes8):
    """Bit i of the result is byte i (0 or 1) of a word."""
    return uint16((bytes8 * uint64(_GATHER_BITS)) >> uint64(56))


@njit(inline="always")
def _bit_count(word):
    """Set bits of a 16-bit word."""
    word = uint16(word - ((word >> uint16(1)) & uint16(0x5555)))
    word = uint16((word & uint16(0x3333)) + ((word >> uint16(2)) & uint16(0x3333)))
    word = uint16((word + (word >> uint16(4))) & uint16(0x0F0F))
    return uint16((word + (word >> uint16(8))) & uint16(0x1F))


# One call = lattice rows of the block `slot`. Writes bits of inside and of valid lattice points.
@njit(inline="always")
def _lattice_rows(slot, pool, min_weight, flags, inside, valid):
    negative, heavy = flags[:64], flags[64:]
    negative_bytes, heavy_bytes = negative.view(np.uint8), heavy.view(np.uint8)
    sums, words = pool.sdf_sum[slot], pool.counts[slot]
    for i in range(BLOCK_VOXELS):
        negative_bytes[i] = uint8(uint32(sums[i]) >> uint32(31))
    for i in range(BLOCK_VOXELS):
        heavy_bytes[i] = uint8(1) if uint32(words[i] & uint32(0xFFFF)) >= min_weight else uint8(0)
    for z in range(9):
        for y in range(9):
            row = z * 10 + y
            corner = (y >> 3) * 2 + (z >> 3) * 4
            base = (z & 7) * 64 + (y & 7) * 8
            inside_bits = uint16(0)
            valid_bits = uint16(0)
            if corner == 0:
                inside_bits = _pack_bits(negative[base >> 3])
                valid_bits = _pack_bits(heavy[base >> 3])
            else:
                source = pool.upper[slot, corner]
                if source >= 0:
                    for x in range(8):
                        is_inside = uint16(uint32(pool.sdf_sum[source, base + x]) >> uint32(31))
                        is_valid = (pool.counts[source, base + x] & uint32(0xFFFF)) >= min_weight
                        inside_bits |= uint16(is_inside << uint16(x))
                        valid_bits |= uint16(uint16(is_valid) << uint16(x))
            source = pool.upper[slot, corner + 1]
            if source >= 0:
                is_inside = uint16(uint32(pool.sdf_sum[source, base]) >> uint32(31))
                is_valid = (pool.counts[source, base] & uint32(0xFFFF)) >= min_weight
                inside_bits |= uint16(is_inside << uint16(8))
                valid_bits |= uint16(uint16(is_valid) << uint16(8))
            inside[row] = inside_bits
            valid[row] = valid_bits


# One work-item = every TASKS-th block of `blocks` (K,) int32. Writes a block's lattice rows
# `inside` (≥ K, 100) uint16, its `cells` (≥ K, 100) uint16 that the surface crosses (one further
# in z and y, zero around), its crossed `edges` (≥ K, 3, 90) uint16, and how many vertices and
# triangles they make.
# Races: none.
@njit(parallel=True, **JIT)
def count_surface(blocks, pool, min_weight, inside, cells, edges, vertex_counts, triangle_counts):
    """Find the cells and edges that the surface crosses."""
    least = uint32(min_weight)
    for task in prange(TASKS):
        flags = np.empty(128, np.uint64)
        valid = np.empty(ROWS, np.uint16)
        for index in range(task, blocks.size, TASKS):
            slot = blocks[index]
            rows, row_cells, row_edges = inside[index], cells[index], edges[index]
            _lattice_rows(slot, pool, least, flags, rows, valid)
            row_cells[:] = 0
            triangles = 0
            for z in range(8):
                for y in range(8):
                    row = z * 10 + y
                    s0, s1, s2, s3 = rows[row], rows[row + 1], rows[row + 10], rows[row + 11]
                    usable = valid[row] & valid[row + 1] & valid[row + 10] & valid[row + 11]
                    some, every = s0 | s1 | s2 | s3, s0 & s1 & s2 & s3
                    crossed = (
                        usable
                        & (usable >> 1)
                        & (some | (some >> 1))
                        & ~(every & (every >> 1))
                        & 0xFF
                    )
                    row_cells[row + _CELL] = uint16(crossed)
                    while crossed:
                        x = _LOWEST_BIT[crossed]
                        crossed &= crossed - 1
                        triangles += TRIANGLE_COUNTS[_case(s0, s1, s2, s3, x)]
            vertices = uint16(0)
            if triangles > 0:
                _crossed_edges(rows, row_cells, row_edges)
                for axis in range(3):
                    for row in range(90):
                        vertices = uint16(vertices + _bit_count(row_edges[axis, row]))
            vertex_counts[index] = vertices
            triangle_counts[index] = triangles


@njit(inline="always")
def _case(s0, s1, s2, s3, x):
    """The table's case of cell x between four rows."""
    return (
        ((s0 >> x) & 3) | (((s1 >> x) & 3) << 2) | (((s2 >> x) & 3) << 4) | (((s3 >> x) & 3) << 6)
    )


@njit(inline="always")
def _crossed_edges(rows, cells, edges):
    """Edges of crossed cells whose ends lie on different sides, one bit each."""
    for row in range(89):
        here, left, below, left_below = (
            cells[row + 11],
            cells[row + 10],
            cells[row + 1],
            cells[row],
        )
        along_x = here | left | below | left_below
        edges[0, row] = uint16(along_x & (rows[row] ^ (rows[row] >> uint16(1))))
        along_y = here | below
        edges[1, row] = uint16((along_y | (along_y << uint16(1))) & (rows[row] ^ rows[row + 1]))
        along_z = here | left
        edges[2, row] = uint16((along_z | (along_z << uint16(1))) & (rows[row] ^ rows[row + 10]))
    edges[0, 89] = edges[1, 89] = edges[2, 89] = uint16(0)


@njit(inline="always")
def _mix(digest, word):
    """One round of xxHash64."""
    digest = uint64(digest ^ (uint64(word) * uint64(0xC2B2AE3D27D4EB4F)))
    digest = uint64((digest << uint64(27)) | (digest >> uint64(37)))
    return uint64(digest * uint64(0x9E3779B185EBCA87) + uint64(0x85EBCA77C2B2AE63))


@njit(inline="always")
def _mix_channel(sum0, weight0, sum1, weight1):
    """A colour between two voxels' sums, as a byte."""
    return uint8(float32(sum0) * weight0 + float32(sum1) * weight1 + float32(0.5))


# One work-item = every TASKS-th block of `blocks`. Its vertices and triangles go to the rows of the
# flat outputs that begin at `vertex_starts`, `triangle_starts` (K,) int64. `vertices` (V, 3) uint8
# in 1/31 voxel, kept off lattice points so that no two vertices of a block coincide; `colors`
# (V, 3) uint8; `triangles` (T, 3) uint16; `along` (V,) float32, the exact place on the edge;
# `edge_codes` (V,) int16 = axis · 900 + (z · 10 + y) · 9 + x; `digests` (K,) uint64 of the
# content, 0 when empty. Races: none. Blocks on both sides of a face compute equal vertices there.
@njit(parallel=True, **_EXACT)
def write_surface(
    blocks,
    pool,
    inside,
    cells,
    edges,
    vertex_starts,
    triangle_starts,
    triangle_counts,
    vertices,
    colors,
    along,
    edge_codes,
    triangles,
    digests,
):
    """Write the vertices and triangles that `count_surface` counted."""
    # Taken out of the tuple once: each time counts references.
    upper, sdf_sum, counts = pool.upper, pool.sdf_sum, pool.counts
    color_low, color_high = pool.color_low, pool.color_high
    for task in prange(TASKS):
        vertex_at = np.empty(3 * _EDGE_TABLE, np.uint16)
        for index in range(task, blocks.size, TASKS):
            digests[index] = 0
            if triangle_counts[index] == 0:
                continue
            slot = blocks[index]
            first = vertex_starts[index]
            at = first
            digest = uint64(slot * 0 + 1)
            for axis in range(3):
                dx, dy, dz = int32(axis == 0), int32(axis == 1), int32(axis == 2)
                for row in range(90):
                    crossed = int32(edges[index, axis, row])
                    z, y = row // 10, row % 10
                    while crossed:
                        x = _LOWEST_BIT[crossed]
                        crossed &= crossed - 1
                        x1, y1, z1 = x + dx, y + dy, z + dz
                        slot0 = upper[slot, (x >> 3) | ((y >> 3) << 1) | ((z >> 3) << 2)]
                        slot1 = upper[slot, (x1 >> 3) | ((y1 >> 3) << 1) | ((z1 >> 3) << 2)]
                        i0 = (z & 7) * 64 + (y & 7) * 8 + (x & 7)
                        i1 = (z1 & 7) * 64 + (y1 & 7) * 8 + (x1 & 7)

                        # t = d0 / (d0 - d1) of the means d = sum / weight, with one division.
                        word0, word1 = counts[slot0, i0], counts[slot1, i1]
                        d0 = float32(sdf_sum[slot0, i0]) * float32(word1 & uint32(0xFFFF))
                        d1 = float32(sdf_sum[slot1, i1]) * float32(word0 & uint32(0xFFFF))
                        t = d0 / (d0 - d1)
                        step = min(max(int32(t * float32(VERTEX_STEPS) + float32(0.5)), 1), 30)
                        vertices[at, 0] = x * VERTEX_STEPS + step * dx
                        vertices[at, 1] = y * VERTEX_STEPS + step * dy
                        vertices[at, 2] = z * VERTEX_STEPS + step * dz

                        n0, n1 = float32(word0 >> uint32(16)), float32(word1 >> uint32(16))
                        share0 = float32(1) if n1 == 0 else float32(1) - t
                        share0 = float32(0) if n0 == 0 else share0
                        w0 = share0 / max(n0, float32(1))
                        w1 = (float32(1) - share0) / max(n1, float32(1))
                        low0, low1 = color_low[slot0, i0], color_low[slot1, i1]
                        high0, high1 = color_high[slot0, i0], color_high[slot1, i1]
                        field = uint32(0x1FFFFF)
                        blue0 = (low0 >> uint32(21)) | ((high0 >> uint32(21)) << uint32(11))
                        blue1 = (low1 >> uint32(21)) | ((high1 >> uint32(21)) << uint32(11))
                        red = _mix_channel(low0 & field, w0, low1 & field, w1)
                        green = _mix_channel(high0 & field, w0, high1 & field, w1)
                        blue = _mix_channel(blue0, w0, blue1, w1)
                        if n0 + n1 == 0:
                            red = green = blue = uint8(_NO_COLOR)
                        colors[at, 0], colors[at, 1], colors[at, 2] = red, green, blue

                        code = axis * _EDGE_TABLE + row * 9 + x
                        along[at] = t
                        edge_codes[at] = code
                        vertex_at[code] = at - first
                        rgb = (
                            uint64(red)
                            | (uint64(green) << uint64(8))
                            | (uint64(blue) << uint64(16))
                        )
                        digest = _mix(
                            digest,
                            rgb | (uint64(step) << uint64(24)) | (uint64(code) << uint64(32)),
                        )
                        at += 1

            at = triangle_starts[index]
            for row in range(78):
                crossed = int32(cells[index, row + _CELL])
                s0 = int32(inside[index, row])
                s1 = int32(inside[index, row + 1])
                s2 = int32(inside[index, row + 10])
                s3 = int32(inside[index, row + 11])
                while crossed:
                    x = _LOWEST_BIT[crossed]
                    crossed &= crossed - 1
                    case = _case(s0, s1, s2, s3, x)
                    digest = _mix(digest, uint64(case | (x << 8) | (row << 16)))
                    for triangle in range(TRIANGLE_COUNTS[case]):
                        for corner in range(3):
                            edge = TRIANGLES[case, 3 * triangle + corner]
                            triangles[at, corner] = vertex_at[row * 9 + x + _EDGE_OFFSET[edge]]
                        at += 1
            digests[index] = digest | uint64(1)


# One call = all rows, serial: rows that are not kept are closed up in place.
@njit(**JIT)
def close_up(keep, vertex_counts, triangle_counts, vertices, colors, triangles):
    """Drop rows from the flat arrays and return the vertices and triangles that are left."""
    vertex_from = vertex_to = triangle_from = triangle_to = int64(0)
    for row in range(keep.size):
        if keep[row]:
            # Nothing moves before the first row with content that is dropped.
            if vertex_to < vertex_from:
                for i in range(vertex_counts[row]):
                    for axis in range(3):
                        vertices[vertex_to + i, axis] = vertices[vertex_from + i, axis]
                        colors[vertex_to + i, axis] = colors[vertex_from + i, axis]
                for i in range(triangle_counts[row]):
                    for corner in range(3):
                        triangles[triangle_to + i, corner] = triangles[triangle_from + i, corner]
            vertex_to += vertex_counts[row]
            triangle_to += triangle_counts[row]
        vertex_from += vertex_counts[row]
        triangle_from += triangle_counts[row]
    return vertex_to, triangle_to


# One call = all of `touched`, serial. Moves the blocks' change to `pending` (N,) of those whose
# cells read the voxels that changed, marks them in `stale` (N,) and leaves zero.
@njit(**JIT)
def spread_change(touched, pool, pending, stale):
    """Add the change of blocks to all blocks whose mesh depends on it."""
    for slot in touched:
        pending[slot] += pool.change[slot, 0]
        stale[slot] = True
        for corner in range(1, 8):
            neighbour = pool.lower[slot, corner]
            if neighbour >= 0:
                least = float32(np.inf)
                for axis in range(3):
                    if (corner >> axis) & 1:
                        least = min(least, pool.change[slot, 1 + axis])
                pending[neighbour] += least
                stale[neighbour] = True
        pool.change[slot, :] = 0
