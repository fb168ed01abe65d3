"""The faces of solids: their sizes, their points, and which of them nobody can see.

A face's own coordinates (a, b) are metres from its corner; face = 6 · solid + side.
"""

import numba
import numpy as np
from numpy.typing import NDArray

from gpu.kernels import JIT
from replay.room.scene import Kind, Solid, Solids

FACES = 6
_ROOM = int(Kind.ROOM)
_CYLINDER = int(Kind.CYLINDER)
_ELLIPSOID = int(Kind.ELLIPSOID)


def extents_m(solid: Solid) -> list[tuple[float, float]]:
    """Width and height in metres of the six faces; (0, 0) where a shape has none."""
    x, y, z = (2 * h for h in solid.half)
    if solid.kind == _CYLINDER:
        return [(np.pi * x, z), (0, 0), (0, 0), (0, 0), (x, y), (x, y)]
    if solid.kind == _ELLIPSOID:
        return [(np.pi * x, np.pi / 2 * z), (0, 0), (0, 0), (0, 0), (0, 0), (0, 0)]
    return [(y, z), (y, z), (x, z), (x, z), (x, y), (x, y)]


@numba.njit(**JIT)
def face_point(
    kind: int, side: int, a: float, b: float, half: NDArray[np.float64]
) -> tuple[float, float, float, float, float, float]:
    """Point and outward normal, both in the solid's own axes, at (a, b) metres of a face."""
    x, y, z = half
    if kind == _CYLINDER and side == 0:
        angle = a / x - np.pi
        return x * np.cos(angle), x * np.sin(angle), b - z, np.cos(angle), np.sin(angle), 0.0
    if kind == _ELLIPSOID:
        lon, lat = a / x - np.pi, b / z - np.pi / 2
        nx, ny, nz = np.cos(lat) * np.cos(lon), np.cos(lat) * np.sin(lon), np.sin(lat)
        gx, gy, gz = nx / x, ny / y, nz / z
        norm = np.sqrt(gx * gx + gy * gy + gz * gz)
        return x * nx, y * ny, z * nz, gx / norm, gy / norm, gz / norm
    sign = 1.0 if side % 2 else -1.0
    out = -sign if kind == _ROOM else sign
    if side < 2:
        return sign * x, a - y, b - z, out, 0.0, 0.0
    if side < 4:
        return a - x, sign * y, b - z, 0.0, out, 0.0
    return a - x, b - y, sign * z, 0.0, 0.0, out


@numba.njit(**JIT)
def to_world(x: float, y: float, z: float, turn: NDArray[np.float64]) -> tuple[float, float, float]:
    """Turn a vector of a solid's own axes into the world's."""
    return turn[0] * x - turn[1] * y, turn[1] * x + turn[0] * y, z


def hidden_faces(solids: Solids, extent_m: NDArray[np.float64]) -> NDArray[np.bool_]:
    """(F,) faces that lie wholly inside another solid or outside the room."""
    hidden: NDArray[np.bool_] = _find_hidden(
        solids.kind, solids.center, solids.half, solids.turn, extent_m
    )
    return hidden


@numba.njit(**JIT)
def _inside(
    p: tuple[float, float, float], i: int, kind: NDArray[np.int64], center: NDArray[np.float64],
    half: NDArray[np.float64], turn: NDArray[np.float64],
) -> bool:  # fmt: skip
    """Whether a world point is in the matter of solid i (for the room: beyond its walls)."""
    dx, dy, dz = p[0] - center[i, 0], p[1] - center[i, 1], p[2] - center[i, 2]
    x = (turn[i, 0] * dx + turn[i, 1] * dy) / half[i, 0]
    y = (-turn[i, 1] * dx + turn[i, 0] * dy) / half[i, 1]
    z = dz / half[i, 2]
    if kind[i] == _CYLINDER:
        return x * x + y * y < 1.0 and abs(z) < 1.0
    if kind[i] == _ELLIPSOID:
        return x * x + y * y + z * z < 1.0
    inside = abs(x) < 1.0 and abs(y) < 1.0 and abs(z) < 1.0
    return not inside if kind[i] == _ROOM else inside


@numba.njit(**JIT)
def buried(
    p: tuple[float, float, float], skip: int, kind: NDArray[np.int64],
    center: NDArray[np.float64], half: NDArray[np.float64], turn: NDArray[np.float64],
) -> bool:  # fmt: skip
    """Whether a world point is in the matter of any solid but `skip`."""
    found = False
    for i in range(len(kind)):
        found = found or (i != skip and _inside(p, i, kind, center, half, turn))
    return found


@numba.njit(**JIT)
def _find_hidden(
    kind: NDArray[np.int64], center: NDArray[np.float64], half: NDArray[np.float64],
    turn: NDArray[np.float64], extent_m: NDArray[np.float64],
) -> NDArray[np.bool_]:  # fmt: skip
    """Test 9 × 9 points 4 mm before each face."""
    hidden = np.zeros(len(extent_m), np.bool_)
    for face in range(len(extent_m)):
        i, side = face // FACES, face % FACES
        if extent_m[face, 0] == 0:
            continue
        hidden[face] = True
        for k in range(81):
            a = (k % 9 + 0.5) / 9 * extent_m[face, 0]
            b = (k // 9 + 0.5) / 9 * extent_m[face, 1]
            x, y, z, nx, ny, nz = face_point(kind[i], side, a, b, half[i])
            wx, wy, wz = to_world(x + 0.004 * nx, y + 0.004 * ny, z + 0.004 * nz, turn[i])
            p = (wx + center[i, 0], wy + center[i, 1], wz + center[i, 2])
            if not buried(p, i, kind, center, half, turn):
                hidden[face] = False
                break
    return hidden


def rows_of(size_px: NDArray[np.int64]) -> NDArray[np.int64]:
    """(N, 2) face and row of all rows of all faces, shuffled to share the work evenly."""
    rows = np.where(size_px[:, 0] > 0, size_px[:, 1], 0)
    faces = np.repeat(np.arange(len(rows)), rows)
    within = np.arange(len(faces)) - np.repeat(np.cumsum(rows) - rows, rows)
    order = np.random.default_rng(0).permutation(len(faces))
    return np.stack([faces, within], axis=1)[order]
