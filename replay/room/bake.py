"""Bakes surfaces and their light into one mip-mapped atlas, once, before the first frame.

Light in the room is static and every surface is matt, so a point has one colour from wherever it
is seen: pattern × (lamps with soft shadows + ambient with occlusion), tone-mapped to sRGB.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numba
import numpy as np
from numpy.typing import NDArray

from replay.room import pictures
from replay.room.materials import mix_and_tone
from replay.room.noise import random01
from replay.room.rays import ROW, distance, inverse, localize
from replay.room.scene import Light, Material, Solid, Solids

FACES = 6
LEVELS = 8
_LIGHT_TEXEL_M = 0.08
_LIGHT_SAMPLES = 10
_AMBIENT_SAMPLES = 20
_AMBIENT_REACH_M = 1.3
_AMBIENT_RGB = (0.50, 0.50, 0.53)
_SRGB_STEPS = 4096


@dataclass(frozen=True, slots=True)
class Atlas:
    """Baked colours of F = 6 P faces; face = 6 · solid + side."""

    texels: NDArray[np.uint32]
    """(T,) sRGB, red in the lowest byte."""
    layout: NDArray[np.int64]
    """(F, 2 + LEVELS) width and height of level 0 in texels, then each level's first texel."""
    density: NDArray[np.float32]
    """(F, 2) texels per metre of level 0."""

    @property
    def arrays(self) -> tuple[NDArray[np.uint32], NDArray[np.int64], NDArray[np.float32]]:
        """Texels, layout and density, for kernels."""
        return self.texels, self.layout, self.density


def bake(solids: Sequence[Solid], lights: Sequence[Light], seed: int) -> Atlas:
    """Bake every face of every solid."""
    arrays = Solids.of(solids)
    extent_m = np.array([_extents(s) for s in solids]).reshape(-1, 2)
    texel_m = np.repeat([s.texel_m for s in solids], FACES)
    hidden = _hidden_faces(arrays, extent_m)
    size_px = np.where(
        hidden[:, None], 1, np.maximum(np.ceil(extent_m / texel_m[:, None]), 1)
    ).astype(np.int64)
    size_px[extent_m[:, 0] == 0] = 0
    offset, total = _layout(size_px)
    texels = np.zeros((total, 4), np.uint8)
    light, light_offset, light_px = _light_maps(arrays, extent_m, hidden, solids, lights)
    style = np.array([_style(s, side) for s in solids for side in range(FACES)], np.float64)
    _paint(
        _rows(size_px), texels, offset[:, 0].copy(), size_px, extent_m, style, light, light_offset, light_px,
        _srgb_table(), seed,
    )  # fmt: skip
    _shrink(texels, offset, size_px)
    density = size_px / np.where(extent_m > 0, extent_m, 1.0)
    layout = np.concatenate([size_px, offset], axis=1)
    return Atlas(texels.view("<u4")[:, 0].copy(), layout, density.astype(np.float32))


def _extents(solid: Solid) -> list[tuple[float, float]]:
    """Width and height in metres of the six faces; (0, 0) where a shape has none."""
    x, y, z = (2 * h for h in solid.half)
    if solid.kind == 2:
        return [(np.pi * x, z), (0, 0), (0, 0), (0, 0), (x, y), (x, y)]
    if solid.kind == 3:
        return [(np.pi * x, np.pi / 2 * z), (0, 0), (0, 0), (0, 0), (0, 0), (0, 0)]
    return [(y, z), (y, z), (x, z), (x, z), (x, y), (x, y)]


def _style(solid: Solid, side: int) -> tuple[float, ...]:
    """Material and the linear colours of one face."""
    material = solid.faces.get(side, solid.material)
    color, accent = solid.color, solid.accent
    if solid.kind == 0 and side == 4:
        color, accent = 0xB07F4E, 0x5E3B20
    if solid.kind == 0 and side == 5:
        color, accent = 0xEDEAE2, 0xD8D2C4
    soft = material == solid.material  # a cushion's picture has no frame
    return (float(material), *_linear(color), *_linear(accent), float(soft))


