"""The furnished room itself: a living room of 5.4 × 4.4 × 2.6 m."""

from collections.abc import Mapping

import numpy as np

from replay.room.scene import ROOM_HALF_M, Kind, Light, Material, Solid

_HX, _HY, _HZ = ROOM_HALF_M
_OAK, _WALNUT, _WHITE, _METAL = 0xB98A56, 0x6B452B, 0xE9E4DA, 0x55585C


def furnished_room(seed: int) -> list[Solid]:
    """The room's solids; the first is the room. `seed` varies books, pictures and clutter."""
    rng = np.random.default_rng(seed)
    return [
        Solid(Kind.ROOM, (0, 0, _HZ), ROOM_HALF_M, Material.WALLPAPER, 0xC9CDB4, 0x8E9A78,
              faces={4: Material.PLANKS, 5: Material.PAINT}, texel_m=0.004),
        *_sofa_corner(), *_bookcase(rng), *_desk(), *_brick_wall_side(), *_middle(rng),
        *_pictures(), *_skirting(),
    ]  # fmt: skip


def lights() -> list[Light]:
    """A pendant lamp, the window's sky and the floor lamp."""
    return [
        Light((0, 0, 2.16), (0.16,) * 3, (1.9, 1.7, 1.42)),
        Light((0, -_HY + 0.05, 1.55), (0.8, 0.0, 0.6), (2.3, 2.6, 3.0), (0.0, 1.0, 0.0)),
        Light((2.3, 1.8, 1.58), (0.12,) * 3, (0.75, 0.55, 0.34)),
    ]


def _box(
    low: tuple[float, float, float],
    high: tuple[float, float, float],
    material: Material,
    color: int,
    accent: int = 0x303030,
    faces: Mapping[int, Material] | None = None,
    texel_m: float = 0.0035,
) -> Solid:
    """An axis-aligned box between two corners."""
    center = tuple((a + b) / 2 for a, b in zip(low, high, strict=True))
    half = tuple((b - a) / 2 for a, b in zip(low, high, strict=True))
    return Solid(
        Kind.BOX, (center[0], center[1], center[2]), (half[0], half[1], half[2]),
        material, color, accent, faces=faces or {}, texel_m=texel_m,
    )  # fmt: skip


def _upright(
    x: float, y: float, z: tuple[float, float], radius_m: float, material: Material, color: int,
    accent: int = 0x303030,
) -> Solid:  # fmt: skip
    """A standing cylinder from z[0] to z[1]."""
    half = (radius_m, radius_m, (z[1] - z[0]) / 2)
    return Solid(Kind.CYLINDER, (x, y, (z[0] + z[1]) / 2), half, material, color, accent)


def _table(
    low: tuple[float, float], high: tuple[float, float], height_m: float, color: int
) -> list[Solid]:
    """A table top on four round legs."""
    top = _box((*low, height_m - 0.035), (*high, height_m), Material.WOOD, color, texel_m=0.0025)
    legs = [
        _upright(x, y, (0.0, height_m - 0.035), 0.028, Material.WOOD, color)
        for x in (low[0] + 0.07, high[0] - 0.07)
        for y in (low[1] + 0.07, high[1] - 0.07)
    ]
    return [top, *legs]


def _chair(x: float, y: float, toward: float, color: int) -> list[Solid]:
    """A chair; its back is on the side of `toward` (+1: +y, −1: −y)."""
    seat = _box((x - 0.22, y - 0.22, 0.42), (x + 0.22, y + 0.22, 0.47), Material.FABRIC, color,
                0xE0D4B0)  # fmt: skip
    back_y = y + toward * 0.20
    rails = [
        _box((x - 0.20, back_y - 0.015, z), (x + 0.20, back_y + 0.015, z + 0.09), Material.WOOD,
             _WALNUT) for z in (0.56, 0.70, 0.84)
    ]  # fmt: skip
    legs = [
        _upright(x + dx, y + dy, (0.0, 0.93 if dy * toward > 0 else 0.42), 0.02, Material.WOOD,
                 _WALNUT) for dx in (-0.19, 0.19) for dy in (-0.19, 0.19)
    ]  # fmt: skip
    return [seat, *rails, *legs]


