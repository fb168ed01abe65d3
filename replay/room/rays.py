"""Where rays from one point meet the solids.

`localize` turns the solids into a table of rows as seen from that point, once; `distance` and
`side_of` then work on a row. Distances are in units of the ray's direction.
"""

import numba
import numpy as np
from numpy.typing import NDArray

from gpu.kernels import JIT
from replay.room.scene import Kind

NEVER = 1e30
_ROOM = int(Kind.ROOM)
_BOX = int(Kind.BOX)
_CYLINDER = int(Kind.CYLINDER)
_ELLIPSOID = int(Kind.ELLIPSOID)
ROW = 9
"""A table's columns: kind, the point in the solid's own axes (3), half (3), cosine, sine."""


@numba.njit(**JIT)
def localize(
    x: float, y: float, z: float, kind: NDArray[np.int64], center: NDArray[np.float64],
    half: NDArray[np.float64], turn: NDArray[np.float64], table: NDArray[np.float64],
) -> None:  # fmt: skip
    """Fill `table` (P, ROW) for rays that start at a world point."""
    for i in range(len(kind)):
        dx, dy = x - center[i, 0], y - center[i, 1]
        cos, sin = turn[i, 0], turn[i, 1]
        table[i, 0] = kind[i]
        table[i, 1], table[i, 2] = cos * dx + sin * dy, cos * dy - sin * dx
        table[i, 3] = z - center[i, 2]
        table[i, 4], table[i, 5], table[i, 6] = half[i, 0], half[i, 1], half[i, 2]
        table[i, 7], table[i, 8] = cos, sin


@numba.njit(**JIT)
def inverse(d: float) -> float:
    """1 / d, huge but finite for a ray along an axis."""
    if abs(d) < 1e-12:
        return 1e12
    return 1.0 / d


@numba.njit(**JIT)
def distance(
    table: NDArray[np.float64], i: int, dx: float, dy: float, dz: float, ix: float, iy: float,
    iz: float,
) -> float:  # fmt: skip
    """Distance to solid i along (dx, dy, dz) with its componentwise inverse; NEVER if missed.

    Rays start in free space: outside every solid, inside the room. Boxes by slabs (Kay & Kajiya
    1986), round shapes by the roots of their quadratic.
    """
    kind = table[i, 0]
    cos, sin = table[i, 7], table[i, 8]
    if sin != 0.0:
        dx, dy = cos * dx + sin * dy, cos * dy - sin * dx
        ix, iy = inverse(dx), inverse(dy)
    if kind <= _BOX:
        mx, my, mz = -table[i, 1] * ix, -table[i, 2] * iy, -table[i, 3] * iz
        rx, ry, rz = abs(table[i, 4] * ix), abs(table[i, 5] * iy), abs(table[i, 6] * iz)
        far = min(min(mx + rx, my + ry), mz + rz)
        if kind == _ROOM:
            return max(far, 0.0)
        near = max(max(mx - rx, my - ry), mz - rz)
        return near if near <= far and near > 0.0 else NEVER
    x, y, z = table[i, 1] / table[i, 4], table[i, 2] / table[i, 5], table[i, 3] / table[i, 6]
    u, v, w = dx / table[i, 4], dy / table[i, 5], dz / table[i, 6]
    if kind == _ELLIPSOID:
        return _first_root(u * u + v * v + w * w, x * u + y * v + z * w, x * x + y * y + z * z)
    side = _first_root(u * u + v * v, x * u + y * v, x * x + y * y)
    if side != NEVER and abs(z + side * w) <= 1.0:
        return side
    cap = ((-1.0 if w > 0 else 1.0) - z) / (w if w != 0.0 else 1e-12)
    x, y = x + cap * u, y + cap * v
    return cap if cap > 0 and x * x + y * y <= 1.0 else NEVER


@numba.njit(**JIT)
def _first_root(a: float, half_b: float, squared: float) -> float:
    """Smaller root of a t² + 2 half_b t + squared − 1 = 0 if it is positive, else NEVER."""
    under = half_b * half_b - a * (squared - 1.0)
    if under <= 0.0 or a < 1e-18:
        return NEVER
    root = (-half_b - np.sqrt(under)) / a
    return root if root > 0.0 else NEVER


@numba.njit(**JIT)
def side_of(
    table: NDArray[np.float64], i: int, dx: float, dy: float, dz: float, reached: float
) -> int:
    """Which face of solid i a ray met at distance `reached`: the one it is nearest to."""
    kind = table[i, 0]
    if kind == _ELLIPSOID:
        return 0
    cos, sin = table[i, 7], table[i, 8]
    x = table[i, 1] + reached * (cos * dx + sin * dy)
    y = table[i, 2] + reached * (cos * dy - sin * dx)
    z = table[i, 3] + reached * dz
    off_z = abs(abs(z) - table[i, 6])
    if kind == _CYLINDER:
        off_side = abs(np.sqrt(x * x + y * y) - table[i, 4])
        return 0 if off_side < off_z else (5 if z > 0 else 4)
    off_x, off_y = abs(abs(x) - table[i, 4]), abs(abs(y) - table[i, 5])
    if off_x <= off_y and off_x <= off_z:
        return 1 if x > 0 else 0
    if off_y <= off_z:
        return 3 if y > 0 else 2
    return 5 if z > 0 else 4
