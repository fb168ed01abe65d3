"""Procedural surfaces: the linear colour of a material at a point (a, b) of its face, in metres.

Each pattern mixes a `color` and an `accent` and breaks the mix up with noise that never repeats,
so that every part of the room looks like itself only. Colours are linear, as light adds up.
"""

import numba
import numpy as np

from gpu.kernels import JIT
from replay.room.noise import octaves, random01, value_noise
from replay.room.scene import Material

_PLANKS = int(Material.PLANKS)
_WOOD = int(Material.WOOD)
_WALLPAPER = int(Material.WALLPAPER)
_BRICK = int(Material.BRICK)
_RUG = int(Material.RUG)
_FABRIC = int(Material.FABRIC)
_LEAVES = int(Material.LEAVES)
_CARDBOARD = int(Material.CARDBOARD)
_GLOBE = int(Material.GLOBE)
_BANDS = int(Material.BANDS)
_DRAWERS = int(Material.DRAWERS)
_PRINT = int(Material.PRINT)


@numba.njit(**JIT)
def _smooth(low: float, high: float, x: float) -> float:
    """0 below `low`, 1 above `high`, a cubic between."""
    t = min(max((x - low) / (high - low), 0.0), 1.0)
    return t * t * (3.0 - 2.0 * t)


@numba.njit(**JIT)
def _wood(a: float, b: float, seed: int) -> tuple[float, float]:
    """Grain along `a`: (mix, tone)."""
    warp = octaves(a * 3.0, b * 9.0, seed, 2)
    rings = 0.5 + 0.5 * np.sin((b * 90.0 + warp * 9.0) * 2.0)
    fibre = octaves(a * 12.0, b * 420.0, seed + 7, 2)
    knots = _smooth(0.74, 0.86, value_noise(a * 5.0, b * 14.0, seed + 3))
    return 0.25 * rings + 0.6 * knots, 0.6 + 0.55 * fibre * (0.7 + 0.5 * warp)


@numba.njit(**JIT)
def _planks(a: float, b: float, seed: int) -> tuple[float, float]:
    """Floor boards of 11 cm × 1.1 m, each with its own tone and grain."""
    row = int(np.floor(b / 0.11))
    shifted = a + 1.1 * random01(row, 1, seed)
    board = int(np.floor(shifted / 1.1))
    tone = 0.65 + 0.6 * random01(row, board, seed + 5)
    mix, grain = _wood(a, b - row * 0.11, seed + row * 31 + board * 17)
    edge = min(b - row * 0.11, (shifted - board * 1.1) * 1.5)
    return mix * 0.6, tone * grain * (0.25 + 0.75 * _smooth(0.001, 0.004, edge))


@numba.njit(**JIT)
def _wallpaper(a: float, b: float, seed: int) -> tuple[float, float]:
    """Stripes with sprigs whose size and place differ from one to the next."""
    stripe = 0.35 * _smooth(0.45, 0.55, abs((a / 0.16) % 1.0 - 0.5) * 2.0)
    i, j = int(np.floor(a / 0.16)), int(np.floor(b / 0.16))
    x = a / 0.16 - i - 0.5 - 0.2 * (random01(i, j, seed) - 0.5)
    y = b / 0.16 - j - 0.5 - 0.2 * (random01(i, j, seed + 1) - 0.5)
    angle = np.arctan2(y, x) + 6.3 * random01(i, j, seed + 2)
    petals = 3 + int(4.0 * random01(i, j, seed + 3))
    reach = (0.2 + 0.14 * random01(i, j, seed + 4)) * (0.65 + 0.35 * np.cos(petals * angle))
    sprig = 1.0 - _smooth(reach - 0.05, reach + 0.02, np.sqrt(x * x + y * y))
    stains = octaves(a * 2.2, b * 2.2, seed + 9, 4)
    fleck = value_noise(a * 130.0, b * 130.0, seed + 8)
    return min(stripe + sprig, 1.0), (0.72 + 0.4 * stains) * (0.88 + 0.2 * fleck)