def _sofa_corner() -> list[Solid]:
    """North: a sofa with cushions, a side table, a floor lamp."""
    cloth, accent = 0x3E5C76, 0x8AA6BC
    fabric = Material.FABRIC
    return [
        _box((-1.25, 1.30, 0.10), (0.85, 2.12, 0.42), fabric, cloth, accent),
        _box((-1.25, 1.90, 0.42), (0.85, 2.18, 0.88), fabric, cloth, accent),
        _box((-1.45, 1.30, 0.10), (-1.25, 2.18, 0.62), fabric, cloth, accent),
        _box((0.85, 1.30, 0.10), (1.05, 2.18, 0.62), fabric, cloth, accent),
        _box((-1.22, 1.32, 0.42), (-0.22, 1.90, 0.50), fabric, 0x4A6A86, accent),
        _box((-0.18, 1.32, 0.42), (0.82, 1.90, 0.50), fabric, 0x4A6A86, accent),
        Solid(Kind.BOX, (-0.95, 1.80, 0.68), (0.20, 0.07, 0.18), Material.MONDRIAN, 0xD9A441,
              0x7A2E2E, yaw_deg=14),
        Solid(Kind.BOX, (0.50, 1.80, 0.68), (0.20, 0.07, 0.18), Material.DISCS, 0xB5533C,
              0xF2E3C6, yaw_deg=-18),
        _upright(1.45, 1.75, (0.0, 0.02), 0.16, Material.PAINT, _METAL),
        _upright(1.45, 1.75, (0.02, 0.50), 0.03, Material.PAINT, _METAL),
        _upright(1.45, 1.75, (0.50, 0.53), 0.27, Material.WOOD, _OAK),
        _upright(1.40, 1.70, (0.53, 0.63), 0.045, Material.BANDS, 0xC8553D, 0xF0E6D2),
        _box((1.46, 1.70, 0.53), (1.64, 1.84, 0.57), Material.PRINT, 0xE6E0D0, 0x22384F),
        _upright(2.30, 1.80, (0.0, 0.03), 0.17, Material.PAINT, _METAL),
        _upright(2.30, 1.80, (0.03, 1.45), 0.015, Material.PAINT, _METAL),
        _upright(2.30, 1.80, (1.42, 1.74), 0.19, Material.GLOW, 0xFFE3B0),
        Solid(Kind.CYLINDER, (-2.25, 1.75, 0.22), (0.20, 0.20, 0.22), Material.BANDS, 0xA9653B,
              0x5B3A29),
        *_foliage(-2.25, 1.75, 0.44, 0),
    ]  # fmt: skip


def _foliage(x: float, y: float, z: float, seed: int) -> list[Solid]:
    """Leaves as a heap of ellipsoids on a stem."""
    rng = np.random.default_rng(seed)
    stem = _upright(x, y, (z, z + 0.5), 0.02, Material.WOOD, 0x5A4632)
    leaves = []
    for i in range(9):
        angle, lift = i * 2.4, 0.12 + 0.09 * i
        reach = 0.20 - 0.012 * i
        size = rng.uniform(0.10, 0.16)
        leaves.append(
            Solid(
                Kind.ELLIPSOID,
                (x + reach * np.cos(angle), y + reach * np.sin(angle), z + lift),
                (size, size * 0.8, size * 0.75),
                Material.LEAVES, 0x3F7D3A, 0x9CCB6B, yaw_deg=np.degrees(angle),
            )
        )  # fmt: skip
    return [stem, *leaves]


