"""Colour of a point on a face: trilinear reading of the atlas, three channels in one integer."""

import numba
import numpy as np
from numpy.typing import NDArray

from gpu.kernels import JIT
from replay.room.bake import LEVELS
from replay.room.faces import FACES
from replay.room.scene import Kind

_BYTE0, _BYTE1, _BYTE2 = np.uint64(0xFF), np.uint64(0xFF00), np.uint64(0xFF0000)
_SHIFT2, _SHIFT8, _SHIFT16, _SHIFT32 = np.uint64(2), np.uint64(8), np.uint64(16), np.uint64(32)
_LANES = np.uint64(0x00FF00FF00FF)
_HALVES, _ROUND4 = np.uint64(0x008000800080), np.uint64(0x000200020002)
_ONE = np.uint64(256)
_EXPONENT = np.float32(2.0**-23)
_CYLINDER = int(Kind.CYLINDER)
_ELLIPSOID = int(Kind.ELLIPSOID)


@numba.njit(**JIT)
def shade(atlas, table, i, side, dx, dy, dz, reached, pixel):
    """Trilinear atlas colour (3 × 16 bits) where a ray meets a face.

    `pixel` is the angle that a sample covers; its footprint on the face is the geometric mean of
    the two axes of its ellipse, (distance · pixel)² / cos.
    """
    face = i * FACES + side
    a, b, facing = _surface(table, i, side, dx, dy, dz, reached)
    squared = np.float32(dx * dx + dy * dy + dz * dz)
    density = atlas[2][face, 0]
    across = np.float32(reached) * np.float32(pixel) * density
    area = across * across * squared * np.sqrt(squared) / max(np.float32(facing), np.float32(0.05))
    # log2 of a float read off its bits: exact at powers of two, linear between.
    log2_area = np.float32(np.float32(area).view(np.int32)) * _EXPONENT - np.float32(127.0)
    lod = min(max(np.float32(0.5) * log2_area, np.float32(0.0)), np.float32(LEVELS - 1.01))
    level = np.int64(lod)
    share = np.uint64((lod - np.float32(level)) * np.float32(256.0))
    x, y = np.float32(a) * density, np.float32(b) * atlas[2][face, 1]
    fine = _texel(atlas, face, level, x, y)
    if share == np.uint64(0):
        return fine
    coarse = _texel(atlas, face, level + 1, x, y)
    return ((fine * (_ONE - share) + coarse * share + _HALVES) >> _SHIFT8) & _LANES


@numba.njit(**JIT)
def _surface(
    table: NDArray[np.float64], i: int, side: int, dx: float, dy: float, dz: float, reached: float
) -> tuple[float, float, float]:
    """Face coordinates (a, b) in metres where a ray met solid i, and |normal · direction|."""
    cos, sin = table[i, 7], table[i, 8]
    lx, ly = cos * dx + sin * dy, cos * dy - sin * dx
    x, y, z = table[i, 1] + reached * lx, table[i, 2] + reached * ly, table[i, 3] + reached * dz
    hx, hy, hz = table[i, 4], table[i, 5], table[i, 6]
    if table[i, 0] == _ELLIPSOID:
        ex, ey, ez = x / hx, y / hy, min(max(z / hz, -1.0), 1.0)
        gx, gy, gz = ex / hx, ey / hy, ez / hz
        facing = (gx * lx + gy * ly + gz * dz) / np.sqrt(gx * gx + gy * gy + gz * gz)
        return (np.arctan2(ey, ex) + np.pi) * hx, (np.arcsin(ez) + np.pi / 2) * hz, abs(facing)
    if table[i, 0] == _CYLINDER and side == 0:
        return (np.arctan2(y, x) + np.pi) * hx, z + hz, abs(x * lx + y * ly) / hx
    if side < 2:
        return y + hy, z + hz, abs(lx)
    if side < 4:
        return x + hx, z + hz, abs(ly)
    return x + hx, y + hy, abs(dz)


@numba.njit(**JIT)
def _texel(atlas, face, level, x, y):
    """Bilinear colour of a mip level at level-0 texel coordinates; 3 × 16 bits."""
    texels, layout, _ = atlas
    w, h = max(layout[face, 0] >> level, 1), max(layout[face, 1] >> level, 1)
    scale = np.float32(1.0) / np.float32(1 << level)
    x = min(max(x * scale - np.float32(0.5), np.float32(0.0)), np.float32(w) - np.float32(1.0))
    y = min(max(y * scale - np.float32(0.5), np.float32(0.0)), np.float32(h) - np.float32(1.0))
    ix, iy = np.int64(x), np.int64(y)
    fx, fy = x - np.float32(ix), y - np.float32(iy)
    at = layout[face, 2 + level] + iy * w + ix
    right = 1 if ix + 1 < w else 0
    below = w if iy + 1 < h else 0
    # The four weights sum to 256, so that no lane can overflow.
    w11 = np.int64(fx * fy * np.float32(256.0))
    w10 = np.int64(fx * np.float32(256.0)) - w11
    w01 = np.int64(fy * np.float32(256.0)) - w11
    w00 = 256 - w11 - w10 - w01
    total = (
        _spread(texels[at]) * np.uint64(w00)
        + _spread(texels[at + right]) * np.uint64(w10)
        + _spread(texels[at + below]) * np.uint64(w01)
        + _spread(texels[at + below + right]) * np.uint64(w11)
    )
    return ((total + _HALVES) >> _SHIFT8) & _LANES


@numba.njit(**JIT)
def _spread(texel: np.uint32) -> np.uint64:
    """The three bytes of a texel, 16 bits apart: arithmetic on all of them at once."""
    t = np.uint64(texel)
    return (t & _BYTE0) | ((t & _BYTE1) << _SHIFT8) | ((t & _BYTE2) << _SHIFT16)


@numba.njit(**JIT)
def store(color: NDArray[np.uint8], u: int, v: int, lanes: np.uint64) -> None:
    """Write a pixel of 3 × 16 bits."""
    color[v, u, 0] = lanes & _BYTE0
    color[v, u, 1] = (lanes >> _SHIFT16) & _BYTE0
    color[v, u, 2] = (lanes >> _SHIFT32) & _BYTE0


@numba.njit(**JIT)
def mean_of_four(total: np.uint64) -> np.uint64:
    """The rounded quarter of a sum of four colours of 3 × 16 bits."""
    return ((total + _ROUND4) >> _SHIFT2) & _LANES