def _linear(rgb: int) -> tuple[float, float, float]:
    """Linear colour of 0xRRGGBB sRGB (gamma 2.2)."""
    r, g, b = (((rgb >> shift & 0xFF) / 255) ** 2.2 for shift in (16, 8, 0))
    return r, g, b


def _srgb_table() -> NDArray[np.uint8]:
    """SRGB byte of a linear value in [0, 1], in 4096 steps (gamma 2.2)."""
    return np.round(255 * (np.arange(_SRGB_STEPS) / (_SRGB_STEPS - 1)) ** (1 / 2.2)).astype(
        np.uint8
    )


def _layout(size_px: NDArray[np.int64]) -> tuple[NDArray[np.int64], int]:
    """Where each face's mip levels begin, and the number of texels in all."""
    levels = np.maximum(size_px[:, None, :] >> np.arange(LEVELS)[None, :, None], 1)
    counts = np.where(size_px[:, :1] > 0, levels.prod(axis=2), 0)
    ends = np.cumsum(counts.ravel())
    return (ends - counts.ravel()).reshape(counts.shape), int(ends[-1])


@numba.njit(cache=True)
def face_point(
    kind: int, side: int, a: float, b: float, half: NDArray[np.float64]
) -> tuple[float, float, float, float, float, float]:
    """Point and outward normal, both in the solid's own axes, at (a, b) metres of a face."""
    x, y, z = half
    if kind == 2 and side == 0:
        angle = a / x - np.pi
        return x * np.cos(angle), x * np.sin(angle), b - z, np.cos(angle), np.sin(angle), 0.0
    if kind == 3:
        lon, lat = a / x - np.pi, b / z - np.pi / 2
        nx, ny, nz = np.cos(lat) * np.cos(lon), np.cos(lat) * np.sin(lon), np.sin(lat)
        gx, gy, gz = nx / x, ny / y, nz / z
        norm = np.sqrt(gx * gx + gy * gy + gz * gz)
        return x * nx, y * ny, z * nz, gx / norm, gy / norm, gz / norm
    sign = 1.0 if side % 2 else -1.0
    out = -sign if kind == 0 else sign
    if side < 2:
        return sign * x, a - y, b - z, out, 0.0, 0.0
    if side < 4:
        return a - x, sign * y, b - z, 0.0, out, 0.0
    return a - x, b - y, sign * z, 0.0, 0.0, out


@numba.njit(cache=True)
def to_world(x: float, y: float, z: float, turn: NDArray[np.float64]) -> tuple[float, float, float]:
    """Turn a vector of a solid's own axes into the world's."""
    return turn[0] * x - turn[1] * y, turn[1] * x + turn[0] * y, z


def _rows(size_px: NDArray[np.int64]) -> NDArray[np.int64]:
    """(N, 2) face and row of all rows of all faces, shuffled to share the work evenly."""
    rows = np.where(size_px[:, 0] > 0, size_px[:, 1], 0)
    faces = np.repeat(np.arange(len(rows)), rows)
    within = np.arange(len(faces)) - np.repeat(np.cumsum(rows) - rows, rows)
    order = np.random.default_rng(0).permutation(len(faces))
    return np.stack([faces, within], axis=1)[order]


def _hidden_faces(solids: Solids, extent_m: NDArray[np.float64]) -> NDArray[np.bool_]:
    """(F,) faces that lie wholly inside another solid or outside the room."""
    return _find_hidden(solids.kind, solids.center, solids.half, solids.turn, extent_m)


