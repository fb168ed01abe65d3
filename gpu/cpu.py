"""Voxel blocks in main memory and what can be done with them: the CPU backend.

A backend holds a pool of blocks and offers the verbs of `CpuBlocks`. Its callers check what they
hand in; see `fusion.volume` for the meaning of the numbers.
"""

from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from gpu.cpu_depth_filter import CpuDepthFilter
from gpu.cpu_field import CpuField
from gpu.cpu_surface import CpuSurface
from gpu.grid import MAX_IMAGES, FusionGrid, Mat4, Pinhole, Surface, band_steps, ray_stride_px
from gpu.kernels import BLOCK_VOX
from gpu.kernels.allocate import collect_stamped, insert_blocks, touch_blocks
from gpu.kernels.hashing import pack_keys
from gpu.kernels.integrate import integrate_blocks, pack_pixels
from gpu.kernels.marching_cubes import spread_change
from gpu.kernels.pool import EMPTY, Pool
from gpu.kernels.raycast import TILE_PX, cast_rays, tile_ranges
from gpu.kernels.release import find_empty, move_entries, release_blocks


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
        self._thinned = np.zeros(max_blocks, np.bool_)
        self._takes = np.zeros(max_blocks, np.uint32)
        self._pending = np.zeros(max_blocks, np.float32)
        self._stale = np.zeros(max_blocks, np.bool_)
        self._refused_keys = np.empty(0, np.int64)
        self.count = 0

        self._rgba = np.zeros((camera.height_px, camera.width_px, 4), np.uint8)
        self._pixels = np.zeros((MAX_IMAGES, camera.height_px, camera.width_px), np.uint64)
        self._filter = depth_filter(grid, camera) if grid.depth_filter else None
        self._steps = band_steps(grid)
        self._stride_px = ray_stride_px(grid, camera)
        rows = -(-camera.height_px // self._stride_px)
        columns = -(-camera.width_px // self._stride_px)
        self._missing = np.zeros((rows, columns * self._steps), np.int64)
        self._missing_counts = np.zeros(rows, np.int64)
        self._touched = np.zeros(max_blocks, np.int32)
        self._surface = CpuSurface(self.pool, grid.min_weight)
        z, y, x = np.mgrid[:BLOCK_VOX, :BLOCK_VOX, :BLOCK_VOX]
        self._voxels = np.stack([x.ravel(), y.ravel(), z.ravel()]).astype(np.float64)

    def load(
        self,
        depth: NDArray[np.uint16] | NDArray[np.float32],
        depth_scale_m: float,
        color: NDArray[np.uint8],
        confidence: NDArray[np.uint8] | None = None,
        image: int = 0,
        depth_tensor: Any = None,
    ) -> None:
        """Take the images of a view that comes next: (H, W), (H, W, 3) and (H, W).

        `depth_tensor` is for devices: the same as `depth`.
        """
        if self._filter is not None:
            depth, confidence = self._filter.apply(_read_only(depth), depth_scale_m, confidence)
            depth_scale_m = 1.0
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
            self._pixels[image],
        )

    def touch(
        self, world_from_camera: Mat4, allocate: bool, image: int = 0
    ) -> tuple[NDArray[np.int32], int]:
        """Find the blocks in the band around a loaded depth, new ones too when `allocate`.

        Returns the (K,) slots, and how many blocks found no place in the pool.
        """
        self._stamp += 1
        block_from_camera = world_from_camera[:3] / (BLOCK_VOX * self._grid.voxel_size_m)
        touch_blocks(
            self._pixels[image],
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
            self._refused_keys,
            self.pool,
            self._stamps,
            self._stamp,
            self.count,
        )
        if not refused:
            return 0
        keys = np.unique(self._missing.ravel()[:refused])
        if not np.isin(keys, self._refused_keys, assume_unique=True).all():
            self._refused_keys = np.union1d(self._refused_keys, keys)
        return len(keys)

    def empty_blocks(self) -> NDArray[np.int32]:
        """The (K,) slots, ascending, of blocks that views were taken out of and none is in now."""
        slots = np.flatnonzero(self._thinned[: self.count]).astype(np.int32)
        is_empty = np.empty(len(slots), np.bool_)
        find_empty(slots, self.pool.counts, is_empty)
        self._thinned[slots] = is_empty
        return slots[is_empty]

    def release(self, slots: NDArray[np.int32], columns: Sequence[NDArray[Any]]) -> None:
        """Take empty blocks, at (K,) ascending slots, out of the pool.

        Blocks that are left may get other slots: `columns` are arrays by slot that follow.
        """
        slots = slots[::-1].copy()
        sources = np.empty_like(slots)
        self.count = int(release_blocks(slots, self.pool, self._stamps, self.count, sources))
        for column in (self._thinned, self._pending, self._stale, *columns):
            move_entries(slots, sources, column)

    def integrate(self, touched: NDArray[np.int32], camera_from_world: Mat4, removing: bool) -> int:
        """Add the loaded view to blocks, or take it out; returns observations refused."""
        return self._integrate(
            touched, np.ones(len(touched), np.uint32), [camera_from_world], [0], [removing]
        )

    def exchange(
        self,
        out: NDArray[np.int32],
        camera_was: Mat4,
        into: NDArray[np.int32],
        camera_is: Mat4,
        image_into: int,
    ) -> tuple[NDArray[np.int32], int]:
        """Take the view of image 0 out of blocks, and put that of another one into blocks.

        `camera_was` and `camera_is` are their camera_from_world. Returns the (K,) slots of all
        these blocks, and observations refused.
        """
        self._takes[out] = 1
        self._takes[into] |= 2
        touched = np.flatnonzero(self._takes[: self.count]).astype(np.int32)
        takes = self._takes[touched]
        self._takes[touched] = 0
        cameras, images = [camera_was, camera_is], [0, image_into]
        return touched, self._integrate(touched, takes, cameras, images, [True, False])

    def _integrate(
        self,
        touched: NDArray[np.int32],
        takes: NDArray[np.uint32],
        cameras_from_world: Sequence[Mat4],
        images: Sequence[int],
        removing: Sequence[bool],
    ) -> int:
        images_from_grid = np.stack(list(map(self._image_from_world, cameras_from_world)))
        images_from_grid[:, :, :3] *= self._grid.voxel_size_m
        self._thinned[touched] |= any(removing)
        return int(
            integrate_blocks(
                touched,
                takes,
                images_from_grid,
                (images_from_grid[:, :, :3] @ self._voxels).astype(np.float32),
                self._pixels,
                np.array(images),
                np.array(removing),
                self._grid.truncation_m,
                self._grid.min_weight,
                self.pool,
            )
        )

    def _image_from_world(self, camera_from_world: Mat4) -> NDArray[np.float64]:
        """(3, 4) to (u + ½)·z, (v + ½)·z, z: truncated, it gives the nearest pixel centre."""
        (fx, fy), (cx, cy) = self._camera.focal_px, self._camera.centre_px
        matrix = np.array([[fx, 0, cx + 0.5], [0, fy, cy + 0.5], [0, 0, 1]])
        return np.asarray(matrix @ camera_from_world[:3], np.float64)

    def spread_change(self, touched: NDArray[np.int32]) -> None:
        """Note the change since the last call with the blocks whose mesh it concerns."""
        spread_change(touched, self.pool, self._pending, self._stale)

    def mark_all(self) -> None:
        """Make every block dirty."""
        self._stale[: self.count] = True

    def take_dirty(self, threshold: float | None) -> NDArray[np.int32]:
        """The (K,) slots, ascending, whose change exceeds a threshold; they are clean then.

        It is in truncations, summed over a block's voxels; None: all that are dirty at all.
        """
        is_dirty = self._stale if threshold is None else self._pending > np.float32(threshold)
        slots = np.flatnonzero(is_dirty[: self.count]).astype(np.int32)
        self._pending[slots] = 0
        self._stale[slots] = False
        return slots

    def surface(self, blocks: NDArray[np.int32]) -> Surface:
        """Marching cubes over the (K,) slots `blocks`."""
        return self._surface.surface(blocks)

    def news(
        self, blocks: NDArray[np.int32], published: NDArray[np.uint64]
    ) -> tuple[NDArray[np.bool_], Surface]:
        """Which of the (K,) slots look otherwise than `published`, (max_blocks,) digests, says.

        Their surface, without the places of its vertices on edges.
        """
        return self._surface.news(blocks, published)

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

    @property
    def refused_keys(self) -> NDArray[np.int64]:
        """(R,) ascending: the blocks that stay out, because they were refused once."""
        return self._refused_keys.copy()

    def refuse(self, keys: NDArray[np.int64]) -> None:
        """Keep (R,) blocks, ascending, out from now on."""
        self._refused_keys = keys.copy()

    def insert(self, coords: NDArray[np.int32]) -> int:
        """Give (N, 3) new blocks the next places, in order; returns how many are not new."""
        keys = pack_keys(coords)[None]
        before, counts, none = self.count, np.array([len(coords)]), np.empty(0, np.int64)
        self.count, _ = insert_blocks(
            keys, counts, none, self.pool, self._stamps, self._stamp, before
        )
        return len(coords) - (self.count - before)

    def coords(self) -> NDArray[np.int32]:
        """(count, 3) x, y, z of the blocks by slot; read-only."""
        coords = self.pool.coords[: self.count]
        coords.flags.writeable = False
        return coords

    def words(self) -> NDArray[np.uint32]:
        """(4, count, 512) copy of the voxels' words, in the order of `Pool`."""
        return np.stack([array[: self.count].view(np.uint32) for array in self._words()])

    def put_words(self, words: NDArray[np.uint32]) -> None:
        """Set what `words` gives."""
        for array, saved in zip(self._words(), words, strict=True):
            array[: self.count] = saved.view(array.dtype)

    def _words(self) -> tuple[NDArray[Any], ...]:
        pool = self.pool
        return pool.sdf_sum, pool.counts, pool.color_low, pool.color_high

    def refused_observations(self) -> int:
        """None: every verb returned its own."""
        return 0

    @property
    def spilled_blocks(self) -> int:
        """None: they are in main memory."""
        return 0

    def close(self) -> None:
        """Nothing is to be given back."""

    def field(self) -> CpuField:
        """The distances, for views of this camera."""
        grid, camera = self._grid, self._camera
        return CpuField(
            self.pool, grid.voxel_size_m, grid.truncation_m, camera.focal_px, camera.centre_px
        )

    def clear(self) -> None:
        """Empty the pool."""
        used, pool = slice(0, self.count), self.pool
        for words in (pool.sdf_sum, pool.counts, pool.color_low, pool.color_high, pool.change):
            words[used] = 0
        pool.upper[used] = pool.lower[used] = -1
        pool.bucket_keys[:] = EMPTY
        self._stamps[used] = 0
        self._thinned[used] = self._stale[used] = False
        self._pending[used] = 0
        self._refused_keys = np.empty(0, np.int64)
        self.count = 0


def depth_filter(grid: FusionGrid, camera: Pinhole) -> CpuDepthFilter:
    """For depth as a pool takes it."""
    size_px = camera.width_px, camera.height_px
    range_m = grid.depth_min_m, grid.depth_max_m
    return CpuDepthFilter(size_px, camera.focal_px, camera.centre_px, range_m)


def _read_only(array: NDArray[Any]) -> NDArray[Any]:
    """A read-only C-contiguous view: one type for the compiler, whoever made the array."""
    view = np.ascontiguousarray(array).view()
    view.flags.writeable = False
    return view