def _bookcase(rng: np.random.Generator) -> list[Solid]:
    """East: a bookcase of five shelves filled with runs of books and some ornaments."""
    x0, x1, y0, y1, top = 2.38, 2.70, -0.95, 1.05, 2.05
    solids = [
        _box((x0, y0, 0.0), (x1, y0 + 0.03, top), Material.WOOD, _WALNUT),
        _box((x0, y1 - 0.03, 0.0), (x1, y1, top), Material.WOOD, _WALNUT),
        _box((x0, 0.03, 0.0), (x1, 0.06, top), Material.WOOD, _WALNUT),
        _box((x1 - 0.02, y0, 0.0), (x1, y1, top), Material.WOOD, 0x5A3A24),
    ]
    shelves_m = (0.06, 0.47, 0.87, 1.27, 1.65, top)
    for z in shelves_m:
        solids.append(_box((x0, y0 + 0.03, z - 0.03), (x1, y1 - 0.03, z), Material.WOOD, _WALNUT))
    for z in shelves_m[:-1]:
        for start, end in ((y0 + 0.05, 0.02), (0.08, y1 - 0.05)):
            y = start
            while end - y > 0.12:
                length = min(rng.uniform(0.16, 0.42), end - y)
                height = rng.uniform(0.20, 0.32)
                depth = x0 + rng.uniform(0.02, 0.08)
                solids.append(
                    _box((depth, y, z), (x1 - 0.03, y + length, z + height), Material.BOOKS,
                         0xC9B79C, faces={0: Material.BOOKS}, texel_m=0.0025)
                )  # fmt: skip
                y += length + (rng.uniform(0.08, 0.2) if rng.random() < 0.35 else 0.004)
    globe = Solid(
        Kind.ELLIPSOID, (2.52, -0.5, 2.22), (0.15,) * 3, Material.GLOBE, 0x2B5C8A, 0x9A8B4F
    )
    box = _box((2.42, 0.35, 2.05), (2.68, 0.75, 2.28), Material.CARDBOARD, 0xB98D5A)
    return [*solids, globe, box, _upright(2.52, -0.5, (2.05, 2.08), 0.08, Material.WOOD, _OAK)]


def _desk() -> list[Solid]:
    """South: a window with curtains, a desk with a monitor, a chair."""
    y = -_HY
    return [
        _box((-0.9, y, 0.92), (0.9, y + 0.03, 2.18), Material.WINDOW, 0x9CC3E6, 0xF4F1EA),
        _box((-1.0, y, 0.86), (1.0, y + 0.10, 0.92), Material.PAINT, _WHITE),
        _box((-1.35, y, 0.15), (-0.92, y + 0.11, 2.36), Material.FABRIC, 0xA8483A, 0xE8C9A0),
        _box((0.92, y, 0.15), (1.35, y + 0.11, 2.36), Material.FABRIC, 0xA8483A, 0xE8C9A0),
        _box((-1.45, y + 0.02, 2.36), (1.45, y + 0.13, 2.41), Material.WOOD, _WALNUT),
        *_table((-0.80, -2.06), (0.85, -1.45), 0.74, _OAK),
        _box((-0.12, -1.98, 0.74), (0.16, -1.80, 0.76), Material.PAINT, _METAL),
        _box((-0.01, -1.91, 0.76), (0.05, -1.88, 0.86), Material.PAINT, _METAL),
        _box((-0.30, -1.90, 0.84), (0.34, -1.87, 1.22), Material.PAINT, 0x26282B,
             faces={3: Material.SCREEN}, texel_m=0.0025),
        _box((-0.22, -1.70, 0.74), (0.22, -1.55, 0.765), Material.PRINT, 0x3A3D42, 0xD8D8D8,
             texel_m=0.0015),
        _upright(0.45, -1.62, (0.74, 0.84), 0.042, Material.BANDS, 0xF0E9DC, 0x2E5E8C),
        _box((0.52, -1.98, 0.74), (0.80, -1.78, 0.79), Material.BOOKS, 0x7C3B3B),
        _box((0.55, -1.97, 0.79), (0.78, -1.79, 0.83), Material.PRINT, 0xD8C9A8, 0x6A2E2E),
        _box((-0.72, -1.85, 0.74), (-0.42, -1.64, 0.745), Material.PRINT, 0xF2EFE6, 0x30343A,
             texel_m=0.0015),
        *_chair(0.12, -1.12, 1.0, 0x6E8B4E),
        Solid(Kind.BOX, (-1.75, -1.80, 0.24), (0.26, 0.20, 0.24), Material.CARDBOARD, 0xB98D5A,
              yaw_deg=20),
        Solid(Kind.BOX, (-1.72, -1.78, 0.60), (0.17, 0.15, 0.12), Material.CARDBOARD, 0xC79C68,
              yaw_deg=-12),
        Solid(Kind.CYLINDER, (2.2, -1.70, 0.17), (0.22, 0.22, 0.17), Material.BANDS, 0x8C8375,
              0xD8CDB8),
        *_foliage(2.2, -1.70, 0.34, 1),
    ]  # fmt: skip


