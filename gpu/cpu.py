"""Voxel blocks in main memory and what can be done with them: the CPU backend.

A backend holds a pool of blocks and offers the verbs of `CpuBlocks`. Its callers check what they
hand in; see `fusion.volume` for the meaning of the numbers.
"""

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from gpu.kernels import BLOCK_VOX
from gpu.kernels.allocate import collect_stamped, insert_blocks, touch_blocks
from gpu.kernels.integrate import integrate_blocks, pack_pixels
from gpu.kernels.marching_cubes import ROWS, count_surface, spread_change, write_surface
from gpu.kernels.pool import EMPTY, Pool
from gpu.kernels.raycast import TILE_PX, cast_rays, tile_ranges

Mat4 = NDArray[np.float64]
MAX_STRIDE_PX = 4


@dataclass(frozen=True, slots=True)
class Pinhole:
    """An image grid without distortion; the centre of the first pixel is (0, 0)."""

    width_px: int
    height_px: int
    focal_px: NDArray[np.float64]
    """(2,) along u, v."""
    centre_px: NDArray[np.float64]
    """(2,) u, v."""


@dataclass(frozen=True, slots=True)
class FusionGrid:
    """What a pool's voxels mean."""

    voxel_size_m: float
    truncation_m: float
    depth_min_m: float
    depth_max_m: float
    min_weight: int


@dataclass(frozen=True, slots=True)
class Surface:
    """The triangles of K blocks, one after the other; see `write_surface`."""

    vertex_counts: NDArray[np.int64]
    triangle_counts: NDArray[np.int64]
    vertices: NDArray[np.uint8]
    colors: NDArray[np.uint8]
    triangles: NDArray[np.uint16]
    along: NDArray[np.float32]
    edge_codes: NDArray[np.int16]
    digests: NDArray[np.uint64]


