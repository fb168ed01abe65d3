"""Open-addressing hash from block coordinates to pool slots."""

import numpy as np
from numba import int32, int64, njit, uint64
from numpy.typing import NDArray

from gpu.kernels import COORDINATE_LIMIT, JIT, KEY_BITS
from gpu.kernels.pool import EMPTY

_MASK = (1 << KEY_BITS) - 1


@njit(inline="always")
def pack_key(x, y, z):
    """20 bits per axis; the caller keeps coordinates within ±COORDINATE_LIMIT."""
    return (
        ((int64(x) + COORDINATE_LIMIT) << (2 * KEY_BITS))
        | ((int64(y) + COORDINATE_LIMIT) << KEY_BITS)
        | (int64(z) + COORDINATE_LIMIT)
    )


@njit(inline="always")
def unpack_key(key):
    """Block coordinates x, y, z of a key."""
    return (
        int32((key >> (2 * KEY_BITS)) - COORDINATE_LIMIT),
        int32(((key >> KEY_BITS) & _MASK) - COORDINATE_LIMIT),
        int32((key & _MASK) - COORDINATE_LIMIT),
    )


@njit(inline="always")
def first_bucket(key, bucket_mask):
    """Fibonacci hashing: the upper bits of key · 2⁶⁴/φ."""
    mixed = uint64(key)
    mixed = (mixed ^ (mixed >> uint64(32))) * uint64(0x9E3779B97F4A7C15)
    return int64((mixed >> uint64(24)) & uint64(bucket_mask))


# Takes arrays, not a `Pool`: taking arrays out of a tuple counts references, here per key.
@njit(**JIT)
def find_slot(bucket_keys, bucket_slots, key):
    """Pool slot of a key, or -1. Bounds: the table is never full (load ≤ 1/2)."""
    bucket_mask = bucket_keys.size - 1
    bucket = first_bucket(key, bucket_mask)
    while bucket_keys[bucket] != key:
        if bucket_keys[bucket] == EMPTY:
            return int32(-1)
        bucket = (bucket + 1) & bucket_mask
    return bucket_slots[bucket]


def pack_keys(coords: NDArray[np.int32]) -> NDArray[np.int64]:
    """(N,) the keys of (N, 3) blocks, as `pack_key` makes them."""
    x, y, z = coords.T.astype(np.int64) + COORDINATE_LIMIT
    return np.asarray((x << (2 * KEY_BITS)) | (y << KEY_BITS) | z)
