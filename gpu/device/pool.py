"""Voxel blocks in the memory of a device."""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from gpu.backend import WORD_BYTES, Backend, Buffer, DeviceMemoryError
from gpu.kernels import BLOCK_VOXELS

VOXEL_WORDS = ("sdf_sum", "counts", "color_low", "color_high")
"""The buffers of voxels' words, in the order in which they are saved."""
BLOCK_WORDS = {
    "coords": 3,
    **dict.fromkeys(VOXEL_WORDS, BLOCK_VOXELS),
    "stamps": 1,
    "change": 4,
    "pending": 1,
    "stale": 1,
}
"""The buffers with entries by place, and their words per block."""
CHANGE_STEPS = 4096
"""A block's change is counted in so many parts of the truncation."""
START_BLOCKS = 4096
LEAST_POOL_BLOCKS = 64
"""A device without room for so many is of no use."""
RESERVED_SHARE = 8
"""One part in so many of the memory that may be taken is not for blocks."""
SPARE_SHARE = 16
"""One part in so many is not for meshes and pictures either: what is small always gets room."""
STAGED_BLOCKS = 1024
"""Blocks that are packed at a time on their way from or to other places."""
_ITEMS = 64


@dataclass(slots=True)
class DevicePool:
    """N places for blocks on a device, which grow in number when there is need for more.

    Growing replaces the buffers: read them here at every launch. What is beyond `count` is zero.
    One thread calls it.
    """

    backend: Backend
    buckets: Buffer
    """int: places of blocks, or -1, under a hash of their coordinates; see hash.h."""
    coords: Buffer
    """(N, 3) int: x, y, z in blocks."""
    sdf_sum: Buffer
    """(N, 512) int, as the next ones with the meaning of `gpu.kernels.pool.Pool`."""
    counts: Buffer
    color_low: Buffer
    color_high: Buffer
    stamps: Buffer
    """(N,) int: the last touch that found the block."""
    change: Buffer
    """(N, 4) uint: as the CPU's, in 1 / CHANGE_STEPS of the truncation, at most 2²⁷."""
    pending: Buffer
    """(N,) uint: the change that a block's mesh does not show yet, in the same unit."""
    stale: Buffer
    """(N,) uint: whether there is such."""
    staged_places: Buffer
    """(S,) int: the places of blocks that are under way, S as there is room in `staged_words`."""
    staged_words: Buffer
    """(S, 512) what is there. Both are taken once, so that moving blocks needs no memory."""
    capacity: int
    bucket_mask: int
    """Buckets − 1."""
    count: int = 0
    """Places in use: the first ones."""
    host_coords: NDArray[np.int32] = field(default_factory=lambda: np.empty((0, 3), np.int32))
    """(N, 3) the same as `coords`."""

    @classmethod
    def make(
        cls, backend: Backend, max_blocks: int, start_blocks: int = START_BLOCKS
    ) -> "DevicePool":
        """An empty pool of `start_blocks` places, or fewer if the device has no room for them.

        Raises DeviceMemoryError if it has hardly any.
        """
        capacity = min(start_blocks, max_blocks)
        while True:
            try:
                return cls._of(backend, capacity)
            except DeviceMemoryError:
                if capacity // 2 < min(LEAST_POOL_BLOCKS, max_blocks):
                    raise
                capacity //= 2

    @classmethod
    def _of(cls, backend: Backend, capacity: int) -> "DevicePool":
        _check_room(backend, capacity)
        taken: dict[str, Buffer] = {}
        try:
            taken["buckets"] = backend.alloc(_buckets(capacity) * WORD_BYTES)
            for name, words in BLOCK_WORDS.items():
                taken[name] = backend.alloc(capacity * words * WORD_BYTES)
            taken["staged_places"] = backend.alloc(STAGED_BLOCKS * WORD_BYTES)
            taken["staged_words"] = backend.alloc(STAGED_BLOCKS * BLOCK_VOXELS * WORD_BYTES)
        except DeviceMemoryError:
            for buffer in taken.values():
                backend.free(buffer)
            raise
        backend.fill(taken["buckets"], 0xFFFFFFFF)
        return cls(
            backend=backend,
            buckets=taken["buckets"],
            coords=taken["coords"],
            sdf_sum=taken["sdf_sum"],
            counts=taken["counts"],
            color_low=taken["color_low"],
            color_high=taken["color_high"],
            stamps=taken["stamps"],
            change=taken["change"],
            pending=taken["pending"],
            stale=taken["stale"],
            staged_places=taken["staged_places"],
            staged_words=taken["staged_words"],
            capacity=capacity,
            bucket_mask=_buckets(capacity) - 1,
            host_coords=np.zeros((capacity, 3), np.int32),
        )

    def grow(self, capacity: int) -> None:
        """Have room for so many blocks. Raises DeviceMemoryError, and is as before."""
        assert capacity >= self.capacity
        _check_room(self.backend, capacity - self.capacity, self.capacity)
        for name, words in BLOCK_WORDS.items():
            self._replace(name, words, capacity)
        buckets = self.backend.alloc(_buckets(capacity) * WORD_BYTES)
        self.backend.free(self.buckets)
        self.buckets, self.bucket_mask = buckets, _buckets(capacity) - 1
        self.capacity = capacity
        host_coords = np.zeros((capacity, 3), np.int32)
        host_coords[: self.count] = self.host_coords[: self.count]
        self.host_coords = host_coords
        self.rebuild()

    def _replace(self, name: str, words: int, capacity: int) -> None:
        """Grow one buffer; one that grew before there was no room for another stays so."""
        before: Buffer = getattr(self, name)
        size_bytes = capacity * words * WORD_BYTES
        if before.size_bytes >= size_bytes:
            return
        grown = self.backend.alloc(size_bytes)
        self.backend.copy(before, grown, self.count * words * WORD_BYTES)
        self.backend.free(before)
        setattr(self, name, grown)

    def append(self, coords: NDArray[np.int32], stamp: int) -> None:
        """Give (K, 3) blocks, none of which is there, the next places."""
        first, self.count = self.count, self.count + len(coords)
        assert self.count <= self.capacity, f"{self.count} blocks, limit {self.capacity}"
        self.host_coords[first : self.count] = coords
        self.backend.upload(self.coords, coords, first * 3 * WORD_BYTES)
        self.backend.upload(self.stamps, np.full(len(coords), stamp, np.int32), first * WORD_BYTES)
        self._insert(first, len(coords))

    def rebuild(self) -> None:
        """Make the hash anew, of the blocks that are there."""
        self.backend.fill(self.buckets, 0xFFFFFFFF)
        self._insert(0, self.count)

    def _insert(self, first: int, count: int) -> None:
        self.backend.launch(
            "insert_blocks",
            -(-count // _ITEMS),
            coords=self.coords,
            buckets=self.buckets,
            bucket_mask=self.bucket_mask,
            first=first,
            count=count,
        )


def _check_room(backend: Backend, blocks: int, copied: int = 0) -> None:
    """Leave a share of the device's memory to views and meshes, but while `copied` blocks move.

    Raises DeviceMemoryError.
    """
    memory = backend.memory()
    used_bytes = memory.used_bytes + blocks * sum(BLOCK_WORDS.values()) * WORD_BYTES
    buckets_bytes = _buckets(copied + blocks) * WORD_BYTES
    moving_bytes = max(copied * BLOCK_VOXELS * WORD_BYTES, buckets_bytes)
    reserved_bytes = max(memory.limit_bytes // RESERVED_SHARE, moving_bytes if copied else 0)
    if used_bytes > memory.limit_bytes - reserved_bytes:
        raise DeviceMemoryError(
            f"{blocks} more blocks would take device memory to {used_bytes} bytes of "
            f"{memory.limit_bytes}, of which {reserved_bytes} are for views, meshes and moves"
        )


def check_spare(backend: Backend, size_bytes: int) -> None:
    """See that what can also be done with less memory leaves some to what cannot.

    Raises DeviceMemoryError.
    """
    memory = backend.memory()
    spare_bytes = memory.limit_bytes // SPARE_SHARE
    if memory.used_bytes + size_bytes > memory.limit_bytes - spare_bytes:
        raise DeviceMemoryError(
            f"{size_bytes} bytes of device memory, of which {memory.used_bytes} are in use and "
            f"{spare_bytes} kept free, limit {memory.limit_bytes}"
        )


def _buckets(capacity: int) -> int:
    return 1 << (2 * capacity - 1).bit_length()
