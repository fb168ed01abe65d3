from itertools import product

import numpy as np
import pytest

from gpu.cpu import CpuBlocks
from gpu.grid import FusionGrid, Pinhole
from gpu.kernels.cases import EDGE_AXIS, EDGE_CORNER, TRIANGLE_COUNTS, TRIANGLES
from gpu.kernels.marching_cubes import close_up


def directed_edges(triangles):
    """Uses of each directed edge and of its reverse, edge by edge."""
    start, end = triangles.astype(np.int64)[:, [0, 1, 1, 2, 2, 0]].reshape(-1, 2).T
    forward, uses = np.unique(start << 32 | end, return_counts=True)
    backward, reverse_uses = np.unique(end << 32 | start, return_counts=True)
    np.testing.assert_array_equal(forward, backward)
    return uses, reverse_uses


@pytest.fixture
def slab() -> CpuBlocks:
    """Blocks several deep behind a whole image, without observations."""
    camera = Pinhole(64, 64, np.array([60.0, 60.0]), np.array([31.5, 31.5]))
    blocks = CpuBlocks(FusionGrid(0.02, 0.3, 0.1, 4.0, 1), camera, 4096)
    blocks.load(np.full((64, 64), 1, np.float32), 1.0, np.zeros((64, 64, 3), np.uint8))
    blocks.touch(np.eye(4), allocate=True)
    assert blocks.count > 200
    return blocks


def surrounded(blocks):
    """Whether all 26 neighbours of a block are in the pool."""
    there = {tuple(block) for block in blocks.pool.coords[: blocks.count].tolist()}
    around = list(product((-1, 0, 1), repeat=3))
    return np.array(
        [
            all((x + dx, y + dy, z + dz) in there for dx, dy, dz in around)
            for x, y, z in blocks.pool.coords[: blocks.count].tolist()
        ]
    )


def global_mesh(blocks, surface):
    """Triangles over globally numbered edges."""
    axis, cell = np.divmod(surface.edge_codes.astype(np.int64), 900)
    row, x = np.divmod(cell, 9)
    z, y = np.divmod(row, 10)
    corner = np.repeat(blocks.pool.coords[: blocks.count], surface.vertex_counts, axis=0) * 8
    keys = np.column_stack([corner + np.column_stack([x, y, z]), axis])
    _, merged = np.unique(keys, axis=0, return_inverse=True)
    starts = np.cumsum(surface.vertex_counts) - surface.vertex_counts
    return merged[surface.triangles + np.repeat(starts, surface.triangle_counts)[:, None]]


@pytest.mark.parametrize("seed", range(3))
def test_any_field_of_signs_gives_a_closed_surface(slab, seed):
    """Ambiguous faces and block borders included: every edge as often in each direction."""
    rng = np.random.default_rng(seed)
    inner = surrounded(slab)
    assert inner.sum() > 20
    slab.pool.counts[: slab.count] = 1
    slab.pool.sdf_sum[: slab.count] = 1000
    shape = (int(inner.sum()), 512)
    slab.pool.sdf_sum[: slab.count][inner] = rng.integers(-1000, 1000, shape)
    surface = slab.surface(np.arange(slab.count, dtype=np.int32))
    uses, reverse_uses = directed_edges(global_mesh(slab, surface))
    assert len(uses) > 10_000
    np.testing.assert_array_equal(uses, reverse_uses)


def test_unobserved_corners_open_the_surface_only_there(slab):
    """A cell with one corner below the weight makes no triangle, its neighbours still do."""
    slab.pool.counts[: slab.count] = 1
    z = np.arange(512) // 64
    slab.pool.sdf_sum[: slab.count] = np.where(
        (slab.pool.coords[: slab.count, 2:] * 8 + z) > 52, -500, 500
    )
    everything = np.arange(slab.count, dtype=np.int32)
    full = slab.surface(everything).triangle_counts.sum()
    inner = np.flatnonzero(slab.pool.coords[: slab.count, 2] == 6)
    slot = inner[len(inner) // 2]
    slab.pool.counts[slot, 4 * 64 + 3 * 8 + 3] = 0
    assert slab.surface(everything).triangle_counts.sum() == full - 4 * 2


def test_vertex_stands_where_the_mean_distance_is_zero(slab):
    """Sums of different weights: -300/3 and 300/1 cross at a quarter of the edge."""
    slab.pool.counts[: slab.count] = 1
    z = (slab.pool.coords[: slab.count, 2:] * 8 + np.arange(512) // 64).astype(int)
    slab.pool.sdf_sum[: slab.count] = np.where(z > 52, 300, -300)
    slab.pool.counts[: slab.count][z <= 52] = 3
    surface = slab.surface(np.arange(slab.count, dtype=np.int32))
    np.testing.assert_allclose(surface.along, 0.25, atol=1e-6)
    # 52 lies 4 voxels into its block; 0.25 of 31 steps is 8.
    assert set(surface.vertices[:, 2].tolist()) == {4 * 31 + 8}


def test_table_is_complementary_and_small():
    assert TRIANGLE_COUNTS.max() == 5
    assert TRIANGLE_COUNTS[0] == TRIANGLE_COUNTS[255] == 0
    for case in range(256):
        corners = [case >> corner & 1 for corner in range(8)]
        for edge in TRIANGLES[case, : 3 * TRIANGLE_COUNTS[case]]:
            low = EDGE_CORNER[edge]
            assert corners[low] != corners[low | 1 << EDGE_AXIS[edge]]


def test_close_up_keeps_rows_in_order():
    vertices = np.arange(18, dtype=np.uint8).reshape(6, 3)
    colors = vertices + 100
    triangles = np.arange(12, dtype=np.uint16).reshape(4, 3)
    keep = np.array([True, False, True])
    counts = np.array([1, 2, 3]), np.array([2, 1, 1])
    expected = vertices[[0, 3, 4, 5]].copy(), triangles[[0, 1, 3]].copy()
    assert close_up(keep, *counts, vertices, colors, triangles) == (4, 3)
    np.testing.assert_array_equal(vertices[:4], expected[0])
    np.testing.assert_array_equal(colors[:4], expected[0] + 100)
    np.testing.assert_array_equal(triangles[:3], expected[1])
