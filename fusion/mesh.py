"""The surface of a volume: as rows of changed blocks, or as one mesh."""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from fusion.volume import BlockIndices, Volume
from gpu.grid import Surface
from gpu.kernels import BLOCK_VOX
from mapcast_client.mesh import TriangleMesh, number_distinct
from mapcast_client.rows import MeshRows

NOTHING_SHOWN = 0
"""The digest of a block without triangles."""


class Mesher:
    """Incremental marching cubes: which blocks are dirty, and their rows.

    A block is dirty for the change in all voxels that its cells read, its neighbours' included.
    One thread calls it, the volume's.
    """

    def __init__(self, volume: Volume, threshold: float = 6.0) -> None:
        """Follow a volume from now on.

        `changed` meshes a block again when the distances in it moved by more than `threshold`
        truncations in sum over its voxels, or a voxel began or ceased to count.
        """
        self._volume = volume
        self._threshold = threshold
        self._published = np.zeros(volume.settings.max_blocks, np.uint64)
        self._gone: set[tuple[int, ...]] = set()

    def mark(self, touched: BlockIndices) -> None:
        """Note what `Volume.integrate` or `remove` touched."""
        self._volume.spread_change(touched)

    def mark_all(self) -> None:
        """Note that every block is new: the volume was restored."""
        self._volume.mark_all()

    def changed(self) -> MeshRows:
        """Rows of the blocks that changed beyond the threshold since they were last meshed."""
        return self._rows(self._threshold)

    def flush(self) -> MeshRows:
        """Rows of all blocks that were touched since they were last meshed.

        Afterwards all rows together equal those of the volume meshed from scratch.
        """
        return self._rows(None)

    def release_empty(self) -> None:
        """Give back the places of blocks that no view is in; followers learn of it in time."""
        empty = self._volume.empty_blocks()
        if not len(empty):
            return
        was_shown = self._published[empty] != NOTHING_SHOWN
        self._gone.update(map(tuple, self._volume.block_coords[empty[was_shown]].tolist()))
        self._volume.release(empty, self._published)

    def _rows(self, threshold: float | None) -> MeshRows:
        blocks = self._volume.take_dirty(threshold)
        rows = self._meshed(blocks) if len(blocks) else MeshRows.empty()
        if self._gone:
            rows = self._with_tombstones(rows)
        self.release_empty()
        return rows

    def _meshed(self, blocks: BlockIndices) -> MeshRows:
        """The rows of blocks that look otherwise than when they were last meshed."""
        keep, surface = self._volume.news(blocks, self._published)
        self._published[blocks[keep]] = surface.digests
        return MeshRows(
            self._volume.block_coords[blocks[keep]],
            surface.vertex_counts.astype(np.uint32),
            surface.triangle_counts.astype(np.uint32),
            surface.vertices,
            surface.colors,
            surface.triangles,
        )

    def _with_tombstones(self, rows: MeshRows) -> MeshRows:
        """Empty rows, too, of the blocks that were given back since and have no row."""
        gone = np.array(sorted(self._gone - set(map(tuple, rows.blocks.tolist()))), np.int32)
        self._gone.clear()
        nothing = np.zeros(len(gone), np.uint32)
        return replace(
            rows,
            blocks=np.concatenate([rows.blocks, gone.reshape(-1, 3)]),
            vertex_counts=np.concatenate([rows.vertex_counts, nothing]),
            triangle_counts=np.concatenate([rows.triangle_counts, nothing]),
        )


def extract_mesh(volume: Volume) -> TriangleMesh:
    """The whole surface at full precision, each vertex once."""
    blocks = np.arange(volume.block_count, dtype=np.int32)
    surface = volume.surface(blocks)
    axis, lattice = _edges_of(volume.block_coords, surface)

    # A vertex is its edge: its lower end and its direction.
    first, merged = number_distinct(np.column_stack([lattice, axis]))
    along = np.zeros((len(first), 3))
    along[np.arange(len(first)), axis[first]] = surface.along[first]
    vertices = (lattice[first] + along) * volume.settings.voxel_size_m

    starts = np.cumsum(surface.vertex_counts) - surface.vertex_counts
    offsets = np.repeat(starts, surface.triangle_counts)
    triangles = merged[surface.triangles + offsets[:, None]]
    return TriangleMesh(
        vertices.astype(np.float32), surface.colors[first], triangles.astype(np.int32)
    )


def _edges_of(
    coords: NDArray[np.int32], surface: Surface
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The edge of each vertex: (V,) its axis and (V, 3) its lower lattice point."""
    axis, cell = np.divmod(surface.edge_codes.astype(np.int64), 900)
    row, x = np.divmod(cell, 9)
    z, y = np.divmod(row, 10)
    corners = np.repeat(coords.astype(np.int64) * BLOCK_VOX, surface.vertex_counts, axis=0)
    return axis, corners + np.stack([x, y, z], axis=1)
