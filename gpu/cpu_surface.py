"""The surface of a pool of blocks in main memory: the CPU backend."""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from gpu.grid import Surface
from gpu.kernels.marching_cubes import ROWS, close_up, count_surface, write_surface
from gpu.kernels.pool import Pool


class CpuSurface:
    """Meshes blocks of a pool in main memory. One thread calls it."""

    def __init__(self, pool: Pool, min_weight: int) -> None:
        """Read a pool; cells are meshed where all corners have at least `min_weight`."""
        self._pool, self._min_weight = pool, min_weight
        self._make_scratch(0)

    def _make_scratch(self, count: int) -> None:
        """Rows of bits of `count` blocks; kept, because fresh pages cost more than the work."""
        self._inside = np.empty((count, ROWS), np.uint16)
        self._cells = np.empty((count, ROWS), np.uint16)
        self._edges = np.empty((count, 3, 90), np.uint16)

    def surface(self, blocks: NDArray[np.int32]) -> Surface:
        """Marching cubes over the (K,) slots `blocks`."""
        if len(blocks) > len(self._inside):
            self._make_scratch(max(len(blocks), 2 * len(self._inside)))
        inside, cells, edges = self._inside, self._cells, self._edges
        vertex_counts, triangle_counts = np.empty((2, len(blocks)), np.int64)
        count_surface(
            blocks,
            self._pool,
            self._min_weight,
            inside,
            cells,
            edges,
            vertex_counts,
            triangle_counts,
        )
        vertex_ends, triangle_ends = np.cumsum(vertex_counts), np.cumsum(triangle_counts)
        vertex_total = int(vertex_ends[-1]) if len(blocks) else 0
        triangle_total = int(triangle_ends[-1]) if len(blocks) else 0
        surface = Surface(
            vertex_counts,
            triangle_counts,
            np.empty((vertex_total, 3), np.uint8),
            np.empty((vertex_total, 3), np.uint8),
            np.empty((triangle_total, 3), np.uint16),
            np.empty(vertex_total, np.float32),
            np.empty(vertex_total, np.int16),
            np.empty(len(blocks), np.uint64),
        )
        write_surface(
            blocks,
            self._pool,
            inside,
            cells,
            edges,
            vertex_ends - vertex_counts,
            triangle_ends - triangle_counts,
            triangle_counts,
            surface.vertices,
            surface.colors,
            surface.along,
            surface.edge_codes,
            surface.triangles,
            surface.digests,
        )
        return surface

    def news(
        self, blocks: NDArray[np.int32], published: NDArray[np.uint64]
    ) -> tuple[NDArray[np.bool_], Surface]:
        """Which of the (K,) slots look otherwise than `published`, (max_blocks,) digests, says.

        Their surface, without the places of its vertices on edges.
        """
        surface = self.surface(blocks)
        keep = surface.digests != published[blocks]
        vertices, triangles = close_up(
            keep,
            surface.vertex_counts,
            surface.triangle_counts,
            surface.vertices,
            surface.colors,
            surface.triangles,
        )
        return keep, replace(
            surface,
            vertex_counts=surface.vertex_counts[keep],
            triangle_counts=surface.triangle_counts[keep],
            digests=surface.digests[keep],
            vertices=surface.vertices[:vertices],
            colors=surface.colors[:vertices],
            triangles=surface.triangles[:triangles],
            along=surface.along[:0],
            edge_codes=surface.edge_codes[:0],
        )
