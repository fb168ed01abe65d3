"""Giving back the places of empty blocks, so that corrections do not fill the pool with them.

The pool stays without gaps: the last block takes the place that became free.
"""

from numba import int32, int64, njit, prange

from gpu.kernels import BLOCK_VOXELS, JIT
from gpu.kernels.hashing import first_bucket, pack_key
from gpu.kernels.pool import EMPTY


# One work-item = one of `slots` (K,) int32. Writes to `is_empty` (K,) whether no view is in it: a
# voxel without observations is zero in its other words, too. Races: none.
@njit(parallel=True, **JIT)
def find_empty(slots, counts, is_empty):
    """Say which blocks no voxel was observed in."""
    for index in prange(slots.size):
        words = counts[slots[index]]
        empty = True
        for i in range(BLOCK_VOXELS):
            if words[i] != 0:
                empty = False
                break
        is_empty[index] = empty


# Knuth, The Art of Computer Programming 3, section 6.4, algorithm R.
@njit(**JIT)
def _erase(bucket_keys, bucket_slots, key):
    """Take a key out of the table and close the gap that later keys must be found across."""
    mask = bucket_keys.size - 1
    gap = first_bucket(key, mask)
    while bucket_keys[gap] != key:
        gap = (gap + 1) & mask
    bucket = gap
    while True:
        bucket = (bucket + 1) & mask
        if bucket_keys[bucket] == EMPTY:
            break
        # A key may fill the gap if its search passes there before it comes to its bucket.
        if ((bucket - first_bucket(bucket_keys[bucket], mask)) & mask) >= ((bucket - gap) & mask):
            bucket_keys[gap] = bucket_keys[bucket]
            bucket_slots[gap] = bucket_slots[bucket]
            gap = bucket
    bucket_keys[gap] = EMPTY


# One call = one block: its neighbours know it as being at `place` (-1: not any more).
@njit(inline="always")
def _tell_neighbours(slot, place, upper, lower):
    for corner in range(1, 8):
        above, below = upper[slot, corner], lower[slot, corner]
        if above >= 0:
            lower[above, corner] = place
        if below >= 0:
            upper[below, corner] = place


@njit(inline="always")
def _key_at(coords, slot):
    return pack_key(coords[slot, 0], coords[slot, 1], coords[slot, 2])


# One call = all of `slots` (K,) int32, descending, serial. `count` blocks are in the pool. Writes
# to `sources` (K,) int32 which place's block went to the one that became free; equal places: none.
@njit(**JIT)
def release_blocks(slots, pool, stamps, count, sources):
    """Take empty blocks out of the pool and fill their places; returns how many blocks are left."""
    bucket_keys, bucket_slots, coords = pool.bucket_keys, pool.bucket_slots, pool.coords
    upper, lower = pool.upper, pool.lower
    for index in range(slots.size):
        slot = int64(slots[index])
        last = int64(count - 1)
        count -= 1
        _erase(bucket_keys, bucket_slots, _key_at(coords, slot))
        _tell_neighbours(slot, int32(-1), upper, lower)
        sources[index] = last
        if last != slot:
            key = _key_at(coords, last)
            bucket = first_bucket(key, bucket_keys.size - 1)
            while bucket_keys[bucket] != key:
                bucket = (bucket + 1) & (bucket_keys.size - 1)
            bucket_slots[bucket] = int32(slot)
            _tell_neighbours(last, int32(slot), upper, lower)
            pool.sdf_sum[slot] = pool.sdf_sum[last]
            pool.counts[slot] = pool.counts[last]
            pool.color_low[slot] = pool.color_low[last]
            pool.color_high[slot] = pool.color_high[last]
            pool.change[slot] = pool.change[last]
            coords[slot] = coords[last]
            upper[slot] = upper[last]
            lower[slot] = lower[last]
            upper[slot, 0] = lower[slot, 0] = int32(slot)
            stamps[slot] = stamps[last]
            pool.sdf_sum[last] = 0
            pool.counts[last] = 0
            pool.color_low[last] = 0
            pool.color_high[last] = 0
        pool.change[last] = 0
        upper[last] = -1
        lower[last] = -1
        stamps[last] = 0
    return count


# One call = all of `slots` and `sources` of `release_blocks`, serial.
@njit(**JIT)
def move_entries(slots, sources, column):
    """Have an array by place follow the blocks that moved; what is left behind becomes zero."""
    for index in range(slots.size):
        column[slots[index]] = column[sources[index]]
        column[sources[index]] = 0
