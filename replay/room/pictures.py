"""Surfaces of many colours: book spines, paintings, a window's view, a screen. Linear RGB."""

import numba
import numpy as np

from gpu.kernels import JIT
from replay.room.noise import octaves, random01, value_noise

Rgb = tuple[float, float, float]


@numba.njit(**JIT)
def _hue(h: float, saturation: float, value: float) -> Rgb:
    """A linear colour of a hue in [0, 1)."""
    r = min(max(abs(h * 6.0 - 3.0) - 1.0, 0.0), 1.0)
    g = min(max(2.0 - abs(h * 6.0 - 2.0), 0.0), 1.0)
    b = min(max(2.0 - abs(h * 6.0 - 4.0), 0.0), 1.0)
    white = 1.0 - saturation
    return (
        value * (white + saturation * r),
        value * (white + saturation * g),
        value * (white + saturation * b),
    )


@numba.njit(**JIT)
def books(a: float, b: float, h: float, seed: int) -> Rgb:
    """Spines of 2–5 cm with titles and bands; gaps are dark."""
    start, book, width = 0.0, 0, 0.0
    while True:
        width = 0.018 + 0.034 * random01(book, 0, seed)
        if start + width > a:
            break
        start, book = start + width, book + 1
    x, y = (a - start) / width, b / h
    top = 0.82 + 0.18 * random01(book, 1, seed)
    if min(x, 1.0 - x) * width < 0.0012 or y > top:
        return 0.015, 0.012, 0.01
    tint = random01(book, 2, seed)
    r, g, bl = _hue(random01(book, 3, seed), 0.35 + 0.5 * tint, 0.06 + 0.5 * tint * tint)
    v = y / top
    title = 0.25 < x < 0.75 and 0.3 < v < 0.8 and random01(int(b * 160.0), book, seed) > 0.42
    band = abs(v - 0.12) < 0.018 or abs(v - 0.9) < 0.02
    if title or band:
        r, g, bl = 0.75 - 0.6 * (tint > 0.65), 0.62 - 0.5 * (tint > 0.65), 0.35
    shade = (0.55 + 0.45 * np.sin(np.pi * x)) * (0.75 + 0.5 * octaves(a * 90.0, b * 30.0, seed, 2))
    return r * shade, g * shade, bl * shade


@numba.njit(**JIT)
def mondrian(u: float, v: float, seed: int) -> Rgb:
    """Rectangles in rectangles, split by a seeded binary tree; black lines between."""
    u0, u1, v0, v1, cell, edge = 0.0, 1.0, 0.0, 1.0, 1, 1.0
    for level in range(7):
        if random01(cell, 9, seed) < 0.12 and level > 3:
            break
        share = 0.28 + 0.44 * random01(cell, 0, seed)
        if (u1 - u0) * (0.7 + 0.6 * random01(cell, 1, seed)) > v1 - v0:
            cut = u0 + share * (u1 - u0)
            edge = min(edge, abs(u - cut))
            if u < cut:
                u1, cell = cut, cell * 2
            else:
                u0, cell = cut, cell * 2 + 1
        else:
            cut = v0 + share * (v1 - v0)
            edge = min(edge, abs(v - cut))
            if v < cut:
                v1, cell = cut, cell * 2
            else:
                v0, cell = cut, cell * 2 + 1
    if edge < 0.009:
        return 0.012, 0.012, 0.014
    pick = random01(cell, 5, seed)
    grain = 0.8 + 0.35 * value_noise(u * 60.0, v * 60.0, seed)
    if pick < 0.35:
        return 0.72 * grain, 0.69 * grain, 0.60 * grain
    r, g, b = _hue(random01(cell, 6, seed), 0.85, 0.15 + 0.6 * random01(cell, 7, seed))
    return r * grain, g * grain, b * grain


