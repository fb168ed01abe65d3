"""More blocks than a device has room for: the rest are in main memory."""

import logging
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from gpu.device.pool import CHANGE_STEPS, VOXEL_WORDS, DevicePool
from gpu.device.transfer import gather, observed, places_after, release, scatter
from gpu.grid import Mat4, Pinhole
from gpu.kernels import BLOCK_VOX, BLOCK_VOXELS
from gpu.kernels.hashing import pack_keys

logger = logging.getLogger(__name__)

_CHANGE_MOST = 1 << 27
_CORNERS = np.stack([np.arange(8) & 1, np.arange(8) >> 1 & 1, np.arange(8) >> 2], axis=1)
_MESHED_SHARE = 16
"""Blocks meshed at a time: one in so many of the device's places, as neighbours are needed, too."""


class DeviceSpill:
    """Blocks by slot, which callers know, of which a pool on a device holds some at its places.

    A block that is not there lies here; those that were not needed for longest make room. What is
    dirty is known here, of all blocks. Nothing depends on which blocks are where. One thread calls
    it, the pool's.
    """

    def __init__(self, pool: DevicePool, max_blocks: int) -> None:
        """Go on with a pool that cannot grow, whose blocks' slots are their places."""
        self._pool = pool
        self.count = pool.count
        slots = np.arange(pool.count, dtype=np.int32)
        self.coords = np.zeros((max_blocks, 3), np.int32)
        """(max_blocks, 3) by slot."""
        self.coords[slots] = pool.host_coords[slots]
        self._place_of = np.full(max_blocks, -1, np.int32)
        self._place_of[slots] = slots
        self._slot_at = np.zeros(pool.capacity, np.int32)
        self._slot_at[slots] = slots
        self._needed = np.zeros(max_blocks, np.int64)
        self._needs = 0
        # Pages that nothing is written to take no memory.
        self._words = np.zeros((len(VOXEL_WORDS), max_blocks, BLOCK_VOXELS), np.uint32)
        self._change = np.zeros((max_blocks, 4), np.uint32)
        self._pending = np.zeros(max_blocks, np.uint64)
        self._stale = np.zeros(max_blocks, np.bool_)
        self._pending[slots] = gather(pool, "pending", slots)[:, 0]
        self._stale[slots] = gather(pool, "stale", slots)[:, 0] != 0
        self._slot_of_key: dict[int, int] = {}
        self._know(slots)
        logger.warning(
            "device memory is full: of its blocks, %d stay on the device, others move to main "
            "memory and back",
            pool.capacity,
        )

    @property
    def spilled_blocks(self) -> int:
        """Blocks that are not on the device."""
        return self.count - self._pool.count

    def known(
        self, places: NDArray[np.int32], coords: NDArray[np.int32]
    ) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
        """Slots of the blocks at (K,) places, and of those of (U, 3) blocks that are here.

        Returns the slots, in any order, and (V, 3) the blocks that are nowhere.
        """
        slots = self._find(coords)
        return np.concatenate([self._slot_at[places], slots[slots >= 0]]), coords[slots < 0]

    def append(self, coords: NDArray[np.int32]) -> None:
        """Give (K, 3) blocks, none of which is there, the next slots."""
        slots = np.arange(self.count, self.count + len(coords), dtype=np.int32)
        self.coords[slots] = coords
        self.count += len(coords)
        self._know(slots)

    def rounds(self, slots: NDArray[np.int32]) -> Iterator[NDArray[np.int32]]:
        """Places of as many of the (K,) slots as fit on the device at a time, after each other."""
        is_there = self._place_of[slots] >= 0
        slots = np.concatenate([slots[is_there], slots[~is_there]])
        for first in range(0, len(slots), self._pool.capacity):
            yield self._bring(slots[first : first + self._pool.capacity])

    def meshed(
        self, slots: NDArray[np.int32]
    ) -> Iterator[tuple[NDArray[np.int32], NDArray[np.int32]]]:
        """Parts of the (K,) slots, in order, and their places, with all that their mesh reads."""
        size = max(self._pool.capacity // _MESHED_SHARE, 1)
        for first in range(0, len(slots), size):
            part = slots[first : first + size]
            neighbours = self._neighbours(part, 1).ravel()
            self._bring(np.unique(np.concatenate([part, neighbours[neighbours >= 0]])))
            yield part, self._place_of[part]

    def bring_seen(self, camera: Pinhole, camera_from_world: Mat4, voxel_size_m: float) -> None:
        """Have the blocks on the device that a camera sees, the nearest if there are too many."""
        block_m = BLOCK_VOX * voxel_size_m
        centres_m = (self.coords[: self.count] + 0.5) * block_m
        at_m = centres_m @ camera_from_world[:3, :3].T + camera_from_world[:3, 3]
        size_px = np.array([camera.width_px, camera.height_px])
        is_seen = at_m[:, 2] > -block_m
        for side, border_px in ((-1, np.full(2, -0.5)), (1, size_px - 0.5)):
            slope = (border_px - camera.centre_px) / camera.focal_px
            beyond_m = side * (at_m[:, :2] - slope * at_m[:, 2:]) / np.sqrt(1 + slope**2)
            is_seen &= (beyond_m < block_m).all(axis=1)
        seen = np.flatnonzero(is_seen)
        nearest = np.argsort(at_m[seen, 2], kind="stable")[: self._pool.capacity]
        self._bring(seen[nearest].astype(np.int32))

    def bring_around(self, points_vox: NDArray[np.float64]) -> None:
        """Have the blocks on the device that interpolation at (N, 3) points reads."""
        cells = np.floor(points_vox).astype(np.int32)
        low, high = cells - 1 >> 3, cells + 2 >> 3
        coords = [np.where(corner, high, low) for corner in _CORNERS.astype(np.bool_)]
        slots = self._find(np.unique(np.concatenate(coords), axis=0))
        self._bring(slots[slots >= 0][: self._pool.capacity])

    def _bring(self, slots: NDArray[np.int32]) -> NDArray[np.int32]:
        """Have (K,) blocks on the device, K ≤ capacity; returns their places."""
        self._needs += 1
        self._needed[slots] = self._needs
        absent = slots[self._place_of[slots] < 0]
        if len(absent):
            free = self._pool.capacity - self._pool.count
            if len(absent) > free:
                self._evict(len(absent) - free)
            self._fill(absent)
        return self._place_of[slots]

    def _evict(self, count: int) -> None:
        """Move the blocks needed least lately here."""
        needed = self._needed[self._slot_at[: self._pool.count]]
        places = np.sort(np.argsort(needed, kind="stable")[:count]).astype(np.int32)
        self._save(places)
        self._drop(places)

    def _drop(self, places: NDArray[np.int32]) -> None:
        """Forget what is at (K,) ascending places of the device, and close the gaps there."""
        if not len(places):
            return
        self._place_of[self._slot_at[places]] = -1
        targets, sources = places_after(places, self._pool.count)
        release(self._pool, targets, sources, self._pool.count - len(places))
        self._slot_at[targets] = self._slot_at[sources]
        self._place_of[self._slot_at[targets]] = targets

    def _save(self, places: NDArray[np.int32]) -> None:
        """Copy blocks' words here."""
        slots = self._slot_at[places]
        for name, words in zip(VOXEL_WORDS, self._words, strict=True):
            words[slots] = gather(self._pool, name, places)
        self._change[slots] = gather(self._pool, "change", places)

    def _fill(self, slots: NDArray[np.int32]) -> None:
        """Copy blocks' words to the next places of the device."""
        pool = self._pool
        places = np.arange(pool.count, pool.count + len(slots), dtype=np.int32)
        pool.append(self.coords[slots], 0)
        for name, words in zip(VOXEL_WORDS, self._words, strict=True):
            scatter(pool, name, places, words[slots])
        scatter(pool, "change", places, self._change[slots])
        self._place_of[slots] = places
        self._slot_at[places] = slots

    def observed(self, slots: NDArray[np.int32]) -> NDArray[np.bool_]:
        """(K,) whether any view is in the blocks at (K,) slots."""
        places = self._place_of[slots]
        is_there = places >= 0
        is_observed = self._words[1, slots].any(axis=1)
        is_observed[is_there] = observed(self._pool, places[is_there])
        return np.asarray(is_observed)

    def release(
        self, slots: NDArray[np.int32], targets: NDArray[np.int32], sources: NDArray[np.int32]
    ) -> None:
        """Forget empty blocks, at (K,) slots; those at (M,) `sources` get the slots `targets`.

        See `places_after`. Blocks that are on the device stay there.
        """
        places = self._place_of[slots]
        self._drop(np.sort(places[places >= 0]))
        for key in pack_keys(self.coords[slots]).tolist():
            del self._slot_of_key[key]
        before, self.count = self.count, self.count - len(slots)
        words = (*self._words, self._change, self._pending, self._stale, self._needed, self.coords)
        for column in words:
            column[targets] = column[sources]
            column[self.count : before] = 0
        self._place_of[targets] = self._place_of[sources]
        self._place_of[self.count : before] = -1
        places = self._place_of[targets]
        self._slot_at[places[places >= 0]] = targets[places >= 0]
        self._know(targets)

    def words(self) -> NDArray[np.uint32]:
        """(4, count, 512) copy of the voxels' words."""
        self._save(np.arange(self._pool.count, dtype=np.int32))
        return self._words[:, : self.count].copy()

    def put_words(self, words: NDArray[np.uint32]) -> None:
        """Set what `words` gives."""
        self._evict(self._pool.count)
        self._words[:, : self.count] = words

    def spread_change(self, touched: NDArray[np.int32]) -> None:
        """Note the change since the last call with the blocks whose mesh it concerns."""
        change = self._take_change(touched).astype(np.uint64)
        neighbours = self._neighbours(touched, -1)
        for corner, axes in enumerate(_CORNERS.astype(np.bool_)):
            crossed = change[:, 1:][:, axes]
            least = crossed.min(axis=1) if corner else change[:, 0]
            slots = neighbours[:, corner]
            is_known = slots >= 0
            np.add.at(self._pending, slots[is_known], np.minimum(least, _CHANGE_MOST)[is_known])
            self._stale[slots[is_known]] = True

    def _take_change(self, slots: NDArray[np.int32]) -> NDArray[np.uint32]:
        """(K, 4) what blocks changed, which is forgotten."""
        change = self._change[slots]
        self._change[slots] = 0
        places = self._place_of[slots]
        is_there = places >= 0
        change[is_there] = gather(self._pool, "change", places[is_there])
        none = np.zeros((int(is_there.sum()), 4), np.uint32)
        scatter(self._pool, "change", places[is_there], none)
        return change

    def mark_all(self) -> None:
        """Make every block dirty."""
        self._stale[: self.count] = True

    def take_dirty(self, threshold: float | None) -> NDArray[np.int32]:
        """The (K,) slots, ascending, whose change exceeds a threshold in truncations, or any."""
        if threshold is None:
            is_dirty = self._stale
        else:
            is_dirty = self._pending > np.uint64(round(threshold * CHANGE_STEPS))
        slots = np.flatnonzero(is_dirty[: self.count]).astype(np.int32)
        self._pending[slots] = 0
        self._stale[slots] = False
        return slots

    def _neighbours(self, slots: NDArray[np.int32], towards: int) -> NDArray[np.int32]:
        """(K, 8) slots of blocks at 0 or 1 (0 or −1) along x, y, z; -1: none."""
        coords = self.coords[slots][:, None] + towards * _CORNERS.astype(np.int32)
        return self._find(coords.reshape(-1, 3)).reshape(-1, 8)

    def _find(self, coords: NDArray[np.int32]) -> NDArray[np.int32]:
        keys = pack_keys(coords).tolist()
        return np.array([self._slot_of_key.get(key, -1) for key in keys], np.int32)

    def _know(self, slots: NDArray[np.int32]) -> None:
        keys = pack_keys(self.coords[slots]).tolist()
        self._slot_of_key.update(zip(keys, slots.tolist(), strict=True))