class CpuBlocks:
    """A pool of 8³ voxel blocks that one camera's views go into.

    Memory is reserved for `max_blocks` and paged in as blocks are taken. One thread calls it.
    """

    def __init__(self, grid: FusionGrid, camera: Pinhole, max_blocks: int) -> None:
        self._grid = grid
        self._camera = camera
        self.pool = Pool.make(max_blocks)
        self._stamps = np.zeros(max_blocks, np.int64)
        self._stamp = 0
        self.count = 0

        self._rgba = np.zeros((camera.height_px, camera.width_px, 4), np.uint8)
        self._pixels = np.zeros((camera.height_px, camera.width_px), np.uint64)
        self._steps = self._band_steps()
        self._stride_px = self._ray_stride_px()
        rows = -(-camera.height_px // self._stride_px)
        columns = -(-camera.width_px // self._stride_px)
        self._missing = np.zeros((rows, columns * self._steps), np.int64)
        self._missing_counts = np.zeros(rows, np.int64)
        self._touched = np.zeros(max_blocks, np.int32)
        self._make_mesh_scratch(0)
        z, y, x = np.mgrid[:BLOCK_VOX, :BLOCK_VOX, :BLOCK_VOX]
        self._voxels = np.stack([x.ravel(), y.ravel(), z.ravel()]).astype(np.float64)

    def _make_mesh_scratch(self, count: int) -> None:
        """Rows of bits of `count` blocks; kept, because fresh pages cost more than the work."""
        self._inside = np.empty((count, ROWS), np.uint16)
        self._cells = np.empty((count, ROWS), np.uint16)
        self._edges = np.empty((count, 3, 90), np.uint16)

    def _band_steps(self) -> int:
        """Samples across the band of a ray: two voxels apart, the surface among them."""
        half = np.ceil(self._grid.truncation_m / self._grid.voxel_size_m / 2)
        return 2 * max(int(half), 1) + 1

    def _ray_stride_px(self) -> int:
        """Pixels between rays: half a block apart at the far end, or nearer."""
        half_block_m = self._grid.voxel_size_m * BLOCK_VOX / 2
        stride = half_block_m * self._camera.focal_px.min() / self._grid.depth_max_m
        return min(max(int(stride), 1), MAX_STRIDE_PX)

    def load(
        self,
        depth: NDArray[np.uint16] | NDArray[np.float32],
        depth_scale_m: float,
        color: NDArray[np.uint8],
        confidence: NDArray[np.uint8] | None = None,
    ) -> None:
        """Take the images of the view that comes next: (H, W), (H, W, 3) and (H, W)."""
        # Byte shuffles are SIMD there.
        cv2.cvtColor(color, cv2.COLOR_RGB2RGBA, dst=self._rgba)
        if confidence is not None:
            cv2.insertChannel(confidence, self._rgba, 3)
        pack_pixels(
            _read_only(depth),
            float(depth_scale_m),
            self._grid.depth_min_m,
            self._grid.depth_max_m,
            self._rgba.view(np.uint32)[:, :, 0],
            confidence is not None,
            self._pixels,
        )

    def touch(self, world_from_camera: Mat4, allocate: bool) -> tuple[NDArray[np.int32], int]:
        """Find the blocks in the band around the loaded depth, new ones too when `allocate`.

        Returns the (K,) slots, and how many blocks found no place in the pool.
        """
        self._stamp += 1
        block_from_camera = world_from_camera[:3] / (BLOCK_VOX * self._grid.voxel_size_m)
        touch_blocks(
            self._pixels,
            self._stride_px,
            self._camera.focal_px,
            self._camera.centre_px,
            np.ascontiguousarray(block_from_camera),
            self._grid.truncation_m,
            self._steps,
            self.pool,
            self._stamps,
            self._stamp,
            self._missing,
            self._missing_counts,
        )
        refused = self._insert_missing() if allocate else 0
        found = collect_stamped(self._stamps, self._stamp, self.count, self._touched)
        return self._touched[:found].copy(), refused

    def _insert_missing(self) -> int:
        self.count, refused = insert_blocks(
            self._missing,
            self._missing_counts,
            self.pool,
            self._stamps,
            self._stamp,
            self.count,
        )
        return len(np.unique(self._missing.ravel()[:refused])) if refused else 0

    def integrate(self, touched: NDArray[np.int32], camera_from_world: Mat4, removing: bool) -> int:
        """Add the loaded view to blocks, or take it out; returns observations refused."""
        image_from_grid = self._image_from_world(camera_from_world)
        image_from_grid[:, :3] *= self._grid.voxel_size_m
        return int(
            integrate_blocks(
                touched,
                image_from_grid,
                (image_from_grid[:, :3] @ self._voxels).astype(np.float32),
                self._pixels,
                self._grid.truncation_m,
                removing,
                self._grid.min_weight,
                self.pool,
            )
        )

    def _image_from_world(self, camera_from_world: Mat4) -> NDArray[np.float64]:
        """(3, 4) to (u + ½)·z, (v + ½)·z, z: truncated, it gives the nearest pixel centre."""
        (fx, fy), (cx, cy) = self._camera.focal_px, self._camera.centre_px
        matrix = np.array([[fx, 0, cx + 0.5], [0, fy, cy + 0.5], [0, 0, 1]])
        return np.asarray(matrix @ camera_from_world[:3], np.float64)

    def spread_change(
        self, touched: NDArray[np.int32], pending: NDArray[np.float32], stale: NDArray[np.bool_]
    ) -> None:
        """Move the change since the last call to the blocks whose mesh it concerns."""
        spread_change(touched, self.pool, pending, stale)

    def surface(self, blocks: NDArray[np.int32]) -> Surface:
        """Marching cubes over the (K,) slots `blocks`."""
        if len(blocks) > len(self._inside):
            self._make_mesh_scratch(max(len(blocks), 2 * len(self._inside)))
        inside, cells, edges = self._inside, self._cells, self._edges
        vertex_counts, triangle_counts = np.empty((2, len(blocks)), np.int64)
        count_surface(
            blocks,
            self.pool,
            self._grid.min_weight,
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
            self.pool,
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

    def raycast(
        self, camera: Pinhole, world_from_camera: Mat4, camera_from_world: Mat4
    ) -> tuple[NDArray[np.uint8], NDArray[np.float32], NDArray[np.float32]]:
        """Render colour (H, W, 3), depth (H, W) and world normals (H, W, 3); 0 where nothing is."""
        shape = (camera.height_px, camera.width_px)
        color = np.zeros((*shape, 3), np.uint8)
        depth_m = np.zeros(shape, np.float32)
        normals = np.zeros((*shape, 3), np.float32)
        ranges = np.empty((-(-shape[0] // TILE_PX), -(-shape[1] // TILE_PX), 2), np.float32)
        camera_from_grid = camera_from_world[:3].copy()
        camera_from_grid[:, :3] *= self._grid.voxel_size_m
        tile_ranges(
            self.pool, self.count, camera_from_grid, camera.focal_px, camera.centre_px, ranges
        )
        cast_rays(
            ranges,
            np.ascontiguousarray(world_from_camera[:3] / self._grid.voxel_size_m),
            camera.focal_px,
            camera.centre_px,
            self._grid.truncation_m,
            self._grid.voxel_size_m,
            self._grid.min_weight,
            self.pool,
            color,
            depth_m,
            normals,
        )
        return color, depth_m, normals

    def clear(self) -> None:
        """Empty the pool."""
        used, pool = slice(0, self.count), self.pool
        for words in (pool.sdf_sum, pool.counts, pool.color_low, pool.color_high, pool.change):
            words[used] = 0
        pool.upper[used] = pool.lower[used] = -1
        pool.bucket_keys[:] = EMPTY
        self._stamps[used] = 0
        self.count = 0


def _read_only(array: NDArray[Any]) -> NDArray[Any]:
    """A read-only C-contiguous view: one type for the compiler, whoever made the array."""
    view = np.ascontiguousarray(array).view()
    view.flags.writeable = False
    return view
