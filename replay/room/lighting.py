"""Light on every face, on a coarse grid: lamps with soft shadows, ambient with occlusion."""

from collections.abc import Sequence
from dataclasses import dataclass

import numba
import numpy as np
from numpy.typing import NDArray

from gpu.kernels import JIT
from replay.room.faces import FACES, face_point, rows_of, to_world
from replay.room.noise import random01
from replay.room.rays import ROW, distance, inverse, localize
from replay.room.scene import Light, Material, Solid, Solids

_TEXEL_M = 0.08
_LIGHT_SAMPLES = 10
_AMBIENT_SAMPLES = 20
_AMBIENT_REACH_M = 1.3
_AMBIENT_RGB = (0.50, 0.50, 0.53)


@dataclass(frozen=True, slots=True)
class LightMaps:
    """Light that arrives at each face, on a grid whose outer texels lie on the face's border."""

    rgb: NDArray[np.float64]
    """(L, 3) linear."""
    first: NDArray[np.int64]
    """(F,) each face's first texel."""
    size_px: NDArray[np.int64]
    """(F, 2) columns and rows; 0 where there is no such face, or nobody sees it."""


def light_maps(
    solids: Sequence[Solid],
    lights: Sequence[Light],
    extent_m: NDArray[np.float64],
    hidden: NDArray[np.bool_],
) -> LightMaps:
    """Light all faces; `extent_m` (F, 2) and `hidden` (F,) as of faces.py."""
    size_px = np.maximum(np.ceil(extent_m / _TEXEL_M), 2).astype(np.int64)
    size_px[hidden | (extent_m[:, 0] == 0)] = 0
    ends = np.cumsum(size_px.prod(axis=1))
    first = ends - size_px.prod(axis=1)
    rgb = np.zeros((int(ends[-1]), 3))
    opaque = np.array([i for i, s in enumerate(solids) if s.material != Material.GLOW])
    lamps = np.array([(*s.center, *s.half, *s.rgb, *s.direction) for s in lights])
    arrays = Solids.of(solids)
    _shine(
        rows_of(size_px), rgb, first, size_px, extent_m, arrays.kind, arrays.center, arrays.half,
        arrays.turn, opaque, lamps,
    )  # fmt: skip
    return LightMaps(rgb, first, size_px)


