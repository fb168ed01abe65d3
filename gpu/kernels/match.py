"""The nearest and the next of other descriptors on the CPU: `device/match.c`, bit for bit.

Both directions in one sweep: each distance is computed once. All in integers, and of equals the
lowest index wins, so that threads and devices find the same.
"""

from typing import Any

import numpy as np
from numba import float32, get_num_threads, int32, njit, prange, types, uint32
from numba.extending import intrinsic
from numpy.typing import NDArray

from gpu.kernels import JIT

FARTHEST = 0x7FFFFFFF
"""The distance of what is not there."""
_INDEX_BITS = 23
_NO_KEY = 0xFFFFFFFF
_TILE = 256
"""Descriptors of one tile: with its distances, it stays in the first cache."""
_ROWS = 256
"""Of scalar products at a time: they stay in the second cache."""

Nearest = tuple[NDArray[np.int32], NDArray[np.int32], NDArray[np.int32], NDArray[np.int32]]
"""Index, distance, next distance (N,) of the first ones, and index (M,) of the second ones."""


def hamming_nearest(first: NDArray[np.uint8], second: NDArray[np.uint8]) -> Nearest:
    """Compare (N, 32) with (M, 32) bytes, N and M from 1 to 2²³, by how many bits differ."""
    words = np.ascontiguousarray(first).view(np.uint32)
    turned = np.ascontiguousarray(np.ascontiguousarray(second).view(np.uint32).T)
    best, following = np.full((2, len(first)), _NO_KEY, np.uint32)
    padded = -(-len(second) // _TILE) * _TILE
    columns = np.full((get_num_threads(), padded), _NO_KEY, np.uint32)
    hamming_sweep(words, turned, best, following, columns)
    back = columns.min(axis=0)[: len(second)]
    next_distance = _distances_of(following)
    next_distance[following == _NO_KEY] = FARTHEST
    return _indices(best), _distances_of(best), next_distance, _indices(back)


def _distances_of(keys: NDArray[np.uint32]) -> NDArray[np.int32]:
    return (keys >> _INDEX_BITS).astype(np.int32)


def _indices(keys: NDArray[np.uint32]) -> NDArray[np.int32]:
    return (keys & ((1 << _INDEX_BITS) - 1)).astype(np.int32)


def square_nearest(first: NDArray[np.uint8], second: NDArray[np.uint8]) -> Nearest:
    """Compare (N, 128) with (M, 128) bytes by the square of their distance.

    Scalar products of 128 bytes, and their sums with two squares, are below 2²⁴: in float32 they
    are exact, in whatever order BLAS adds.
    """
    rows, columns = first.astype(np.float32), second.astype(np.float32)
    squares = [np.einsum("ij,ij->i", each, each) for each in (rows, columns)]
    nearest, distance, next_distance = np.empty((3, len(first)), np.int32)
    least = np.full((get_num_threads(), len(second)), FARTHEST, np.int32)
    back = np.zeros(least.shape, np.int32)
    products = np.empty((min(_ROWS, len(first)), len(second)), np.float32)
    for start in range(0, len(first), _ROWS):
        part = rows[start : start + _ROWS]
        np.dot(part, columns.T, out=products[: len(part)])
        square_sweep(
            products[: len(part)], *squares, start, nearest, distance, next_distance, least, back
        )
    keys = (least.astype(np.int64) << 32 | back).min(axis=0)  # of equals in other threads, too
    return nearest, distance, next_distance, (keys & 0x7FFFFFFF).astype(np.int32)


def _counted(typing_context, word):
    def generate(context, builder, signature, arguments):
        return builder.ctpop(arguments[0])

    return types.uint32(types.uint32), generate


_bit_count: Any = intrinsic(_counted)
"""The processor's own instruction, and that of its vectors where it has one."""


# One work-item = a thread's share of `first` (N, 8) uint32 words; SIMD along a tile of `turned`
# (8, M), which holds the second descriptors' words one after the other. Keys are a distance above
# an index of _INDEX_BITS bits: the lesser key is nearer, or as near with a lower index. Lowers
# `best` and `following` (N,) to the least two keys of each first descriptor, and `columns`
# (threads, M rounded up to tiles), a row for each thread, to the least of each second one. All of
# them are _NO_KEY before. Races: none.
@njit(parallel=True, **JIT)
def hamming_sweep(first, turned, best, following, columns):
    """Compare all with all by how many bits differ."""
    threads, (words, count) = columns.shape[0], turned.shape
    for thread in prange(threads):
        keys = np.empty(_TILE, np.uint32)
        tile = np.zeros((words, _TILE), np.uint32)
        begin = first.shape[0] * thread // threads
        end = first.shape[0] * (thread + 1) // threads
        for start in range(0, count, _TILE):
            width = min(_TILE, count - start)
            tile[:, :width] = turned[:, start : start + width]
            column = columns[thread, start : start + _TILE]
            for i in range(begin, end):
                _tile_keys(first[i], tile, keys)
                keys[width:] = uint32(_NO_KEY)
                _lower(column, keys, uint32(i))
                best[i], following[i] = _least_two(keys, uint32(start), best[i], following[i])


@njit(**JIT)
def _tile_keys(words, tile, keys):
    for j in range(_TILE):
        bits = _bit_count(words[0] ^ tile[0, j])
        bits = uint32(bits + _bit_count(words[1] ^ tile[1, j]))
        bits = uint32(bits + _bit_count(words[2] ^ tile[2, j]))
        bits = uint32(bits + _bit_count(words[3] ^ tile[3, j]))
        bits = uint32(bits + _bit_count(words[4] ^ tile[4, j]))
        bits = uint32(bits + _bit_count(words[5] ^ tile[5, j]))
        bits = uint32(bits + _bit_count(words[6] ^ tile[6, j]))
        bits = uint32(bits + _bit_count(words[7] ^ tile[7, j]))
        keys[j] = uint32(bits << uint32(_INDEX_BITS))


@njit(**JIT)
def _lower(column, keys, index):
    for j in range(_TILE):
        column[j] = min(column[j], uint32(keys[j] | index))


@njit(**JIT)
def _least_two(keys, start, best, following):
    least = uint32(_NO_KEY)
    for j in range(_TILE):
        key = uint32(keys[j] | uint32(start + uint32(j)))
        keys[j] = key
        least = min(least, key)
    second = uint32(_NO_KEY)
    for j in range(_TILE):
        second = min(second, keys[j] if keys[j] != least else uint32(_NO_KEY))
    return min(best, least), min(min(following, second), max(best, least))


# One work-item = a thread's share of the rows of `products` (K, M) float32, scalar products of the
# first descriptors from `start` on with all second ones. `squares` (N,), `other_squares` (M,): of
# the descriptors with themselves. Writes `nearest`, `distance`, `next_distance` (N,) int32 of those
# K; lowers `least` (threads, M) int32, a row for each thread, and sets the index in `back`
# (threads, M) where it does. Races: none.
@njit(parallel=True, **JIT)
def square_sweep(
    products, squares, other_squares, start, nearest, distance, next_distance, least, back
):
    """Compare some with all by the square of their distance."""
    threads, (count, width) = least.shape[0], products.shape
    for thread in prange(threads):
        row = np.empty(width, np.int32)
        for k in range(count * thread // threads, count * (thread + 1) // threads):
            i = start + k
            _squares(products[k], squares[i], other_squares, row)
            _lower_squares(least[thread], back[thread], row, int32(i))
            nearest[i], distance[i], next_distance[i] = _least_two_squares(row)


@njit(**JIT)
def _squares(products, square, other_squares, row):
    for j in range(row.size):
        row[j] = int32(square + other_squares[j] - float32(2) * products[j])


@njit(**JIT)
def _lower_squares(least, back, row, index):
    for j in range(row.size):
        back[j] = index if row[j] < least[j] else back[j]
        least[j] = min(least[j], row[j])


@njit(**JIT)
def _least_two_squares(row):
    least = int32(FARTHEST)
    for j in range(row.size):
        least = min(least, row[j])
    winner, second, equals = int32(FARTHEST), int32(FARTHEST), int32(0)
    for j in range(row.size):
        is_least = row[j] == least
        winner = min(winner, int32(j) if is_least else int32(FARTHEST))
        second = min(second, int32(FARTHEST) if is_least else row[j])
        equals = int32(equals + int32(is_least))
    return winner, least, least if equals > 1 else second
