"""What all backends' blocks are told and return: the camera, the meaning of voxels, a surface."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gpu.kernels import BLOCK_VOX

Mat4 = NDArray[np.float64]
MAX_STRIDE_PX = 4
MAX_IMAGES = 2
"""Views that may be loaded at a time."""


@dataclass(frozen=True, slots=True)
class Pinhole:
    """An image grid without distortion; the centre of the first pixel is (0, 0)."""

    width_px: int
    height_px: int
    focal_px: NDArray[np.float64]
    """(2,) along u, v."""
    centre_px: NDArray[np.float64]
    """(2,) u, v."""


@dataclass(frozen=True, slots=True)
class FusionGrid:
    """What a pool's voxels mean."""

    voxel_size_m: float
    truncation_m: float
    depth_min_m: float
    depth_max_m: float
    min_weight: int
    depth_filter: bool = False
    """Whether depth is smoothed first, and weighted; see `gpu.kernels.depth_filter`."""


@dataclass(frozen=True, slots=True)
class Surface:
    """The triangles of K blocks, one after the other; see `write_surface`."""

    vertex_counts: NDArray[np.int64]
    triangle_counts: NDArray[np.int64]
    vertices: NDArray[np.uint8]
    colors: NDArray[np.uint8]
    triangles: NDArray[np.uint16]
    along: NDArray[np.float32]
    edge_codes: NDArray[np.int16]
    digests: NDArray[np.uint64]

    @classmethod
    def joined(cls, surfaces: Sequence["Surface"]) -> "Surface":
        """One surface of some: their blocks one after the other."""
        if len(surfaces) == 1:
            return surfaces[0]
        nothing = cls(
            np.empty(0, np.int64),
            np.empty(0, np.int64),
            np.empty((0, 3), np.uint8),
            np.empty((0, 3), np.uint8),
            np.empty((0, 3), np.uint16),
            np.empty(0, np.float32),
            np.empty(0, np.int16),
            np.empty(0, np.uint64),
        )
        parts = [nothing, *surfaces]
        return cls(
            *(np.concatenate([getattr(each, name) for each in parts]) for name in cls.__slots__)
        )


def band_steps(grid: FusionGrid) -> int:
    """Samples across the band of a ray: two voxels apart, the surface among them."""
    half = np.ceil(grid.truncation_m / grid.voxel_size_m / 2)
    return 2 * max(int(half), 1) + 1


def ray_stride_px(grid: FusionGrid, camera: Pinhole) -> int:
    """Pixels between rays: half a block apart at the far end, or nearer."""
    half_block_m = grid.voxel_size_m * BLOCK_VOX / 2
    stride = half_block_m * camera.focal_px.min() / grid.depth_max_m
    return min(max(int(stride), 1), MAX_STRIDE_PX)
