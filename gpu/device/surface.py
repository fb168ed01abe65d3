"""The surface of blocks on a device: only the meshes that somebody wants come down."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from gpu.backend import WORD_BYTES, Buffer, DeviceMemoryError
from gpu.device.pool import CHANGE_STEPS, DevicePool, check_spare
from gpu.grid import Surface
from gpu.kernels.cases import EDGE_AXIS, EDGE_CORNER, TRIANGLE_COUNTS, TRIANGLES
from gpu.kernels.marching_cubes import ROWS

BATCH_BLOCKS = 16384
"""Blocks meshed at a time: room on the device is for these."""
LEAST_BATCH_BLOCKS = 16
"""As many at least, for which room is kept from the beginning."""
_MOST_VERTICES, _MOST_TRIANGLES = 1944, 2560
"""Of a block."""
_EDGE_ROWS = 270
_VERTEX_WORDS = 3
_TRIANGLE_WORDS = 2
_LEAST_WORDS = {
    "blocks": 1,
    "entries": 8,
    "upper": 8,
    "summary": 4,
    "starts": 4,
    "rows": ROWS,
    "edges": _EDGE_ROWS,
    "vertices": _VERTEX_WORDS * _MOST_VERTICES,
    "triangles": _TRIANGLE_WORDS * _MOST_TRIANGLES,
    "packed": 2 * _MOST_VERTICES + 2 * _MOST_TRIANGLES,
}
"""Of a block, at most."""
_BY_BATCHES = _LEAST_WORDS.keys() - {"blocks"}
"""These are as large as there is room for, others as they must be: a few bytes a block."""
_Part = TypeVar("_Part")


@dataclass(frozen=True, slots=True)
class _Meshed:
    """What a batch's meshes are like, which are on the device still."""

    vertex_counts: NDArray[np.int64]
    triangle_counts: NDArray[np.int64]
    digests: NDArray[np.uint64]


