"""Which of two pictures' features are the same: mutual nearest neighbours that are clearly nearer.

On the CPU or on a device, with the same result.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gpu.backend import Backend, Buffer
from gpu.kernels.match import FARTHEST, hamming_nearest, square_nearest
from mapcast_client.errors import InputError

ORB_BYTES, SIFT_BYTES = 32, 128
"""Of a descriptor: what it is follows from its length."""
MOST_DESCRIPTORS = 1 << 20
_QUERIES = 64
_FEWEST_GROUPS = 1024
"""So many keep a large device busy."""
_SMALLEST_SHARE = 256
"""Descriptors that a group compares its own with, at least."""

Descriptors = NDArray[np.uint8] | NDArray[np.float32]
"""(N, 32) uint8 of ORB, compared by how many bits differ; (N, 128) of SIFT, uint8, or float32 of
whole numbers up to 255 as OpenCV's are, compared by Euclidean distance."""


@dataclass(frozen=True, slots=True)
class Nearest:
    """What is nearest to what; of equals, the lowest index. Distances: bits, or squares."""

    index: NDArray[np.int32]
    """(N,) of the first descriptors: the nearest of the second ones."""
    distance: NDArray[np.int32]
    """(N,) to that."""
    next_distance: NDArray[np.int32]
    """(N,) to the next; `FARTHEST` where there is none."""
    back: NDArray[np.int32]
    """(M,) of the second descriptors: the nearest of the first ones."""


def match(
    first: Descriptors, second: Descriptors, max_ratio: float, backend: Backend | None = None
) -> NDArray[np.int32]:
    """Mutual nearest neighbours, nearer than `max_ratio` of the distance to the next (Lowe 2004).

    Without a `backend`, on the CPU. Returns (M, 2) indices, ascending in the first; none where
    there is nothing, or no next one. Raises InputError for other descriptors or ratios.
    """
    if not 0 < max_ratio <= 1:
        raise InputError(f"max_ratio is {max_ratio}, must be in (0, 1]")
    found = nearest(first, second, backend)
    if len(found.back) < 2:
        return np.empty((0, 2), np.int32)
    near, following = _lengths(first, found.distance), _lengths(first, found.next_distance)
    rows = np.arange(len(found.index), dtype=np.int32)
    is_match = (found.back[found.index] == rows) & (near < max_ratio * following)
    return np.stack([rows[is_match], found.index[is_match]], axis=1)


def nearest(first: Descriptors, second: Descriptors, backend: Backend | None = None) -> Nearest:
    """The nearest and the next of two sets, both ways.

    Where one is empty, indices are −1. Raises InputError for other descriptors.
    """
    rows, columns = _bytes("first", first), _bytes("second", second)
    if rows.shape[1] != columns.shape[1]:
        raise InputError(
            f"descriptors of {rows.shape[1]} and of {columns.shape[1]} bytes: must be of one kind"
        )
    if not len(rows) or not len(columns):
        return _nothing(len(rows), len(columns))
    if backend is not None:
        return _on_device(backend, rows, columns)
    on_cpu = hamming_nearest if rows.shape[1] == ORB_BYTES else square_nearest
    return Nearest(*on_cpu(rows, columns))


def _lengths(descriptors: Descriptors, distances: NDArray[np.int32]) -> NDArray[np.float64]:
    """As numbers whose ratio counts; roots are rounded to float32, as OpenCV's are."""
    if descriptors.shape[1] == ORB_BYTES:
        return distances.astype(np.float64)
    return np.sqrt(distances.astype(np.float32)).astype(np.float64)


def _nothing(rows: int, columns: int) -> Nearest:
    none, far = np.full(rows, -1, np.int32), np.full(rows, FARTHEST, np.int32)
    return Nearest(none, far, far, np.full(columns, -1, np.int32))


def _bytes(which: str, descriptors: Descriptors) -> NDArray[np.uint8]:
    shape, dtype = descriptors.shape, descriptors.dtype
    is_orb = len(shape) == 2 and shape[1] == ORB_BYTES and dtype == np.uint8
    is_sift = len(shape) == 2 and shape[1] == SIFT_BYTES and dtype in (np.uint8, np.float32)
    if not (is_orb or is_sift):
        raise InputError(
            f"{which} descriptors are {dtype} of shape {shape}, must be (N, {ORB_BYTES}) uint8 or "
            f"(N, {SIFT_BYTES}) uint8 or float32"
        )
    if len(descriptors) > MOST_DESCRIPTORS:
        raise InputError(f"{len(descriptors)} {which} descriptors, limit {MOST_DESCRIPTORS}")
    if dtype == np.uint8:
        return np.ascontiguousarray(descriptors, np.uint8)
    is_byte = (descriptors >= 0) & (descriptors <= 255) & (descriptors == np.floor(descriptors))
    if not is_byte.all():
        wrong = descriptors[~is_byte][0]
        raise InputError(f"{which} descriptors hold {wrong}, must be whole numbers from 0 to 255")
    return descriptors.astype(np.uint8)


def _on_device(backend: Backend, first: NDArray[np.uint8], second: NDArray[np.uint8]) -> Nearest:
    taken: list[Buffer] = []
    try:
        for descriptors in (first, second):
            taken.append(backend.alloc(descriptors.nbytes))
            backend.upload(taken[-1], descriptors.view(np.uint32))
        kernel = "match_hamming" if first.shape[1] == ORB_BYTES else "match_squares"
        there = _compared(backend, kernel, taken, len(first), len(second))
        back = _compared(backend, kernel, taken[::-1], len(second), len(first))
    finally:
        for buffer in taken:
            backend.free(buffer)
    return Nearest(there[:, 0], there[:, 1], there[:, 2], back[:, 0])


def _compared(
    backend: Backend, kernel: str, descriptors: list[Buffer], first_count: int, second_count: int
) -> NDArray[np.int32]:
    """(first_count, 3) index, distance and next distance.

    Where the first are few, the second are shared among groups, which find the nearest of each
    share.
    """
    tiles = -(-first_count // _QUERIES)
    shares = min(-(-_FEWEST_GROUPS // tiles), -(-second_count // _SMALLEST_SHARE))
    share = -(-second_count // shares)
    shares = -(-second_count // share)
    counts = {"first_count": first_count, "second_count": second_count, "share": share}
    part = backend.alloc(12 * shares * first_count)
    try:
        first, second = descriptors
        names: dict[str, Any] = {"first": first, "second": second, "found": part}
        backend.launch(kernel, shares * tiles, **names, **counts)
        backend.launch("match_merge", tiles, found=part, first_count=first_count, shares=shares)
        words = backend.download(part, np.int32, 3 * first_count)
    finally:
        backend.free(part)
    return words.reshape(3, first_count).T