@numba.njit(**JIT)
def _brick(a: float, b: float, seed: int) -> tuple[float, float]:
    """Bricks of 21 × 6.5 cm in mortar (the accent), each burnt differently."""
    row = int(np.floor(b / 0.075))
    shifted = a + (0.11 if row % 2 else 0.0)
    column = int(np.floor(shifted / 0.22))
    rough = 0.006 * (octaves(a * 40.0, b * 40.0, seed, 2) - 0.5)
    edge = min(
        min(shifted - column * 0.22, (column + 1) * 0.22 - shifted),
        min(b - row * 0.075, (row + 1) * 0.075 - b),
    )
    tone = 0.4 + 0.95 * random01(row, column, seed)
    pits = octaves(a * 60.0, b * 60.0, seed + 3, 3)
    mortar = 1.0 - _smooth(0.004, 0.007, edge + rough)
    return mortar, (tone * (1.0 - mortar) + mortar) * (0.55 + 0.8 * pits)


@numba.njit(**JIT)
def _rug(a: float, b: float, w: float, h: float, seed: int) -> tuple[float, float]:
    """Borders, a field of diamonds and a medallion, woven."""
    border = min(min(a, w - a), min(b, h - b))
    u, v = abs(a - w / 2), abs(b - h / 2)
    medallion = (u / (0.36 * w) + v / (0.36 * h)) * 5.0
    mix = 0.0
    if border < 0.16:
        mix = 1.0 if int(border / 0.03) % 2 else 0.15
        if 0.06 < border < 0.12:
            mix = 0.9 * (random01(int(a / 0.05), int(b / 0.05), seed) > 0.5)
    elif medallion < 5.0:
        petal = 0.5 + 0.5 * np.cos(np.arctan2(b - h / 2, a - w / 2) * 12.0)
        mix = (0.9 if int(medallion) % 2 else 0.2) * (0.5 + 0.5 * petal)
    else:
        i, j = int(np.floor(a / 0.07)), int(np.floor(b / 0.07))
        reach = abs(a / 0.07 - i - 0.5) + abs(b / 0.07 - j - 0.5)
        mix = (1.0 - _smooth(0.28, 0.36, reach)) * random01(i, j, seed + 2)
    weave = 0.7 + 0.6 * value_noise(a * 300.0, b * 300.0, seed + 5)
    return mix, weave * (0.7 + 0.5 * octaves(a * 5.0, b * 5.0, seed + 6, 3))


@numba.njit(**JIT)
def _fabric(a: float, b: float, seed: int) -> tuple[float, float]:
    """Tweed: two threads, uneven stripes, wear."""
    thread = value_noise(a * 260.0, b * 60.0, seed) - value_noise(a * 60.0, b * 260.0, seed + 1)
    stripe = random01(int(np.floor(a / 0.045)), 0, seed + 2) > 0.62
    wear = octaves(a * 7.0, b * 7.0, seed + 3, 4)
    speck = _smooth(0.70, 0.82, value_noise(a * 75.0, b * 75.0, seed + 4))
    return 0.45 * stripe + 0.5 * speck, (0.6 + 0.7 * wear) * (1.0 + 0.45 * thread)


@numba.njit(**JIT)
def _bands(a: float, b: float, h: float, seed: int) -> tuple[float, float]:
    """A potter's bands and zigzags."""
    level = int(np.floor(b / max(h / 7.0, 0.012)))
    mix = random01(level, 3, seed)
    if mix > 0.55:
        zigzag = abs(((a / 0.05) % 1.0) - 0.5) * 2.0
        mix = 1.0 if (b / max(h / 7.0, 0.012) - level) > zigzag else 0.1
    return mix, 0.7 + 0.5 * octaves(a * 25.0, b * 25.0, seed + 1, 3)


