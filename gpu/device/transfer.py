"""Entries of a pool's buffers, by place: to the host and back, and from place to place."""

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gpu.device.pool import BLOCK_WORDS, STAGED_BLOCKS, VOXEL_WORDS, DevicePool


def gather(pool: DevicePool, name: str, places: NDArray[np.int32]) -> NDArray[np.uint32]:
    """(K, words) entries of a buffer at (K,) places."""
    size = BLOCK_WORDS[name]
    packed = np.empty((len(places), size), np.uint32)
    for part, chunk in _staged(pool, places):
        pool.backend.launch(
            "gather_words",
            len(chunk),
            places=pool.staged_places,
            words=getattr(pool, name),
            packed=pool.staged_words,
            size=size,
            count=len(chunk),
        )
        words = pool.backend.download(pool.staged_words, np.uint32, chunk.size * size)
        packed[part] = words.reshape(-1, size)
    return packed


def scatter(pool: DevicePool, name: str, places: NDArray[np.int32], packed: NDArray[Any]) -> None:
    """Set entries of a buffer at (K,) places, each there once, to (K, words)."""
    for part, chunk in _staged(pool, places):
        pool.backend.upload(pool.staged_words, packed[part])
        pool.backend.launch(
            "scatter_words",
            len(chunk),
            places=pool.staged_places,
            packed=pool.staged_words,
            words=getattr(pool, name),
            size=BLOCK_WORDS[name],
            count=len(chunk),
        )


def _staged(
    pool: DevicePool, places: NDArray[np.int32]
) -> Iterator[tuple[slice, NDArray[np.int32]]]:
    """As many of (K,) places at a time as there is room for, which are on the device then."""
    for first in range(0, len(places), STAGED_BLOCKS):
        part = slice(first, first + STAGED_BLOCKS)
        pool.backend.upload(pool.staged_places, places[part])
        yield part, places[part]


def clear_beyond(pool: DevicePool, count: int) -> None:
    """Leave zero at the places in use from `count` on, and have so many in use."""
    for name, size in BLOCK_WORDS.items():
        pool.backend.launch(
            "clear_words",
            pool.count - count,
            words=getattr(pool, name),
            first=count,
            size=size,
            count=pool.count - count,
        )
    pool.host_coords[count : pool.count] = 0
    pool.count = count


def observed(pool: DevicePool, places: NDArray[np.int32]) -> NDArray[np.bool_]:
    """(K,) whether any view is in the blocks at (K,) places."""
    is_observed = np.empty(len(places), np.bool_)
    for part, chunk in _staged(pool, places):
        pool.backend.launch(
            "find_observed",
            len(chunk),
            places=pool.staged_places,
            counts=pool.counts,
            observed=pool.staged_words,
            count=len(chunk),
        )
        is_observed[part] = pool.backend.download(pool.staged_words, np.uint32, len(chunk)) != 0
    return is_observed


def release(
    pool: DevicePool, targets: NDArray[np.int32], sources: NDArray[np.int32], count: int
) -> None:
    """Keep `count` blocks: those at (K,) `sources`, beyond, go to `targets`, whose are empty."""
    if len(targets):
        _move(pool, targets, sources)
    clear_beyond(pool, count)
    pool.rebuild()


def _move(pool: DevicePool, targets: NDArray[np.int32], sources: NDArray[np.int32]) -> None:
    for part, chunk in _staged(pool, sources):
        pool.backend.upload(pool.staged_words, targets[part])
        for name in VOXEL_WORDS:
            pool.backend.launch(
                "move_words",
                len(chunk),
                sources=pool.staged_places,
                targets=pool.staged_words,
                words=getattr(pool, name),
                count=len(chunk),
            )
    for name in BLOCK_WORDS.keys() - set(VOXEL_WORDS):
        scatter(pool, name, targets, gather(pool, name, sources))
    pool.host_coords[targets] = pool.host_coords[sources]


def places_after(
    released: NDArray[np.int32], count: int
) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """Where blocks go when those at (K,) ascending places of `count` are released.

    The last block takes the place that became free, the highest first. Returns (M,) new places,
    ascending, and where their blocks were.
    """
    block_at = np.arange(count, dtype=np.int32)
    for place in released[::-1]:
        count -= 1
        block_at[place] = block_at[count]
    targets = np.flatnonzero(block_at[:count] != np.arange(count)).astype(np.int32)
    return targets, block_at[targets]
