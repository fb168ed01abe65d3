"""Bakes surfaces and their light into one mip-mapped atlas, once, before the first frame.

Light in the room is static and every surface is matt, so a point has one colour from wherever it
is seen: pattern × light, tone-mapped to sRGB.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numba
import numpy as np
from numpy.typing import NDArray

from gpu.kernels import JIT
from replay.room import pictures
from replay.room.faces import FACES, extents_m, hidden_faces, rows_of
from replay.room.lighting import light_maps
from replay.room.materials import mix_and_tone
from replay.room.scene import Light, Material, Solid, Solids

LEVELS = 8
_SRGB_STEPS = 4096
_BOOKS = int(Material.BOOKS)
_MONDRIAN = int(Material.MONDRIAN)
_LANDSCAPE = int(Material.LANDSCAPE)
_DISCS = int(Material.DISCS)
_WINDOW = int(Material.WINDOW)
_SCREEN = int(Material.SCREEN)
_GLOW = int(Material.GLOW)
_OWN_COLORS = {Material.PLANKS: (0xB07F4E, 0x5E3B20), Material.PAINT: (0xEDEAE2, 0xD8D2C4)}
"""Of faces that differ from the rest of their solid: a floor's boards, a ceiling."""


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
    """Bake every face of every solid (one to three seconds on two cores)."""
    extent_m = np.array([extents_m(s) for s in solids]).reshape(-1, 2)
    hidden = hidden_faces(Solids.of(solids), extent_m)
    texel_m = np.repeat([s.texel_m for s in solids], FACES)
    size_px = np.maximum(np.ceil(extent_m / texel_m[:, None]), 1).astype(np.int64)
    size_px[hidden] = 1
    size_px[extent_m[:, 0] == 0] = 0
    offset, total = _layout(size_px)
    light = light_maps(solids, lights, extent_m, hidden)
    style = np.array([_style(s, side) for s in solids for side in range(FACES)], np.float64)
    texels = np.zeros((total, 4), np.uint8)
    _paint(
        rows_of(size_px), texels, offset[:, 0].copy(), size_px, extent_m, style, light.rgb,
        light.first, light.size_px, _srgb_table(), seed,
    )  # fmt: skip
    _shrink(texels, offset, size_px)
    density = size_px / np.where(extent_m > 0, extent_m, 1.0)
    layout = np.concatenate([size_px, offset], axis=1)
    return Atlas(texels.view("<u4")[:, 0].copy(), layout, density.astype(np.float32))


def _style(solid: Solid, side: int) -> tuple[float, ...]:
    """Material and the linear colours of one face."""
    material = solid.faces.get(side, solid.material)
    color, accent = solid.color, solid.accent
    if material != solid.material and material in _OWN_COLORS:
        color, accent = _OWN_COLORS[material]
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


@numba.njit(**JIT)
def _albedo(
    style: NDArray[np.float64], a: float, b: float, w: float, h: float, seed: int
) -> tuple[float, float, float, float]:
    """Linear colour and how much of it is the surface's own light."""
    material = int(style[0])
    u, v = a / w, b / h
    if material == _BOOKS:
        r, g, bl = pictures.books(a, b, h, seed)
        return r, g, bl, 0.0
    if _MONDRIAN <= material <= _DISCS:
        frame = min(min(u, 1.0 - u) * w, min(v, 1.0 - v) * h)
        if frame < 0.022 and style[7] == 0.0:
            tone = 0.07 + 0.05 * (frame < 0.017)
            return tone, tone * 0.7, tone * 0.45, 0.0
        if material == _MONDRIAN:
            r, g, bl = pictures.mondrian(u, v, seed)
        elif material == _LANDSCAPE:
            r, g, bl = pictures.landscape(u, v, seed)
        else:
            r, g, bl = pictures.discs(u, v, w / h, seed)
        return r, g, bl, 0.0
    if material == _WINDOW:
        r, g, bl = pictures.window(u, v, seed)
        return r, g, bl, 0.85
    if material == _SCREEN:
        r, g, bl = pictures.screen(u, v, seed)
        return r, g, bl, 0.6
    mix, tone = mix_and_tone(material, a, b, w, h, seed)
    glow = 0.9 if material == _GLOW else 0.0
    return (
        tone * (style[1] + mix * (style[4] - style[1])),
        tone * (style[2] + mix * (style[5] - style[2])),
        tone * (style[3] + mix * (style[6] - style[3])),
        glow,
    )


@numba.njit(**JIT, parallel=True)
def _paint(
    work: NDArray[np.int64], texels: NDArray[np.uint8], offset: NDArray[np.int64],
    size_px: NDArray[np.int64], extent_m: NDArray[np.float64], style: NDArray[np.float64],
    light: NDArray[np.float64],
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


@numba.njit(**JIT, parallel=True)
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