@numba.njit(**JIT)
def _drawers(a: float, b: float, w: float, h: float, seed: int) -> tuple[float, float]:
    """Two columns of three framed panels with handles (the accent)."""
    x, y = (a / w * 2.0) % 1.0, (b / h * 3.0) % 1.0
    dx, dy = min(x, 1.0 - x) * w / 2.0, min(y, 1.0 - y) * h / 3.0
    groove = 1.0 - _smooth(0.003, 0.008, abs(min(dx, dy) - 0.03))
    handle = abs(x - 0.5) * w / 2.0 < 0.05 and abs(y - 0.62) * h / 3.0 < 0.009
    mix, grain = _wood(a, b, seed)
    return max(0.5 * mix, 1.0 * handle, 0.8 * groove), grain * (1.0 - 0.55 * groove)


@numba.njit(**JIT)
def _print(a: float, b: float, w: float, h: float, seed: int) -> tuple[float, float]:
    """A printed page: a headline, columns of words, a picture block."""
    u, v = a / w, 1.0 - b / h
    paper = 0.85 + 0.2 * octaves(a * 40.0, b * 40.0, seed, 2)
    if min(min(u, 1.0 - u) * w, min(v, 1.0 - v) * h) < 0.012:
        return 0.0, paper
    if v < 0.24:
        letter = random01(int(u * 14.0), int(v * 8.0), seed)
        bar = 0.06 < v < 0.21 and (u * 14.0) % 1.0 < 0.45 + 0.5 * letter
        return 1.0 * (bar and letter > 0.15), paper
    if v > 0.55 and (u > 0.5) == (seed % 2 == 0):
        blot = octaves(u * 7.0, v * 9.0, seed + 3, 3)
        return _smooth(0.46, 0.54, blot), paper
    line = int(v * 26.0)
    word = int(np.floor(u * 16.0 + 5.0 * random01(line, 1, seed)))
    ink = (v * 26.0) % 1.0 < 0.55 and random01(word, line, seed + 1) > 0.3
    return 0.95 * ink, paper


@numba.njit(**JIT)
def mix_and_tone(
    material: int, a: float, b: float, w: float, h: float, seed: int
) -> tuple[float, float]:
    """How much accent (0–1) and how bright (about 1) a two-colour material is at (a, b)."""
    if material == _PLANKS:
        return _planks(a, b, seed)
    if material == _WOOD:
        return _wood(a, b, seed) if w >= h else _wood(b, a, seed)
    if material == _WALLPAPER:
        return _wallpaper(a, b, seed)
    if material == _BRICK:
        return _brick(a, b, seed)
    if material == _RUG:
        return _rug(a, b, w, h, seed)
    if material == _FABRIC:
        return _fabric(a, b, seed)
    if material == _LEAVES:
        blades = octaves(a * 34.0, b * 14.0, seed, 3)
        return _smooth(0.45, 0.75, blades), 0.25 + 1.25 * octaves(a * 22.0, b * 22.0, seed + 5, 3)
    if material == _CARDBOARD:
        label = abs(a - 0.55 * w) < 0.16 * w and abs(b - 0.6 * h) < 0.16 * h
        tape = abs(a - 0.3 * w) < 0.02
        ink = random01(int(a * 120.0), int(b * 90.0), seed) > 0.45 if label else tape
        return 0.8 * ink, 0.7 + 0.5 * octaves(a * 50.0, b * 12.0, seed, 4)
    if material == _GLOBE:
        land = octaves(a * 14.0, b * 14.0, seed, 4)
        return _smooth(0.5, 0.53, land), 0.6 + 0.8 * octaves(a * 60.0, b * 60.0, seed + 1, 2)
    if material == _BANDS:
        return _bands(a, b, h, seed)
    if material == _DRAWERS:
        return _drawers(a, b, w, h, seed)
    if material == _PRINT:
        return _print(a, b, w, h, seed)
    # Paint: plaster under a roller.
    grain = octaves(a * 28.0, b * 28.0, seed, 3)
    cloud = octaves(a * 1.7, b * 1.7, seed + 4, 4)
    return 0.10 * _smooth(0.6, 0.75, grain), (0.78 + 0.3 * cloud) * (0.86 + 0.28 * grain)
