"""The arrays of a pool of blocks, as kernels take them."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from gpu.kernels import BLOCK_VOXELS

EMPTY = -1


class Pool(NamedTuple):
    """N places for blocks; structure of arrays, so that each is a buffer of 32-bit words."""

    bucket_keys: NDArray[np.int64]
    """Hash table: keys of blocks, EMPTY where there is none."""
    bucket_slots: NDArray[np.int32]
    """Hash table: places of these blocks."""
    coords: NDArray[np.int32]
    """(N, 3) x, y, z in blocks."""
    upper: NDArray[np.int32]
    """(N, 8) places of the neighbours at +bit 0, +bit 1, +bit 2 along x, y, z; -1: none."""
    lower: NDArray[np.int32]
    """(N, 8) the same at −bit."""
    sdf_sum: NDArray[np.int32]
    """(N, 512) sum of quantised signed distances, DISTANCE_STEPS = truncation."""
    counts: NDArray[np.uint32]
    """(N, 512) weight | colour count << 16."""
    color_low: NDArray[np.uint32]
    """(N, 512) red sum, 21 bits | low 11 bits of the blue sum << 21."""
    color_high: NDArray[np.uint32]
    """(N, 512) green sum, 21 bits | high 11 bits of the blue sum << 21."""
    change: NDArray[np.float32]
    """(N, 4) |Δ mean distance| since last asked, in truncations: summed over the block, and over
    its voxels with x = 0, y = 0, z = 0."""

    @classmethod
    def make(cls, max_blocks: int) -> "Pool":
        """An empty pool; voxels take memory only when written."""
        buckets = 1 << (2 * max_blocks - 1).bit_length()
        words = (max_blocks, BLOCK_VOXELS)
        return cls(
            np.full(buckets, EMPTY, np.int64),
            np.zeros(buckets, np.int32),
            np.zeros((max_blocks, 3), np.int32),
            np.full((max_blocks, 8), -1, np.int32),
            np.full((max_blocks, 8), -1, np.int32),
            np.zeros(words, np.int32),
            np.zeros(words, np.uint32),
            np.zeros(words, np.uint32),
            np.zeros(words, np.uint32),
            np.zeros((max_blocks, 4), np.float32),
        )