def _brick_wall_side() -> list[Solid]:
    """West: bricks, a chest of drawers with a television, a door."""
    x = -_HX
    return [
        _box((x, -_HY, 0.0), (x + 0.02, _HY, 2.6), Material.BRICK, 0x9C5B45, 0xC9BFB0,
             texel_m=0.004),
        _box((x + 0.02, -1.05, 0.08), (x + 0.50, 0.75, 0.72), Material.WOOD, _OAK, 0x40301F,
             faces={1: Material.DRAWERS}, texel_m=0.0025),
        _box((x + 0.06, -1.00, 0.0), (x + 0.44, 0.70, 0.08), Material.PAINT, 0x35302B),
        _box((x + 0.15, -0.75, 0.72), (x + 0.35, -0.05, 0.74), Material.PAINT, 0x26282B),
        _box((x + 0.22, -0.92, 0.76), (x + 0.26, 0.12, 1.36), Material.PAINT, 0x1E2023,
             faces={1: Material.SCREEN}, texel_m=0.0025),
        _upright(x + 0.26, 0.42, (0.72, 1.02), 0.085, Material.BANDS, 0x2F6F73, 0xEAD9B0),
        Solid(Kind.ELLIPSOID, (x + 0.26, 0.42, 1.12), (0.13, 0.13, 0.15), Material.LEAVES, 0xB8476B,
              0xF0C3D0),
        _box((x + 0.02, 1.00, 0.0), (x + 0.07, 1.08, 2.10), Material.WOOD, _WHITE),
        _box((x + 0.02, 2.02, 0.0), (x + 0.07, 2.10, 2.10), Material.WOOD, _WHITE),
        _box((x + 0.02, 1.00, 2.10), (x + 0.07, 2.10, 2.18), Material.WOOD, _WHITE),
        _box((x + 0.02, 1.08, 0.0), (x + 0.05, 2.02, 2.10), Material.WOOD, 0xC8A878, 0x40301F,
             faces={1: Material.DRAWERS}),
        Solid(Kind.ELLIPSOID, (x + 0.10, 1.18, 1.02), (0.04, 0.04, 0.04), Material.PAINT, 0xC0A050),
    ]  # fmt: skip


