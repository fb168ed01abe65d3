"""Mesh rows: the latest triangles of each voxel block, side by side in flat arrays."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from struct import Struct
from typing import Any, NamedTuple, Self

import numpy as np
import xxhash
from numpy.typing import NDArray

_HASH_HEAD = Struct("<3iI")
_ALL = slice(None)

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
        return cls.tombstones(np.zeros((0, 3), np.int32))

    @classmethod
    def tombstones(cls, blocks: NDArray[np.int32]) -> Self:
        """Rows of blocks (K, 3) that have no surface any more."""
        return cls(
            blocks,
            np.zeros(len(blocks), np.uint32),
            np.zeros(len(blocks), np.uint32),
            np.zeros((0, 3), np.uint8),
            np.zeros((0, 3), np.uint8),
            np.zeros((0, 3), np.uint16),
        )

    @classmethod
    def join(cls, rows: Iterable["MeshRow"]) -> Self:
        """Put rows side by side: the inverse of `split`."""
        rows = SeparateRows.of(rows)
        vertices, colors, triangles = map(b"".join, (rows.vertices, rows.colors, rows.triangles))
        return cls(
            rows.blocks,
            (_lengths(rows.vertices) // 3).astype(np.uint32),
            (_lengths(rows.triangles) // 6).astype(np.uint32),
            np.frombuffer(vertices, np.uint8).reshape(-1, 3),
            np.frombuffer(colors, np.uint8).reshape(-1, 3),
            np.frombuffer(triangles, "<u2").reshape(-1, 3),
        )

    def split(self) -> Iterator["MeshRow"]:
        """Each row with bytes of its own."""
        return iter(self.separate())

    def separate(self, which: NDArray[np.bool_] | slice = _ALL) -> "SeparateRows":
        """Some rows, each with bytes of its own, still in columns."""
        return SeparateRows(
            self.blocks[which],
            _cut(self.vertices, self.vertex_counts, which),
            _cut(self.colors, self.vertex_counts, which),
            _cut(self.triangles, self.triangle_counts, which),
        )


@dataclass(frozen=True, slots=True)
class SeparateRows:
    """K rows, each with bytes of its own, in columns: quicker to make than K `MeshRow`."""

    blocks: NDArray[np.int32]
    """(K, 3) grid coordinates x, y, z."""
    vertices: Sequence[bytes]
    colors: Sequence[bytes]
    triangles: Sequence[bytes]

    def __len__(self) -> int:
        return len(self.blocks)

    def __iter__(self) -> Iterator["MeshRow"]:
        blocks = map(tuple, self.blocks.tolist())
        columns = zip(blocks, self.vertices, self.colors, self.triangles, strict=True)
        return map(MeshRow._make, columns)

    @classmethod
    def of(cls, rows: Iterable["MeshRow"]) -> "SeparateRows":
        """Put rows in columns, unless they are."""
        if isinstance(rows, SeparateRows):
            return rows
        blocks, *payloads = tuple(zip(*rows, strict=True)) or ((), (), (), ())
        return cls(np.array(blocks, np.int32).reshape(-1, 3), *payloads)

    def content_hashes(self) -> NDArray[np.uint64]:
        """(K,) what `MeshRow.content_hash` is of each."""
        vertex_counts = (_lengths(self.vertices) // 3).tolist()
        heads = map(_HASH_HEAD.pack, *self.blocks.T.tolist(), vertex_counts)
        contents = map(
            b"".join, zip(heads, self.vertices, self.colors, self.triangles, strict=True)
        )
        hashes = np.fromiter(map(xxhash.xxh64_intdigest, contents), np.uint64, len(self))
        hashes[_lengths(self.triangles) == 0] = 0
        return hashes


def _lengths(payloads: Sequence[bytes]) -> NDArray[np.int64]:
    """(K,) the length of each."""
    return np.fromiter(map(len, payloads), np.int64, len(payloads))


def _cut(
    column: NDArray[Any], counts: NDArray[np.uint32], which: NDArray[np.bool_] | slice
) -> list[bytes]:
    """The bytes of some of several stretches, each of so many entries, one behind the other."""
    data = column.ravel().view(np.uint8).data
    lengths = column.itemsize * column.shape[1] * counts.astype(np.int64)
    ends = np.cumsum(lengths)
    starts = ends - lengths
    pairs = zip(starts[which].tolist(), ends[which].tolist(), strict=True)
    return [data[start:end].tobytes() for start, end in pairs]


class MeshRow(NamedTuple):
    """One block's triangles, encoded as they travel."""

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
