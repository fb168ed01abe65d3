"""The nearest solid along many rays at once: one solid at a time, in vectorisable loops."""

import numba
import numpy as np
from numpy.typing import NDArray

from gpu.kernels import JIT
from replay.room.rays import NEVER
from replay.room.scene import Kind

_f32 = np.float32
_BOX = int(Kind.BOX)
_CYLINDER = int(Kind.CYLINDER)


@numba.njit(**JIT)
def meet(
    table: NDArray[np.float64], lists: NDArray[np.int32], tile: int, count: int,
    rays: NDArray[np.float32], best: NDArray[np.float32],
    which: NDArray[np.int32],
) -> None:  # fmt: skip
    """Nearest solid of a tile's list along each of N rays: `best` distance and `which` (N,).

    `rays` (6, N) are directions and their inverses. One solid at a time over all rays, so that
    the loops over boxes run on vector units.
    """
    best[:] = NEVER
    _box(table, 0, rays, best, which)
    turned = np.empty_like(rays)
    for k in range(count):
        i = lists[tile, k]
        seen = rays
        if table[i, 8] != 0.0:
            _turn(rays, np.float32(table[i, 7]), np.float32(table[i, 8]), turned)
            seen = turned
        if table[i, 0] == _BOX:
            _box(table, i, seen, best, which)
        elif table[i, 0] == _CYLINDER:
            _cylinder(table, i, seen, best, which)
        else:
            _ellipsoid(table, i, seen, best, which)


@numba.njit(**JIT)
def _turn(
    rays: NDArray[np.float32], cos: np.float32, sin: np.float32, turned: NDArray[np.float32]
) -> None:
    """Turn rays into the axes of a solid with a yaw."""
    for n in range(rays.shape[1]):
        turned[0, n] = cos * rays[0, n] + sin * rays[1, n]
        turned[1, n] = cos * rays[1, n] - sin * rays[0, n]
        turned[2, n] = rays[2, n]
    invert(turned)


@numba.njit(**JIT)
def invert(rays: NDArray[np.float32]) -> None:
    """Fill rows 3–5 with the inverses of rows 0–2; finite for rays along an axis, too."""
    for axis in range(3):
        for n in range(rays.shape[1]):
            rays[3 + axis, n] = np.float32(1.0) / (rays[axis, n] + np.float32(1e-20))


@numba.njit(**JIT)
def _box(
    table: NDArray[np.float64], i: int, rays: NDArray[np.float32], best: NDArray[np.float32],
    which: NDArray[np.int32],
) -> None:  # fmt: skip
    """Axis-aligned box i (0: the room, met on leaving it) against all rays; see `distance`."""
    px, py, pz = (
        np.float32(-table[i, 1]), np.float32(-table[i, 2]), np.float32(-table[i, 3]),
    )  # fmt: skip
    hx, hy, hz = np.float32(table[i, 4]), np.float32(table[i, 5]), np.float32(table[i, 6])
    zero, index = np.float32(0.0), np.int32(i)
    inside = i == 0
    for n in range(best.size):
        ix, iy, iz = rays[3, n], rays[4, n], rays[5, n]
        mx, my, mz = px * ix, py * iy, pz * iz
        rx, ry, rz = abs(hx * ix), abs(hy * iy), abs(hz * iz)
        near, far = mx - rx, mx + rx
        near = my - ry if my - ry > near else near
        far = my + ry if my + ry < far else far
        near = mz - rz if mz - rz > near else near
        far = mz + rz if mz + rz < far else far
        reached = far if inside else near
        nearer = (near <= far) & (reached > zero) & (reached < best[n])
        best[n] = reached if nearer else best[n]
        which[n] = index if nearer else which[n]


@numba.njit(**JIT)
def _ellipsoid(
    table: NDArray[np.float64], i: int, rays: NDArray[np.float32], best: NDArray[np.float32],
    which: NDArray[np.int32],
) -> None:  # fmt: skip
    """Ellipsoid i against all rays; a negative discriminant gives NaN, which is nearer nowhere."""
    sx, sy, sz = _f32(1 / table[i, 4]), _f32(1 / table[i, 5]), _f32(1 / table[i, 6])
    x, y, z = _f32(table[i, 1]) * sx, _f32(table[i, 2]) * sy, _f32(table[i, 3]) * sz
    beyond = x * x + y * y + z * z - _f32(1.0)
    zero, index = _f32(0.0), np.int32(i)
    for n in range(best.size):
        u, v, w = rays[0, n] * sx, rays[1, n] * sy, rays[2, n] * sz
        a, half_b = u * u + v * v + w * w, x * u + y * v + z * w
        reached = (-half_b - np.sqrt(half_b * half_b - a * beyond)) / a
        nearer = (reached > zero) & (reached < best[n])
        best[n] = reached if nearer else best[n]
        which[n] = index if nearer else which[n]


@numba.njit(**JIT)
def _cylinder(
    table: NDArray[np.float64], i: int, rays: NDArray[np.float32], best: NDArray[np.float32],
    which: NDArray[np.int32],
) -> None:  # fmt: skip
    """Upright cylinder i against all rays: its side, then the cap that faces the rays' start."""
    sx, sz = _f32(1 / table[i, 4]), _f32(1 / table[i, 6])
    x, y, z = _f32(table[i, 1]) * sx, _f32(table[i, 2]) * sx, _f32(table[i, 3]) * sz
    beyond = x * x + y * y - _f32(1.0)
    zero, one, index = _f32(0.0), _f32(1.0), np.int32(i)
    to_cap = (one if z > zero else -one) - z
    for n in range(best.size):
        u, v, w = rays[0, n] * sx, rays[1, n] * sx, rays[2, n] * sz
        a, half_b = u * u + v * v, x * u + y * v
        side = (-half_b - np.sqrt(half_b * half_b - a * beyond)) / a
        nearer = (side > zero) & (side < best[n]) & (abs(z + side * w) <= one)
        best[n] = side if nearer else best[n]
        which[n] = index if nearer else which[n]
        cap = to_cap * rays[5, n] / sz
        p, q = x + cap * u, y + cap * v
        nearer = (cap > zero) & (cap < best[n]) & (p * p + q * q <= one)
        best[n] = cap if nearer else best[n]
        which[n] = index if nearer else which[n]