def _middle(rng: np.random.Generator) -> list[Solid]:
    """A rug, a low table with things on it, a stool, a ball, the pendant lamp."""
    solids = [
        _box((-1.25, -0.75, 0.0), (1.25, 0.95, 0.012), Material.RUG, 0x8C2F39, 0xE2C391,
             texel_m=0.0025),
        *_table((-0.55, -0.22), (0.55, 0.38), 0.44, _WALNUT),
        _upright(0.02, 0.10, (0.44, 0.47), 0.13, Material.BANDS, 0xD9D2C0, 0x3A6B8C),
        Solid(Kind.BOX, (-0.34, 0.02, 0.46), (0.13, 0.09, 0.02), Material.PRINT, 0xE8DFC8,
              0x8A3B2A, yaw_deg=25),
        Solid(Kind.BOX, (-0.33, 0.03, 0.495), (0.10, 0.075, 0.015), Material.MONDRIAN, 0x2F6690,
              0xF4D35E, yaw_deg=-8),
        Solid(Kind.BOX, (0.36, 0.20, 0.50), (0.06, 0.06, 0.06), Material.DISCS, 0xE07A5F, 0x3D405B,
              yaw_deg=35),
        _upright(0.32, -0.05, (0.44, 0.56), 0.04, Material.BANDS, 0x6A994E, 0xF2E8CF),
        _upright(1.45, 0.65, (0.0, 0.40), 0.20, Material.FABRIC, 0xB08A3E, 0x5C4A20),
        Solid(Kind.ELLIPSOID, (-1.55, -0.95, 0.13), (0.13,) * 3, Material.MONDRIAN, 0xD1495B,
              0xEDAE49),
        _upright(0.0, 0.0, (2.28, 2.60), 0.008, Material.PAINT, _METAL),
        Solid(Kind.ELLIPSOID, (0.0, 0.0, 2.16), (0.20, 0.20, 0.15), Material.GLOW, 0xFFF1D6),
    ]  # fmt: skip
    for i in range(5):
        angle, color = i * 1.3 + rng.uniform(0, 0.4), (0xC1121F, 0xE9A820, 0x7FA650)[i % 3]
        reach = 0.07 if i else 0.0
        center = (0.02 + reach * np.cos(angle), 0.10 + reach * np.sin(angle), 0.505)
        solids.append(Solid(Kind.ELLIPSOID, center, (0.036,) * 3, Material.PAINT, color))
    return solids


def _pictures() -> list[Solid]:
    """Framed pictures and posters on all four walls."""
    north, east, south, west = _HY, _HX, -_HY, -_HX + 0.02
    kinds = (Material.LANDSCAPE, Material.MONDRIAN, Material.DISCS, Material.PRINT)
    hung = [
        (3, -1.05, 1.62, 0.38, 0.28, 0), (3, -0.15, 1.68, 0.26, 0.34, 1),
        (3, 0.62, 1.58, 0.30, 0.24, 2), (3, 1.45, 1.45, 0.25, 0.35, 3),
        (3, -2.05, 1.75, 0.30, 0.22, 0), (1, 1.65, 1.25, 0.22, 0.30, 2),
        (1, -1.55, 1.50, 0.34, 0.46, 0), (2, -1.95, 1.55, 0.30, 0.42, 3),
        (2, 1.95, 1.60, 0.34, 0.30, 1), (0, -0.45, 1.82, 0.42, 0.26, 0),
        (0, 0.45, 1.70, 0.24, 0.32, 1), (0, -1.60, 1.45, 0.32, 0.42, 2),
    ]  # fmt: skip
    colors = (
        (0x457B9D, 0xF1FAEE),
        (0xE63946, 0xF4D35E),
        (0x264653, 0xE9C46A),
        (0xF2E9E4, 0x22223B),
    )
    solids = []
    for i, (wall, along, z, half_w, half_h, kind) in enumerate(hung):
        color, accent = colors[(i + kind) % 4]
        depth = 0.02
        at = {
            0: ((west, along - half_w), (west + depth, along + half_w), 1),
            1: ((east - depth, along - half_w), (east, along + half_w), 0),
            2: ((along - half_w, south), (along + half_w, south + depth), 3),
            3: ((along - half_w, north - depth), (along + half_w, north), 2),
        }
        low, high, face = at[wall]
        solids.append(
            _box((*low, z - half_h), (*high, z + half_h), Material.WOOD, color, accent,
                 faces={face: kinds[kind]}, texel_m=0.0025)
        )  # fmt: skip
    return solids


def _skirting() -> list[Solid]:
    """Boards along the foot of three walls."""
    return [
        _box((-_HX, _HY - 0.015, 0.0), (_HX, _HY, 0.09), Material.WOOD, _WHITE),
        _box((-_HX, -_HY, 0.0), (_HX, -_HY + 0.015, 0.09), Material.WOOD, _WHITE),
        _box((_HX - 0.015, -_HY, 0.0), (_HX, _HY, 0.09), Material.WOOD, _WHITE),
    ]