@numba.njit(cache=True)
def _inside(
    p: tuple[float, float, float], i: int, kind: NDArray[np.int64], center: NDArray[np.float64],
    half: NDArray[np.float64], turn: NDArray[np.float64],
) -> bool:  # fmt: skip
    """Whether a world point is in the matter of solid i (for the room: beyond its walls)."""
    dx, dy, dz = p[0] - center[i, 0], p[1] - center[i, 1], p[2] - center[i, 2]
    x = (turn[i, 0] * dx + turn[i, 1] * dy) / half[i, 0]
    y = (-turn[i, 1] * dx + turn[i, 0] * dy) / half[i, 1]
    z = dz / half[i, 2]
    if kind[i] == 2:
        return x * x + y * y < 1.0 and abs(z) < 1.0
    if kind[i] == 3:
        return x * x + y * y + z * z < 1.0
    inside = abs(x) < 1.0 and abs(y) < 1.0 and abs(z) < 1.0
    return not inside if kind[i] == 0 else inside


@numba.njit(cache=True)
def buried(
    p: tuple[float, float, float], skip: int, kind: NDArray[np.int64],
    center: NDArray[np.float64], half: NDArray[np.float64], turn: NDArray[np.float64],
) -> bool:  # fmt: skip
    """Whether a world point is in the matter of any solid but `skip`."""
    for i in range(len(kind)):
        if i != skip and _inside(p, i, kind, center, half, turn):
            return True
    return False


@numba.njit(cache=True)
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


def _light_maps(
    arrays: Solids,
    extent_m: NDArray[np.float64],
    hidden: NDArray[np.bool_],
    solids: Sequence[Solid],
    lights: Sequence[Light],
) -> tuple[NDArray[np.float64], NDArray[np.int64], NDArray[np.int64]]:
    """(L, 3) irradiance of coarse texels, with each face's first one and its (columns, rows)."""
    light_px = np.maximum(np.ceil(extent_m / _LIGHT_TEXEL_M), 2).astype(np.int64)
    light_px[hidden | (extent_m[:, 0] == 0)] = 0
    ends = np.cumsum(light_px.prod(axis=1))
    offset = ends - light_px.prod(axis=1)
    texels = np.zeros((int(ends[-1]), 3))
    opaque = np.array([i for i, s in enumerate(solids) if s.material != Material.GLOW])
    lamps = np.array([(*s.center, *s.half, *s.rgb, *s.direction) for s in lights])
    _shine(
        _rows(light_px), texels, offset, light_px, extent_m, arrays.kind, arrays.center, arrays.half, arrays.turn,
        opaque, lamps,
    )  # fmt: skip
    return texels, offset, light_px


