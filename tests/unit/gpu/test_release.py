"""Places of empty blocks: given back, filled, and found again."""

import numpy as np

from gpu.cpu import CpuBlocks
from gpu.grid import FusionGrid, Pinhole
from gpu.kernels.hashing import find_slot, pack_key

GRID = FusionGrid(0.01, 0.04, 0.1, 4.0, 3)
CAMERA = Pinhole(8, 8, np.array([8.0, 8.0]), np.array([3.5, 3.5]))
Block = tuple[int, int, int]


def slot_of(blocks: CpuBlocks, block: Block) -> int:
    """Where the table finds a block; -1: nowhere."""
    pool = blocks.pool
    return int(find_slot(pool.bucket_keys, pool.bucket_slots, pack_key(*block)))


def require_consistent(blocks: CpuBlocks, content: dict[Block, int]) -> None:
    """The pool holds exactly these blocks, each is found, and knows its neighbours."""
    pool = blocks.pool
    assert blocks.count == len(content)
    assert {tuple(block) for block in pool.coords[: blocks.count].tolist()} == set(content)
    for block, mark in content.items():
        slot = slot_of(blocks, block)
        assert pool.coords[slot].tolist() == list(block)
        assert set(pool.counts[slot].tolist()) == {mark}
        for corner in range(8):
            offset = np.array([corner & 1, corner >> 1 & 1, corner >> 2])
            above, below = (tuple((np.array(block) + s * offset).tolist()) for s in (1, -1))
            assert pool.upper[slot, corner] == slot_of(blocks, above)
            assert pool.lower[slot, corner] == slot_of(blocks, below)
    assert not pool.counts[blocks.count :].any()
    assert (pool.upper[blocks.count :] == -1).all()
    assert np.count_nonzero(pool.bucket_keys != -1) == len(content)


def test_blocks_that_stay_are_found_whatever_is_given_back() -> None:
    rng = np.random.default_rng(4)
    blocks = CpuBlocks(GRID, CAMERA, max_blocks=200)
    followed = np.zeros(200, np.int64)
    content: dict[Block, int] = {}
    for _ in range(60):
        fresh = {tuple(block) for block in rng.integers(-3, 3, (30, 3)).tolist()} - set(content)
        blocks.insert(np.array(sorted(fresh), np.int32).reshape(-1, 3))
        for block in fresh:
            content[block] = int(rng.integers(1, 1 << 16))
            blocks.pool.counts[slot_of(blocks, block)] = content[block]
            followed[slot_of(blocks, block)] = content[block]
        leaving = [block for block in content if rng.random() < 0.4]
        for block in leaving:
            blocks.pool.counts[slot_of(blocks, block)] = 0
            del content[block]
        blocks._thinned[: blocks.count] = True
        empty = blocks.empty_blocks()
        assert len(empty) == len(leaving)
        blocks.release(empty, [followed])
        require_consistent(blocks, content)
        assert all(followed[slot_of(blocks, block)] == mark for block, mark in content.items())
        assert not followed[blocks.count :].any()