@numba.njit(**JIT, parallel=True)
def _shine(
    work: NDArray[np.int64], texels: NDArray[np.float64], offset: NDArray[np.int64],
    light_px: NDArray[np.int64],
    extent_m: NDArray[np.float64], kind: NDArray[np.int64], center: NDArray[np.float64],
    half: NDArray[np.float64], turn: NDArray[np.float64], opaque: NDArray[np.int64],
    lamps: NDArray[np.float64],
) -> None:  # fmt: skip
    """One work-item = one row of a face; it writes its own texels only."""
    for item in numba.prange(len(work)):
        face, row = work[item]
        i, side = face // FACES, face % FACES
        columns, rows = light_px[face]
        for k in range(row * columns, (row + 1) * columns):
            # Texel centres lie on the border, so that bilinear reading needs no outside.
            a = (k % columns) / max(columns - 1, 1) * extent_m[face, 0]
            b = (k // columns) / max(rows - 1, 1) * extent_m[face, 1]
            a = min(max(a, 0.008), max(extent_m[face, 0] - 0.008, 0.0))
            b = min(max(b, 0.008), max(extent_m[face, 1] - 0.008, 0.0))
            x, y, z, nx, ny, nz = face_point(kind[i], side, a, b, half[i])
            wx, wy, wz = to_world(x + 0.01 * nx, y + 0.01 * ny, z + 0.01 * nz, turn[i])
            mx, my, mz = to_world(nx, ny, nz, turn[i])
            p = (wx + center[i, 0], wy + center[i, 1], wz + center[i, 2])
            table = np.empty((len(kind), ROW))
            localize(*p, kind, center, half, turn, table)
            n = (mx, my, mz)
            r, g, bl = _lamplight(p, n, face * 7919 + k, table, opaque, lamps)
            ambient = _ambient(n, face * 7919 + k, table, opaque)
            at = offset[face] + k
            texels[at, 0] = r + _AMBIENT_RGB[0] * ambient
            texels[at, 1] = g + _AMBIENT_RGB[1] * ambient
            texels[at, 2] = bl + _AMBIENT_RGB[2] * ambient


@numba.njit(**JIT)
def _lamplight(
    p: tuple[float, float, float], n: tuple[float, float, float], seed: int,
    table: NDArray[np.float64], opaque: NDArray[np.int64], lamps: NDArray[np.float64],
) -> tuple[float, float, float]:  # fmt: skip
    """Light that reaches a point from the lamps, by shadow rays to seeded points on each."""
    r = g = b = 0.0
    for j in range(len(lamps)):
        lamp = lamps[j]
        seen = 0.0
        for s in range(_LIGHT_SAMPLES):
            dx = lamp[0] + lamp[3] * (2.0 * random01(s, seed, 3 * j) - 1.0) - p[0]
            dy = lamp[1] + lamp[4] * (2.0 * random01(s, seed, 3 * j + 1) - 1.0) - p[1]
            dz = lamp[2] + lamp[5] * (2.0 * random01(s, seed, 3 * j + 2) - 1.0) - p[2]
            squared = dx * dx + dy * dy + dz * dz
            length = np.sqrt(squared)
            cosine = (dx * n[0] + dy * n[1] + dz * n[2]) / length
            if lamp[9] != 0 or lamp[10] != 0 or lamp[11] != 0:
                cosine *= max(-(dx * lamp[9] + dy * lamp[10] + dz * lamp[11]) / length, 0.0)
            if cosine > 0 and _free(dx, dy, dz, table, opaque):
                seen += cosine / (squared + 0.25)
        r += lamp[6] * seen / _LIGHT_SAMPLES
        g += lamp[7] * seen / _LIGHT_SAMPLES
        b += lamp[8] * seen / _LIGHT_SAMPLES
    return r, g, b


@numba.njit(**JIT)
def _free(
    dx: float, dy: float, dz: float, table: NDArray[np.float64], opaque: NDArray[np.int64]
) -> bool:
    """Whether nothing stands between a point and the end of a ray."""
    ix, iy, iz = inverse(dx), inverse(dy), inverse(dz)
    free = True
    for i in opaque:
        free = distance(table, i, dx, dy, dz, ix, iy, iz) >= 0.999
        if not free:
            break
    return free


@numba.njit(**JIT)
def _ambient(
    n: tuple[float, float, float], seed: int, table: NDArray[np.float64], opaque: NDArray[np.int64]
) -> float:
    """How open the half-space above a point is, 0–1: mean reach of cosine-weighted rays."""
    near = np.empty(len(opaque), np.int64)
    count = 0
    for i in opaque:
        gap = 0.0
        for axis in range(3):
            gap = max(gap, abs(table[i, 1 + axis]) - table[i, 4 + axis])
        if gap < _AMBIENT_REACH_M:
            near[count] = i
            count += 1
    reached = 0.0
    for s in range(_AMBIENT_SAMPLES):
        # The normal plus a point on the unit sphere is cosine-weighted.
        cz = 2.0 * ((s + random01(s, seed, 77)) / _AMBIENT_SAMPLES) - 1.0
        angle = 2.399963 * s + 6.283185 * random01(seed, 5, 78)
        ring = np.sqrt(max(1.0 - cz * cz, 0.0))
        dx, dy, dz = n[0] + ring * np.cos(angle), n[1] + ring * np.sin(angle), n[2] + cz
        norm = np.sqrt(dx * dx + dy * dy + dz * dz) + 1e-9
        ix, iy, iz = inverse(dx), inverse(dy), inverse(dz)
        reach = _AMBIENT_REACH_M / norm
        limit = reach
        for k in range(count):
            reach = min(reach, distance(table, near[k], dx, dy, dz, ix, iy, iz))
        reached += reach / limit
    return float((reached / _AMBIENT_SAMPLES) ** 1.3)