@numba.njit(cache=True, parallel=True)
def _shine(
    work: NDArray[np.int64], texels: NDArray[np.float64], offset: NDArray[np.int64], light_px: NDArray[np.int64],
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


@numba.njit(cache=True)
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


@numba.njit(cache=True)
def _free(
    dx: float, dy: float, dz: float, table: NDArray[np.float64], opaque: NDArray[np.int64]
) -> bool:
    """Whether nothing stands between a point and the end of a ray."""
    ix, iy, iz = inverse(dx), inverse(dy), inverse(dz)
    for i in opaque:
        if distance(table, i, dx, dy, dz, ix, iy, iz) < 0.999:
            return False
    return True


@numba.njit(cache=True)
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


@numba.njit(cache=True)
def _albedo(
    style: NDArray[np.float64], a: float, b: float, w: float, h: float, seed: int
) -> tuple[float, float, float, float]:
    """Linear colour and how much of it is the surface's own light."""
    material = int(style[0])
    u, v = a / w, b / h
    if material == 5:
        r, g, bl = pictures.books(a, b, h, seed)
        return r, g, bl, 0.0
    if 6 <= material <= 8:
        frame = min(min(u, 1.0 - u) * w, min(v, 1.0 - v) * h)
        if frame < 0.022 and style[7] == 0.0:
            tone = 0.07 + 0.05 * (frame < 0.017)
            return tone, tone * 0.7, tone * 0.45, 0.0
        if material == 6:
            r, g, bl = pictures.mondrian(u, v, seed)
        elif material == 7:
            r, g, bl = pictures.landscape(u, v, seed)
        else:
            r, g, bl = pictures.discs(u, v, w / h, seed)
        return r, g, bl, 0.0
    if material == 12:
        r, g, bl = pictures.window(u, v, seed)
        return r, g, bl, 0.85
    if material == 13:
        r, g, bl = pictures.screen(u, v, seed)
        return r, g, bl, 0.6
    mix, tone = mix_and_tone(material, a, b, w, h, seed)
    glow = 0.9 if material == 14 else 0.0
    return (
        tone * (style[1] + mix * (style[4] - style[1])),
        tone * (style[2] + mix * (style[5] - style[2])),
        tone * (style[3] + mix * (style[6] - style[3])),
        glow,
    )


@numba.njit(cache=True, parallel=True)
def _paint(
    work: NDArray[np.int64], texels: NDArray[np.uint8], offset: NDArray[np.int64], size_px: NDArray[np.int64],
    extent_m: NDArray[np.float64], style: NDArray[np.float64], light: NDArray[np.float64],
    light_offset: NDArray[np.int64], light_px: NDArray[np.int64], srgb: NDArray[np.uint8],
    seed: int,
) -> None:  # fmt: skip
    """One work-item = one row of a face at mip level 0; it writes its own texels only."""
    for item in numba.prange(len(work)):
        face, row = work[item]
        columns, rows = size_px[face]
        light_columns, light_rows = light_px[face]
        if light_columns == 0:
            continue
        w, h = extent_m[face]
        face_seed = seed * 1009 + (face // FACES) * 131 + face % FACES
        for k in range(row * columns, (row + 1) * columns):
            u, v = (k % columns + 0.5) / columns, (k // columns + 0.5) / rows
            r, g, b, own = _albedo(style[face], u * w, v * h, w, h, face_seed)
            x, y = u * (light_columns - 1), v * (light_rows - 1)
            ix, iy = min(int(x), light_columns - 2), min(int(y), light_rows - 2)
            fx, fy = x - ix, y - iy
            low = light_offset[face] + iy * light_columns + ix
            high = low + light_columns
            for c in range(3):
                arriving = (light[low, c] * (1 - fx) + light[low + 1, c] * fx) * (1 - fy) + (
                    light[high, c] * (1 - fx) + light[high + 1, c] * fx
                ) * fy
                value = r if c == 0 else (g if c == 1 else b)
                value = value * (own + (1.0 - own) * arriving)
                # A shoulder above 0.6 instead of clipping.
                if value > 0.6:
                    value = 0.6 + 0.4 * (1.0 - np.exp(-(value - 0.6) / 0.4))
                texels[offset[face] + k, c] = srgb[
                    int(min(max(value, 0.0), 1.0) * (_SRGB_STEPS - 1))
                ]


@numba.njit(cache=True, parallel=True)
def _shrink(
    texels: NDArray[np.uint8], offset: NDArray[np.int64], size_px: NDArray[np.int64]
) -> None:
    """One work-item = one face; each mip level averages 2 × 2 texels of the one before."""
    for face in numba.prange(len(size_px)):
        columns, rows = size_px[face]
        if columns == 0:
            continue
        for level in range(1, LEVELS):
            w0, h0 = max(columns >> (level - 1), 1), max(rows >> (level - 1), 1)
            w1, h1 = max(columns >> level, 1), max(rows >> level, 1)
            source, target = offset[face, level - 1], offset[face, level]
            for y in range(h1):
                y0, y1 = min(2 * y, h0 - 1), min(2 * y + 1, h0 - 1)
                for x in range(w1):
                    x0, x1 = min(2 * x, w0 - 1), min(2 * x + 1, w0 - 1)
                    for c in range(3):
                        total = (
                            int(texels[source + y0 * w0 + x0, c])
                            + texels[source + y0 * w0 + x1, c]
                            + texels[source + y1 * w0 + x0, c]
                            + texels[source + y1 * w0 + x1, c]
                        )
                        texels[target + y * w1 + x, c] = (total + 2) // 4
