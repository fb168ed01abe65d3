"""Mesh rows: the latest triangles of each voxel block, side by side in flat arrays."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from struct import Struct
from typing import NamedTuple, Self

import numpy as np
import xxhash
from numpy.typing import NDArray

_HASH_HEAD = Struct("<3iI")

BLOCK_SIZE_VOX = 8
VERTEX_STEPS = 31
"""Steps per voxel of a vertex coordinate: 8 · 31 = 248 fits a byte, lattice points are exact."""


@dataclass(frozen=True, slots=True)
class MeshRows:
    """K rows; row i owns the next `vertex_counts[i]` vertices and `triangle_counts[i]` triangles.

    World position of a vertex = (block · 8 + vertex / 31) · voxel_size_m. A row without triangles
    is a tombstone: the block has no surface any more.
    """

    blocks: NDArray[np.int32]
    """(K, 3) grid coordinates x, y, z."""
    vertex_counts: NDArray[np.uint32]
    """(K,)"""
    triangle_counts: NDArray[np.uint32]
    """(K,)"""
    vertices: NDArray[np.uint8]
    """(V, 3) in steps of 1/31 voxel from the block's corner, 0–248."""
    colors: NDArray[np.uint8]
    """(V, 3) sRGB."""
    triangles: NDArray[np.uint16]
    """(T, 3) indices into the row's own vertices, counter-clockwise seen from free space."""

    def __len__(self) -> int:
        return len(self.blocks)

    @classmethod
    def empty(cls) -> Self:
        """No rows."""
        return cls(
            np.zeros((0, 3), np.int32),
            np.zeros(0, np.uint32),
            np.zeros(0, np.uint32),
            np.zeros((0, 3), np.uint8),
            np.zeros((0, 3), np.uint8),
            np.zeros((0, 3), np.uint16),
        )

    @classmethod
    def join(cls, rows: Sequence["MeshRow"]) -> Self:
        """Put rows side by side: the inverse of `split`."""
        return cls(
            np.array([row.block for row in rows], np.int32).reshape(-1, 3),
            np.array([len(row.vertices) // 3 for row in rows], np.uint32),
            np.array([len(row.triangles) // 6 for row in rows], np.uint32),
            np.frombuffer(b"".join(row.vertices for row in rows), np.uint8).reshape(-1, 3),
            np.frombuffer(b"".join(row.colors for row in rows), np.uint8).reshape(-1, 3),
            np.frombuffer(b"".join(row.triangles for row in rows), "<u2").reshape(-1, 3),
        )

    def split(self) -> Iterator["MeshRow"]:
        """Each row with bytes of its own."""
        vertices, colors, triangles = (
            a.tobytes() for a in (self.vertices, self.colors, self.triangles)
        )
        vertex_spans = _spans(3 * self.vertex_counts.astype(np.int64))
        triangle_spans = _spans(6 * self.triangle_counts.astype(np.int64))
        columns = zip(
            map(tuple, self.blocks.tolist()),
            [vertices[span] for span in vertex_spans],
            [colors[span] for span in vertex_spans],
            [triangles[span] for span in triangle_spans],
            strict=True,
        )
        return map(MeshRow._make, columns)


def _spans(lengths: NDArray[np.int64]) -> list[slice]:
    """Where each of some stretches, one behind the other, lies."""
    ends = np.cumsum(lengths).tolist()
    return list(map(slice, [0, *ends[:-1]], ends))


class MeshRow(NamedTuple):
    """One block's triangles, encoded as they travel. A tuple: thousands are made in a second."""

    block: tuple[int, int, int]
    vertices: bytes
    colors: bytes
    triangles: bytes

    @property
    def size_bytes(self) -> int:
        """Payload size, without the fixed columns."""
        return len(self.vertices) + len(self.colors) + len(self.triangles)

    def content_hash(self) -> int:
        """XXH64 (seed 0) of the block's coordinates as int32 and the three payloads; 0 if empty.

        Little-endian: block, number of vertices (uint32), vertices, colors, triangles. The
        map hash is the sum of these over all blocks, modulo 2⁶⁴, so its order does not matter.
        """
        if not self.triangles:
            return 0
        head = _HASH_HEAD.pack(*self.block, len(self.vertices) // 3)
        return xxhash.xxh64_intdigest(b"".join((head, self.vertices, self.colors, self.triangles)))
