"""The room's solids: what stands where, of which material. World: z up, metres, floor at z = 0."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

ROOM_HALF_M = (2.7, 2.2, 1.3)
"""Half the room's inner size; its floor is at z = 0, its centre above the origin."""


class Kind(IntEnum):
    """Shapes a ray can meet. Boxes turn about z, cylinders stand upright."""

    ROOM = 0
    """A box seen from the inside."""
    BOX = 1
    CYLINDER = 2
    ELLIPSOID = 3


class Material(IntEnum):
    """Procedural surfaces; see materials.py."""

    PAINT = 0
    PLANKS = 1
    WOOD = 2
    WALLPAPER = 3
    BRICK = 4
    BOOKS = 5
    MONDRIAN = 6
    LANDSCAPE = 7
    DISCS = 8
    RUG = 9
    FABRIC = 10
    LEAVES = 11
    WINDOW = 12
    SCREEN = 13
    GLOW = 14
    CARDBOARD = 15
    GLOBE = 16
    BANDS = 17
    DRAWERS = 18
    PRINT = 19


@dataclass(frozen=True, slots=True)
class Solid:
    """One shape with its surface. Faces of boxes: −x +x −y +y −z +z (0–5)."""

    kind: Kind
    center: tuple[float, float, float]
    half: tuple[float, float, float]
    material: Material
    color: int
    """0xRRGGBB, sRGB."""
    accent: int = 0x303030
    yaw_deg: float = 0.0
    faces: Mapping[int, Material] = field(default_factory=dict)
    """Faces that have another material."""
    texel_m: float = 0.0035


@dataclass(frozen=True, slots=True)
class Light:
    """A soft light: a ball (half equal on all axes) or a thin rectangle with a direction."""

    center: tuple[float, float, float]
    half: tuple[float, float, float]
    rgb: tuple[float, float, float]
    """Linear strength at one metre."""
    direction: tuple[float, float, float] = (0.0, 0.0, 0.0)
    """Unit normal of a rectangle; zero: shines everywhere."""


@dataclass(frozen=True, slots=True)
class Solids:
    """Structure of arrays of P solids, for kernels."""

    kind: NDArray[np.int64]
    center: NDArray[np.float64]
    """(P, 3)"""
    half: NDArray[np.float64]
    """(P, 3)"""
    turn: NDArray[np.float64]
    """(P, 2) cosine and sine of the yaw."""

    @classmethod
    def of(cls, solids: Sequence[Solid]) -> "Solids":
        """Lay out solids for kernels."""
        yaw = np.radians([s.yaw_deg for s in solids])
        return cls(
            np.array([s.kind for s in solids], np.int64),
            np.array([s.center for s in solids], np.float64),
            np.array([s.half for s in solids], np.float64),
            np.stack([np.cos(yaw), np.sin(yaw)], axis=1),
        )
