"""Voxel blocks on a device and what can be done with them, by the verbs of `gpu.cpu.CpuBlocks`."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gpu.backend import Backend, BackendError, DeviceMemoryError
from gpu.device.field import DeviceField
from gpu.device.images import DeviceImages
from gpu.device.integrate import DeviceIntegrate
from gpu.device.pool import START_BLOCKS, VOXEL_WORDS, DevicePool
from gpu.device.raycast import DeviceRaycast
from gpu.device.spill import DeviceSpill
from gpu.device.surface import DeviceSurface
from gpu.device.touch import DeviceTouch
from gpu.device.transfer import clear_beyond, observed, places_after, release
from gpu.grid import FusionGrid, Mat4, Pinhole, Surface
from gpu.kernels import BLOCK_VOXELS
from gpu.kernels.hashing import pack_keys
from gpu.owned_buffers import OwnedBuffers

_GROWTH = (2, 1.5, 1.25)
"""Factors by which a pool grows: less than the last one, it does so too often."""


class DeviceBlocks:
    """A pool of 8³ voxel blocks, on a device, that one camera's views go into.

    The pool grows as blocks are taken; when the device has no room for more, blocks that were not
    touched for long move to main memory, see `DeviceSpill`. One thread calls it.
    """

    def __init__(
        self,
        backend: Backend,
        grid: FusionGrid,
        camera: Pinhole,
        max_blocks: int,
        start_blocks: int = START_BLOCKS,
    ) -> None:
        """Make an empty pool. Raises DeviceMemoryError if there is no room for a small one."""
        self._backend = OwnedBuffers(backend)
        self._grid, self._camera = grid, camera
        self._max_blocks = max_blocks
        try:
            self._take_memory(start_blocks)
        except BackendError:
            self._backend.free_all()
            raise
        self._raycast = DeviceRaycast(self.pool, grid)
        self._field = _Field(self, self.pool, grid, camera)
        self._spill: DeviceSpill | None = None
        self._stamp = 0
        self._thinned = np.zeros(max_blocks, np.bool_)
        self._refused_keys = np.empty(0, np.int64)
        self._refused_observations = 0

    def _take_memory(self, start_blocks: int) -> None:
        backend, grid, camera = self._backend, self._grid, self._camera
        self._images = DeviceImages(backend, grid, camera)
        self.pool = DevicePool.make(backend, self._max_blocks, start_blocks)
        self._rays = DeviceTouch(self.pool, grid, camera)
        self._views = DeviceIntegrate(self.pool, self._images, grid, camera)
        self._surface = DeviceSurface(self.pool, grid.min_weight)

    @property
    def count(self) -> int:
        """Blocks there are."""
        return self._spill.count if self._spill else self.pool.count

    @property
    def spilled_blocks(self) -> int:
        """Blocks that are in main memory, because the device has no room for them."""
        return self._spill.spilled_blocks if self._spill else 0

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

        `color` must stay as it is until `touch`. `depth_tensor`: the same as `depth`, where another
        library has it, maybe on this device.
        """
        self._images.load(depth, depth_scale_m, color, confidence, image, depth_tensor)

    def touch(
        self, world_from_camera: Mat4, allocate: bool, image: int = 0
    ) -> tuple[NDArray[np.int32], int]:
        """Find the blocks in the band around a loaded depth, new ones too when `allocate`.

        Returns the (K,) slots, ascending, and how many blocks found no place in the pool.
        """
        self._stamp += 1
        found = self._rays.find(
            self._images.pixels,
            self._images.first_pixel(image),
            world_from_camera,
            self._stamp,
            with_unknown=allocate or self._spill is not None,
            meanwhile=lambda: self._images.complete(image),
        )
        self._refused_observations += found.refused
        slots, unknown = found.places, found.unknown
        if self._spill:
            slots, unknown = self._spill.known(slots, unknown)
        new, refused = self._insert_unknown(unknown) if allocate else (slots[:0], 0)
        return np.sort(np.concatenate([slots, new])), refused

    def _insert_unknown(self, coords: NDArray[np.int32]) -> tuple[NDArray[np.int32], int]:
        """Give blocks, in any order, the next slots as far as there are such.

        Returns the (K,) slots, and how many blocks were refused.
        """
        if not len(coords):
            return np.empty(0, np.int32), 0
        keys = pack_keys(coords)
        order = np.argsort(keys)
        keys, coords = keys[order], coords[order]
        is_taken = ~np.isin(keys, self._refused_keys, assume_unique=True)
        is_taken &= np.cumsum(is_taken) <= self._max_blocks - self.count
        refused = keys[~is_taken]
        if not np.isin(refused, self._refused_keys, assume_unique=True).all():
            self._refused_keys = np.union1d(self._refused_keys, refused)
        before = self.count
        self._append(coords[is_taken])
        return np.arange(before, self.count, dtype=np.int32), len(refused)

    def _append(self, coords: NDArray[np.int32]) -> None:
        if not len(coords):
            return
        wanted = self.pool.count + len(coords)
        if not self._spill and not self._has_room(wanted):
            while self.pool.capacity < wanted and self._has_room(self.pool.capacity + 1):
                pass  # what there is room for
            self._spill = DeviceSpill(self.pool, self._max_blocks)
        if self._spill:
            self._spill.append(coords)
        else:
            self.pool.append(coords, self._stamp)

    def _has_room(self, count: int) -> bool:
        """Whether the device has, or gets, places for so many blocks."""
        if count <= self.pool.capacity:
            return True
        wanted = (max(int(factor * self.pool.capacity), count) for factor in _GROWTH)
        for capacity in dict.fromkeys(min(each, self._max_blocks) for each in wanted):
            try:
                self.pool.grow(capacity)
            except DeviceMemoryError:
                continue
            return True
        return False

    def integrate(self, touched: NDArray[np.int32], camera_from_world: Mat4, removing: bool) -> int:
        """Add the loaded view to blocks, or take it out.

        Returns observations refused that are known of by now: those of this view come later.
        """
        self._integrate(touched, camera_from_world, 0, removing)
        return self._known_refused()

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
        these blocks, and observations refused as `integrate`.
        """
        self._integrate(out, camera_was, 0, removing=True)
        self._integrate(into, camera_is, image_into, removing=False)
        return np.union1d(out, into).astype(np.int32), self._known_refused()

    def refused_observations(self) -> int:
        """Waits for all views, and returns observations refused that no verb returned yet."""
        self._refused_observations += self._rays.refused()
        return self._known_refused()

    def _known_refused(self) -> int:
        refused, self._refused_observations = self._refused_observations, 0
        return refused

    def _integrate(
        self, touched: NDArray[np.int32], camera_from_world: Mat4, image: int, removing: bool
    ) -> None:
        if removing:
            self._thinned[touched] = True
        for places in self._spill.rounds(touched) if self._spill else [touched]:
            self._views.integrate(places, camera_from_world, image, removing, self._rays.found)

    def empty_blocks(self) -> NDArray[np.int32]:
        """The (K,) slots, ascending, of blocks that views were taken out of and none is in now."""
        slots = np.flatnonzero(self._thinned[: self.count]).astype(np.int32)
        is_empty = ~(self._spill.observed(slots) if self._spill else observed(self.pool, slots))
        self._thinned[slots] = is_empty
        return slots[is_empty]

    def release(self, slots: NDArray[np.int32], columns: Sequence[NDArray[Any]]) -> None:
        """Take empty blocks, at (K,) ascending slots, out of the pool.

        Blocks that are left may get other slots: `columns` are arrays by slot that follow.
        """
        before, count = self.count, self.count - len(slots)
        targets, sources = places_after(slots, before)
        if self._spill:
            self._spill.release(slots, targets, sources)
        else:
            release(self.pool, targets, sources, count)
        for column in (self._thinned, *columns):
            column[targets] = column[sources]
            column[count:before] = 0

    def spread_change(self, touched: NDArray[np.int32]) -> None:
        """Note the change since the last call with the blocks whose mesh it concerns."""
        (self._spill or self._surface).spread_change(touched)

    def mark_all(self) -> None:
        """Make every block dirty."""
        (self._spill or self._surface).mark_all()

    def take_dirty(self, threshold: float | None) -> NDArray[np.int32]:
        """The (K,) slots, ascending, whose change exceeds a threshold; they are clean then.

        It is in truncations, summed over a block's voxels; None: all that are dirty at all.
        """
        return (self._spill or self._surface).take_dirty(threshold)

    def surface(self, blocks: NDArray[np.int32]) -> Surface:
        """Marching cubes over the (K,) slots `blocks`."""
        if not self._spill:
            return self._surface.surface(blocks)
        return Surface.joined(
            [self._surface.surface(each) for _, each in self._spill.meshed(blocks)]
        )

    def news(
        self, blocks: NDArray[np.int32], published: NDArray[np.uint64]
    ) -> tuple[NDArray[np.bool_], Surface]:
        """Which of the (K,) slots look otherwise than `published`, (max_blocks,) digests, says.

        Their surface, without the places of its vertices on edges.
        """
        if not self._spill:
            return self._surface.news(blocks, published)
        kept, surfaces = [np.empty(0, np.bool_)], []
        for slots, places in self._spill.meshed(blocks):
            published_there = np.zeros(self.pool.capacity, np.uint64)
            published_there[places] = published[slots]
            keep, surface = self._surface.news(places, published_there)
            kept.append(keep)
            surfaces.append(surface)
        return np.concatenate(kept), Surface.joined(surfaces)

    def raycast(
        self, camera: Pinhole, world_from_camera: Mat4, camera_from_world: Mat4
    ) -> tuple[NDArray[np.uint8], NDArray[np.float32], NDArray[np.float32]]:
        """Render colour (H, W, 3), depth (H, W) and world normals (H, W, 3); 0 where nothing is.

        Of blocks in main memory, the nearest are brought back that there is room for.
        """
        if self._spill:
            self._spill.bring_seen(camera, camera_from_world, self._grid.voxel_size_m)
        return self._raycast.raycast(camera, world_from_camera, camera_from_world)

    @property
    def refused_keys(self) -> NDArray[np.int64]:
        """(R,) ascending: the blocks that stay out, because they were refused once."""
        return self._refused_keys.copy()

    def refuse(self, keys: NDArray[np.int64]) -> None:
        """Keep (R,) blocks, ascending, out from now on."""
        self._refused_keys = keys.copy()

    def insert(self, coords: NDArray[np.int32]) -> int:
        """Give (N, 3) new blocks the next places, in order; returns how many are not new."""
        keys = np.concatenate([pack_keys(self.coords()), pack_keys(coords)])
        _, firsts = np.unique(keys, return_index=True)
        new = np.sort(firsts[firsts >= self.count]) - self.count
        self._append(np.ascontiguousarray(coords[new], np.int32))
        return len(coords) - len(new)

    def coords(self) -> NDArray[np.int32]:
        """(count, 3) x, y, z of the blocks by slot; read-only."""
        coords = (self._spill.coords if self._spill else self.pool.host_coords)[: self.count]
        coords.flags.writeable = False
        return coords

    def words(self) -> NDArray[np.uint32]:
        """(4, count, 512) copy of the voxels' words, in the order of `Pool`."""
        if self._spill:
            return self._spill.words()
        words = [
            self._backend.download(getattr(self.pool, name), np.uint32, self.count * BLOCK_VOXELS)
            for name in VOXEL_WORDS
        ]
        return np.stack(words).reshape(len(VOXEL_WORDS), self.count, BLOCK_VOXELS)

    def put_words(self, words: NDArray[np.uint32]) -> None:
        """Set what `words` gives."""
        if self._spill:
            self._spill.put_words(words)
            return
        for name, saved in zip(VOXEL_WORDS, words, strict=True):
            self._backend.upload(getattr(self.pool, name), saved)

    def field(self) -> DeviceField:
        """The distances, for views of this camera."""
        return self._field

    def bring_around(self, points_vox: NDArray[np.float64]) -> None:
        """Have all on the device that the distances at (N, 3) points depend on."""
        if self._spill:
            self._spill.bring_around(points_vox)

    def close(self) -> None:
        """Give back the device's memory: nothing may be asked of the pool any more."""
        self._backend.free_all()

    def clear(self) -> None:
        """Empty the pool."""
        clear_beyond(self.pool, 0)
        self.pool.rebuild()
        self._spill = None
        self._thinned[:] = False
        self._refused_keys = np.empty(0, np.int64)
        self.refused_observations()


class _Field(DeviceField):
    """The distances of all blocks, wherever they are."""

    def __init__(
        self, blocks: DeviceBlocks, pool: DevicePool, grid: FusionGrid, camera: Pinhole
    ) -> None:
        super().__init__(pool, grid, camera)
        self._blocks = blocks

    def sample(
        self, points: NDArray[np.float32], world_from_camera: Mat4, min_weight: int
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """As `Field.sample`."""
        points_world = points @ world_from_camera[:3, :3].T + world_from_camera[:3, 3]
        self._blocks.bring_around(points_world / self._voxel_size_m)
        return super().sample(points, world_from_camera, min_weight)