class DeviceSurface:
    """Knows which blocks of a pool on a device look otherwise than before, and meshes blocks.

    One thread calls it, the pool's.
    """

    def __init__(self, pool: DevicePool, min_weight: int) -> None:
        """Read a pool; cells are meshed where all corners have at least `min_weight`."""
        self._pool, self._backend = pool, pool.backend
        self._min_weight = min_weight
        self._scratch: dict[str, Buffer] = {}
        self._room = {"vertices": 0, "triangles": 0}
        for name, words in _LEAST_WORDS.items():
            self._of_size(name, words * LEAST_BATCH_BLOCKS * WORD_BYTES)
        self._know_room()
        cases = _cases()
        self._cases = self._backend.alloc(cases.nbytes)
        self._backend.upload(self._cases, cases)

    def spread_change(self, touched: NDArray[np.int32]) -> None:
        """Note the change since the last call with the blocks whose mesh it concerns."""
        if not len(touched):
            return
        pool = self._pool
        self._backend.launch(
            "spread_change",
            _groups(len(touched), 64),
            touched=self._uploaded("blocks", touched),
            buckets=pool.buckets,
            coords=pool.coords,
            change=pool.change,
            pending=pool.pending,
            stale=pool.stale,
            bucket_mask=pool.bucket_mask,
            count=len(touched),
        )

    def mark_all(self) -> None:
        """Make every block dirty."""
        self._backend.upload(self._pool.stale, np.ones(self._pool.count, np.uint32))

    def take_dirty(self, threshold: float | None) -> NDArray[np.int32]:
        """The (K,) slots, ascending, whose change exceeds a threshold; they are clean then.

        It is in truncations, summed over a block's voxels; None: all that are dirty at all.
        """
        count = self._pool.count
        words = _groups(count, 32)
        dirty = self._of_size("dirty", words * WORD_BYTES)
        self._backend.launch(
            "take_dirty",
            _groups(words, 64),
            pending=self._pool.pending,
            stale=self._pool.stale,
            dirty=dirty,
            threshold=0 if threshold is None else round(threshold * CHANGE_STEPS),
            any=int(threshold is None),
            count=count,
        )
        bits = self._backend.download(dirty, np.uint32, words).astype("<u4").view(np.uint8)
        return np.flatnonzero(np.unpackbits(bits, bitorder="little")).astype(np.int32)

    def surface(self, blocks: NDArray[np.int32]) -> Surface:
        """Marching cubes over the (K,) slots `blocks`."""
        return Surface.joined(self._by_batches(self._whole, blocks))

    def news(
        self, blocks: NDArray[np.int32], published: NDArray[np.uint64]
    ) -> tuple[NDArray[np.bool_], Surface]:
        """Which of the (K,) slots look otherwise than `published`, (max_blocks,) digests, says.

        Their surface, without the places of its vertices on edges.
        """

        def changed(batch: NDArray[np.int32]) -> tuple[NDArray[np.bool_], Surface]:
            meshed = self._mesh(batch)
            keep = meshed.digests != published[batch]
            return keep, self._download(meshed, keep)

        parts = self._by_batches(changed, blocks)
        kept = [np.empty(0, np.bool_), *(keep for keep, _ in parts)]
        return np.concatenate(kept), Surface.joined([surface for _, surface in parts])

    def _by_batches(
        self, mesh: Callable[[NDArray[np.int32]], _Part], blocks: NDArray[np.int32]
    ) -> list[_Part]:
        """Mesh blocks, fewer at a time where the device has no room."""
        parts: list[_Part] = []
        first, size = 0, BATCH_BLOCKS
        while first < len(blocks):
            size = min(size, len(blocks) - first)
            try:
                parts.append(mesh(blocks[first : first + size]))
            except DeviceMemoryError:
                if size <= LEAST_BATCH_BLOCKS:
                    raise
                size //= 2
            else:
                first += size
        return parts

    def _whole(self, blocks: NDArray[np.int32]) -> Surface:
        meshed = self._mesh(blocks)
        surface = self._download(meshed, np.ones(len(blocks), np.bool_))
        words = self._backend.download(
            self._scratch["vertices"], np.uint32, _VERTEX_WORDS * len(surface.vertices)
        ).reshape(-1, _VERTEX_WORDS)
        codes = (words[:, 0] >> 24) | (words[:, 1] >> 24 << 8)
        along = np.ascontiguousarray(words[:, 2]).view(np.float32)
        return replace(surface, along=along, edge_codes=codes.astype(np.int16))

    def _mesh(self, blocks: NDArray[np.int32]) -> _Meshed:
        """Mesh blocks, and leave the meshes on the device, in order."""
        self._count(blocks)
        self._write(len(blocks))
        meshed = self._summary(len(blocks))
        if not self._has_room(meshed):
            self._make_room(meshed)
            self._write(len(blocks))
            meshed = self._summary(len(blocks))
        return meshed

    def _count(self, blocks: NDArray[np.int32]) -> None:
        pool, count = self._pool, len(blocks)
        upper = self._of_size("upper", 8 * count * WORD_BYTES)
        summary = self._of_size("summary", 4 * count * WORD_BYTES)
        self._backend.launch(
            "find_upper",
            _groups(count, 8),
            blocks=self._uploaded("blocks", blocks),
            buckets=pool.buckets,
            coords=pool.coords,
            upper=upper,
            bucket_mask=pool.bucket_mask,
            count=count,
        )
        self._backend.launch(
            "count_surface",
            count,
            upper=upper,
            sdf_sum=pool.sdf_sum,
            counts=pool.counts,
            cases=self._cases,
            rows=self._of_size("rows", ROWS * count * WORD_BYTES),
            edges=self._of_size("edges", _EDGE_ROWS * count * WORD_BYTES),
            summary=summary,
            min_weight=self._min_weight,
            count=count,
        )
        starts = self._of_size("starts", 2 * (count + 1) * WORD_BYTES)
        self._backend.launch("scan_surface", 1, summary=summary, starts=starts, count=count)

    def _write(self, count: int) -> None:
        """Write what there is room for."""
        pool, scratch = self._pool, self._scratch
        vertices, triangles = (self._of_size(each, 0) for each in self._room)
        self._backend.launch(
            "write_vertices",
            count,
            upper=scratch["upper"],
            edges=scratch["edges"],
            starts=scratch["starts"],
            sdf_sum=pool.sdf_sum,
            counts=pool.counts,
            color_low=pool.color_low,
            color_high=pool.color_high,
            vertices=vertices,
            room=self._room["vertices"],
            count=count,
        )
        self._backend.launch(
            "write_triangles",
            count,
            rows=scratch["rows"],
            edges=scratch["edges"],
            starts=scratch["starts"],
            cases=self._cases,
            vertices=vertices,
            triangles=triangles,
            summary=scratch["summary"],
            vertex_room=self._room["vertices"],
            room=self._room["triangles"],
            count=count,
        )

    def _summary(self, count: int) -> _Meshed:
        summary = self._backend.download(self._scratch["summary"], np.uint32, 4 * count)
        words = summary.reshape(count, 4).astype(np.int64)
        digests = words[:, 2] | words[:, 3] << 32
        return _Meshed(words[:, 0], words[:, 1], digests.view(np.uint64))

    def _has_room(self, meshed: _Meshed) -> bool:
        vertices, triangles = meshed.vertex_counts.sum(), meshed.triangle_counts.sum()
        return bool(vertices <= self._room["vertices"] and triangles <= self._room["triangles"])

    def _make_room(self, meshed: _Meshed) -> None:
        vertices, triangles = int(meshed.vertex_counts.sum()), int(meshed.triangle_counts.sum())
        self._of_size("vertices", vertices * _VERTEX_WORDS * WORD_BYTES)
        self._of_size("triangles", triangles * _TRIANGLE_WORDS * WORD_BYTES)
        self._know_room()

    def _know_room(self) -> None:
        for name, words in (("vertices", _VERTEX_WORDS), ("triangles", _TRIANGLE_WORDS)):
            self._room[name] = self._scratch[name].size_bytes // (words * WORD_BYTES)

    def _download(self, meshed: _Meshed, keep: NDArray[np.bool_]) -> Surface:
        """The meshes that are kept, closed up on the device."""
        vertex_counts, triangle_counts = meshed.vertex_counts, meshed.triangle_counts
        entries = _entries(vertex_counts, triangle_counts, keep)
        vertices, triangles = (int(each) for each in entries[-1, 2:])
        colors_at = _groups(3 * vertices, WORD_BYTES)
        words = 2 * colors_at + _groups(3 * triangles, 2)
        packed = self._of_size("packed", words * WORD_BYTES)
        self._backend.launch(
            "pack_surface",
            len(entries) - 1,
            entries=self._uploaded("entries", entries.ravel()),
            vertices=self._scratch["vertices"],
            triangles=self._scratch["triangles"],
            packed=packed,
            colors_at=colors_at,
            triangles_at=2 * colors_at,
            count=len(entries) - 1,
        )
        data = self._backend.download(packed, np.uint32, words)
        corners = data[2 * colors_at :].view(np.uint16)[: 3 * triangles]
        places, colors = data[: 2 * colors_at].view(np.uint8).reshape(2, -1)[:, : 3 * vertices]
        return Surface(
            vertex_counts[keep],
            triangle_counts[keep],
            places.reshape(-1, 3),
            colors.reshape(-1, 3),
            corners.reshape(-1, 3),
            np.empty(0, np.float32),
            np.empty(0, np.int16),
            meshed.digests[keep],
        )

    def _uploaded(self, name: str, array: NDArray[Any]) -> Buffer:
        buffer = self._of_size(name, array.nbytes)
        self._backend.upload(buffer, array)
        return buffer

    def _of_size(self, name: str, size_bytes: int) -> Buffer:
        """Memory that is kept from call to call, and grows with room to spare."""
        before = self._scratch.get(name)
        if before is not None:
            if before.size_bytes >= size_bytes:
                return before
            size_bytes += size_bytes // 4
            if name in _BY_BATCHES:
                check_spare(self._backend, size_bytes - before.size_bytes)
            self._backend.free(self._scratch.pop(name))
        try:
            self._scratch[name] = self._backend.alloc(size_bytes)
        except DeviceMemoryError:
            if before is not None:
                self._scratch[name] = self._backend.alloc(before.size_bytes)
            raise
        return self._scratch[name]


def _groups(count: int, size: int) -> int:
    return -(-count // size)


def _cases() -> NDArray[np.uint32]:
    """(256, 16) as the kernels take them: triangles, and the edges of their corners."""
    edge_rows = EDGE_AXIS * 90 + (EDGE_CORNER >> 2) * 10 + (EDGE_CORNER >> 1 & 1)
    edges = 2 * edge_rows + (EDGE_CORNER & 1)
    return np.column_stack([TRIANGLE_COUNTS, edges[TRIANGLES]]).astype(np.uint32)


def _entries(
    vertex_counts: NDArray[np.int64], triangle_counts: NDArray[np.int64], keep: NDArray[np.bool_]
) -> NDArray[np.int32]:
    """(E + 1, 4) where meshes that are kept, and not empty, come from and go to."""
    counts = np.stack([vertex_counts, triangle_counts], axis=1)
    sources = np.cumsum(counts, axis=0) - counts
    moved = keep & (triangle_counts > 0)
    targets = np.zeros((int(moved.sum()) + 1, 2), np.int64)
    np.cumsum(counts[moved], axis=0, out=targets[1:])
    sources = np.concatenate([sources[moved], np.zeros((1, 2), np.int64)])
    return np.column_stack([sources, targets]).astype(np.int32)
