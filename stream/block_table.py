"""The latest row of every block, in columns: what the hub chooses from."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from mapcast_client.rows import MeshRow

INITIAL_BLOCKS = 4096


@dataclass(slots=True)
class BlockTable:
    """Columns by slot; a block keeps its slot for the whole epoch."""

    slot_of: dict[tuple[int, int, int], int] = field(default_factory=dict)
    rows: list[MeshRow] = field(default_factory=list)
    blocks: NDArray[np.int32] = field(default_factory=lambda: np.zeros((INITIAL_BLOCKS, 3), "i4"))
    sizes: NDArray[np.int64] = field(default_factory=lambda: np.zeros(INITIAL_BLOCKS, "i8"))
    revisions: NDArray[np.uint64] = field(default_factory=lambda: np.zeros(INITIAL_BLOCKS, "u8"))
    hashes: list[int] = field(default_factory=list)

    def hash_of(self, block: tuple[int, int, int]) -> int:
        """The content hash of a block's row; 0 when it has no triangles, or is not known."""
        slot = self.slot_of.get(block)
        return 0 if slot is None else self.hashes[slot]

    def slots(self, rows: Sequence[MeshRow]) -> list[int]:
        """The slots of rows' blocks; new ones for those that have none."""
        known, slot_of = len(self.rows), self.slot_of
        slots = []
        for row in rows:
            slot = slot_of.setdefault(row.block, len(self.rows))
            if slot == len(self.rows):
                self.rows.append(MeshRow(row.block, b"", b"", b""))
                self.hashes.append(0)
            slots.append(slot)
        while len(self.sizes) < len(self.rows):
            self.blocks = np.concatenate([self.blocks, np.zeros_like(self.blocks)])
            self.sizes = np.concatenate([self.sizes, np.zeros_like(self.sizes)])
            self.revisions = np.concatenate([self.revisions, np.zeros_like(self.revisions)])
        if fresh := self.rows[known:]:
            self.blocks[known : len(self.rows)] = [row.block for row in fresh]
        return slots
