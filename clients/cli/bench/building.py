"""A made-up building of any size, as mesh rows: floors and walls of wavy blocks."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice

import numpy as np
from numpy.typing import NDArray

from mapcast_client.rows import BLOCK_SIZE_VOX, VERTEX_STEPS, MeshRow

Block = tuple[int, int, int]

TRIANGLES_OF_BLOCK = 2 * BLOCK_SIZE_VOX**2
ROOM_BLOCKS = (48, 40)
"""Of one room; at 1 cm a block is 8 cm."""
WALL_BLOCKS = 30
ROOMS_IN_ROW = 3
VARIANTS = 8
_MIDDLE = BLOCK_SIZE_VOX * VERTEX_STEPS // 2


@dataclass(frozen=True, slots=True)
class _Piece:
    """A block of the building: where, and across which axis its surface lies."""

    block: Block
    axis: int


class Building:
    """Rooms in a row, one behind the other, of at least so many triangles."""

    def __init__(self, triangles: int) -> None:
        count = -(-triangles // TRIANGLES_OF_BLOCK)
        unique = {piece.block: piece for piece in islice(_pieces(), 2 * count)}
        self._pieces = list(unique.values())[:count]
        self._triangles = _grid_triangles().tobytes()
        self._vertices = [[_wavy(axis, i).tobytes() for i in range(VARIANTS)] for axis in range(3)]
        self._rng = np.random.default_rng(3)

    def rows(self) -> list[MeshRow]:
        """All of it."""
        return [self._row(piece) for piece in self._pieces]

    def changes(self, count: int) -> list[MeshRow]:
        """Some neighbouring blocks in another state, as a camera that looks there brings them."""
        start = int(self._rng.integers(max(1, len(self._pieces) - count)))
        return [self._row(piece) for piece in self._pieces[start : start + count]]

    def _row(self, piece: _Piece) -> MeshRow:
        vertices = self._vertices[piece.axis][int(self._rng.integers(VARIANTS))]
        base = np.array([90, 110, 130]) + 50 * np.sin(np.array(piece.block) / 9)
        noise = self._rng.integers(-12, 13, (len(vertices) // 3, 3))
        colors = (base + noise).astype(np.uint8).tobytes()
        return MeshRow(piece.block, vertices, colors, self._triangles)


def _pieces() -> Iterator[_Piece]:
    room = 0
    while True:
        x0 = (room % ROOMS_IN_ROW) * ROOM_BLOCKS[0]
        y0 = (room // ROOMS_IN_ROW) * ROOM_BLOCKS[1]
        for x in range(ROOM_BLOCKS[0]):
            yield from (_Piece((x0 + x, y0 + y, 0), 2) for y in range(ROOM_BLOCKS[1]))
        for z in range(1, WALL_BLOCKS):
            yield from (_Piece((x0 + x, y0, z), 1) for x in range(ROOM_BLOCKS[0]))
            yield from (_Piece((x0, y0 + y, z), 0) for y in range(ROOM_BLOCKS[1]))
        room += 1


def _wavy(axis: int, variant: int) -> NDArray[np.uint8]:
    """(81, 3) vertices of a sheet across `axis` that waves a little."""
    at = np.arange(BLOCK_SIZE_VOX + 1)
    u, v = (grid.ravel() for grid in np.meshgrid(at, at, indexing="ij"))
    height = _MIDDLE + 12 * np.sin(0.8 * u + variant) * np.cos(0.8 * v - variant)
    others = [other for other in range(3) if other != axis]
    vertices = np.empty((len(u), 3), np.uint8)
    vertices[:, others[0]], vertices[:, others[1]] = VERTEX_STEPS * u, VERTEX_STEPS * v
    vertices[:, axis] = height
    return vertices


def _grid_triangles() -> NDArray[np.uint16]:
    """(128, 3) two for each cell of the sheet."""
    width = BLOCK_SIZE_VOX + 1
    corner = (np.arange(BLOCK_SIZE_VOX)[:, None] * width + np.arange(BLOCK_SIZE_VOX)).ravel()
    a, b, c, d = corner, corner + width, corner + width + 1, corner + 1
    return np.concatenate([np.stack([a, b, c], 1), np.stack([a, c, d], 1)]).astype(np.uint16)
