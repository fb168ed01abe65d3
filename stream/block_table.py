"""The latest row of every block, in columns: what the hub chooses from."""

from collections.abc import Collection
from itertools import repeat

import numpy as np
from numpy.typing import NDArray

from mapcast_client.rows import MeshRows, SeparateRows

INITIAL_BLOCKS = 4096
_HASH_MODULUS = 1 << 64


class BlockTable:
    """Columns by slot; a block keeps its slot for the whole epoch.

    No column holds objects that the garbage collector looks at: its pauses do not grow with the
    map.
    """

    def __init__(self) -> None:
        self.map_hash = 0
        """Sum of the rows' content hashes, modulo 2⁶⁴."""
        self.triangles = 0
        self.live_blocks = 0
        self.blocks = np.zeros((INITIAL_BLOCKS, 3), np.int32)
        self.sizes_bytes = np.zeros(INITIAL_BLOCKS, np.int64)
        self.revisions = np.zeros(INITIAL_BLOCKS, np.uint64)
        self._hashes = np.zeros(INITIAL_BLOCKS, np.uint64)
        self._triangle_counts = np.zeros(INITIAL_BLOCKS, np.int64)
        self._payloads = np.zeros((3, INITIAL_BLOCKS), np.object_)
        """Vertices, colors and triangles, each as `bytes`."""
        self._slot_of: dict[bytes, int] = {}

    def __len__(self) -> int:
        return len(self._slot_of)

    def live(self) -> NDArray[np.int64]:
        """The slots of blocks that have triangles."""
        return np.flatnonzero(self._triangle_counts)

    def live_except(
        self, blocks: Collection[tuple[int, int, int]] | NDArray[np.int32]
    ) -> NDArray[np.int32]:
        """(K, 3) the blocks that have triangles and are not among those."""
        if not isinstance(blocks, np.ndarray):
            blocks = np.array(list(blocks), np.int32).reshape(-1, 3)
        return self.blocks[np.setdiff1d(self.live(), self.slots_of(blocks))]

    def rows(self, slots: NDArray[np.int64]) -> SeparateRows:
        """The rows in some slots."""
        return SeparateRows(self.blocks[slots], *self._payloads[:, slots].tolist())

    def replace(
        self, rows: MeshRows, hashes: NDArray[np.uint64], revision: int
    ) -> NDArray[np.int64]:
        """Store those rows, one of a block, that say what is not known yet; return their slots."""
        found = self.slots_of(rows.blocks)
        changed = hashes != np.where(found < 0, 0, self._hashes[found])
        news = rows.separate(changed)
        slots = self._with_new_slots(found[changed], news.blocks)
        triangle_counts = rows.triangle_counts[changed].astype(np.int64)
        self._count(slots, hashes[changed], triangle_counts)
        # A vertex has three bytes of position and three of color, a triangle three times two.
        self.sizes_bytes[slots] = 6 * (rows.vertex_counts[changed] + triangle_counts)
        self.revisions[slots] = revision
        columns = news.vertices, news.colors, news.triangles
        for stored, payloads in zip(self._payloads, columns, strict=True):
            stored[slots] = payloads
        return slots

    def slots_of(self, blocks: NDArray[np.int32]) -> NDArray[np.int64]:
        """(K,) where blocks (K, 3) are; -1: nowhere."""
        found = map(self._slot_of.get, _keys(blocks), repeat(-1))
        return np.fromiter(found, np.int64, len(blocks))

    def _with_new_slots(
        self, slots: NDArray[np.int64], blocks: NDArray[np.int32]
    ) -> NDArray[np.int64]:
        """Slots for blocks that have one or, where it is -1, the next free one."""
        is_new = slots < 0
        new_blocks, first = blocks[is_new], len(self)
        new_slots = np.arange(first, first + len(new_blocks))
        self._slot_of.update(zip(_keys(new_blocks), new_slots.tolist(), strict=True))
        while len(self.blocks) < len(self):
            self._double()
        self.blocks[new_slots] = new_blocks
        slots = slots.copy()
        slots[is_new] = new_slots
        return slots

    def _count(
        self,
        slots: NDArray[np.int64],
        hashes: NDArray[np.uint64],
        triangle_counts: NDArray[np.int64],
    ) -> None:
        """Replace hashes and counts, and keep the sums over all rows."""
        old_hashes, old_counts = self._hashes[slots], self._triangle_counts[slots]
        self.map_hash = (self.map_hash + int((hashes - old_hashes).sum())) % _HASH_MODULUS
        self.triangles += int((triangle_counts - old_counts).sum())
        self.live_blocks += int((triangle_counts > 0).sum()) - int((old_counts > 0).sum())
        self._hashes[slots], self._triangle_counts[slots] = hashes, triangle_counts

    def _double(self) -> None:
        for name in ("blocks", "sizes_bytes", "revisions", "_hashes", "_triangle_counts"):
            column = getattr(self, name)
            setattr(self, name, np.concatenate([column, np.zeros_like(column)]))
        self._payloads = np.concatenate([self._payloads, np.zeros_like(self._payloads)], axis=1)


def _keys(blocks: NDArray[np.int32]) -> list[bytes]:
    """Each block's coordinates as 12 bytes: quicker made and looked up than tuples."""
    keys: list[bytes] = np.ascontiguousarray(blocks).view("V12").ravel().tolist()
    return keys