@numba.njit(**JIT)
def landscape(u: float, v: float, seed: int) -> Rgb:
    """Ranges of hills, paler with distance, under a low sun."""
    sun = np.hypot(u - 0.3 - 0.4 * random01(1, 1, seed), (v - 0.74) * 0.8)
    cloud = octaves(u * 5.0, v * 14.0, seed, 4)
    warm = 0.35 + 0.5 * random01(2, 2, seed)
    r, g, b = 0.55 + 0.3 * cloud, 0.42 + 0.25 * cloud, warm + 0.2 * cloud
    if sun < 0.075:
        r, g, b = 0.95, 0.82, 0.45
    for i in range(5):
        ridge = 0.66 - 0.12 * i + 0.24 * (octaves(u * (2.5 + i), i * 3.7, seed + i, 4) - 0.5)
        if v < ridge:
            near = (i + 1) / 5.0
            leaf = 0.45 + 0.9 * octaves(u * 28.0 * near, v * 40.0 * near, seed + 20 + i, 3)
            hue = 0.25 + 0.35 * random01(i, 7, seed)
            r, g, b = _hue(hue, 0.25 + 0.5 * near, (0.5 - 0.4 * near) * leaf)
    return r, g, b


@numba.njit(**JIT)
def discs(u: float, v: float, aspect: float, seed: int) -> Rgb:
    """Overlapping discs and rings on paper."""
    r, g, b = 0.78, 0.72, 0.60
    for i in range(16):
        du = (u - random01(i, 0, seed)) * aspect
        dv = v - random01(i, 1, seed)
        size = 0.05 + 0.22 * random01(i, 2, seed)
        distance = np.sqrt(du * du + dv * dv)
        ring = random01(i, 3, seed) > 0.6
        if distance < size and not (ring and distance < 0.6 * size):
            r, g, b = _hue(random01(i, 4, seed), 0.75, 0.08 + 0.6 * random01(i, 5, seed))
    grain = 0.8 + 0.35 * octaves(u * 50.0, v * 50.0, seed, 2)
    return r * grain, g * grain, b * grain


@numba.njit(**JIT)
def window(u: float, v: float, seed: int) -> Rgb:
    """A white frame with two wings before sky, clouds and trees; shines by itself."""
    bar_u = min(min(u, 1.0 - u), abs(u - 0.5))
    bar_v = min(min(v, 1.0 - v), abs(v - 0.68))
    if bar_u < 0.022 or bar_v < 0.03:
        tone = 0.42 + 0.1 * value_noise(u * 80.0, v * 80.0, seed)
        return tone, tone, tone * 0.95
    trees = 0.30 + 0.22 * (octaves(u * 7.0, 1.0, seed, 4) - 0.4)
    if v < trees:
        leaf = octaves(u * 45.0, v * 32.0, seed + 3, 4)
        return 0.10 + 0.35 * leaf * leaf, 0.20 + 0.50 * leaf * leaf, 0.06 + 0.15 * leaf
    cloud = octaves(u * 4.0, v * 7.0, seed + 8, 5)
    cover = min(max((cloud - 0.42) * 5.0, 0.0), 1.0)
    return 0.38 + 0.50 * cover, 0.58 + 0.32 * cover, 0.86 + 0.06 * cover


@numba.njit(**JIT)
def screen(u: float, v: float, seed: int) -> Rgb:
    """Windows of coloured text on a dark desktop inside a bezel; shines by itself."""
    if min(min(u, 1.0 - u), min(v, 1.0 - v) * 0.6) < 0.018:
        return 0.012, 0.012, 0.013
    r, g, b = 0.03 + 0.10 * u, 0.05 + 0.08 * v, 0.16
    for i in range(4):
        x = (u - 0.06 - 0.45 * random01(i, 0, seed)) / (0.28 + 0.18 * random01(i, 1, seed))
        y = (v - 0.08 - 0.40 * random01(i, 2, seed)) / (0.30 + 0.18 * random01(i, 3, seed))
        if not (0.0 < x < 1.0 and 0.0 < y < 1.0):
            continue
        r, g, b = 0.75, 0.76, 0.78
        if i % 2:
            r, g, b = 0.025, 0.03, 0.04
        if y > 0.92:
            r, g, b = _hue(random01(i, 4, seed), 0.6, 0.5)
        line, word = int(y * 16.0), int(x * 13.0 + 3.0 * random01(int(y * 16.0), i, seed))
        if (y * 16.0) % 1.0 < 0.5 and y < 0.88 and random01(line, word, seed + i) > 0.45:
            r, g, b = _hue(random01(word, line, seed), 0.7, 0.45)
    return r, g, b
