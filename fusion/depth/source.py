"""What a depth source is: a frame and what is known around it in, depth and confidence out."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from slam.camera import Camera
from slam.frame import Frame
from slam.geometry import Mat4

LONGEST_SIDE_PX = 320
"""Depth is estimated in images of this size: finer ones cost time and add little at 1 cm voxels."""

CONFIDENCE_MAX = 8
"""Observations that the surest estimate counts for in the volume."""


@dataclass(frozen=True, slots=True)
class View:
    """A tracked frame that depth can be measured against; arrays are read-only."""

    capture_ns: int
    gray: NDArray[np.uint8]
    """(h, w) of the source's camera."""
    world_from_camera: Mat4


@dataclass(frozen=True, slots=True)
class DepthContext:
    """What is known about a frame when its depth is estimated."""

    world_from_camera: Mat4
    points_world: NDArray[np.float32]
    """(N, 3) map points that the frame sees, in the map's unit."""
    views: Sequence[View] = ()
    """Earlier views that see much of the same from elsewhere, best first."""
    map_number: int = 0
    """Nothing that a source keeps of another map compares with this one."""
    references: Sequence[View] = ()
    """The frames whose depth was asked for before this one's, where they are now, latest first."""


@dataclass(frozen=True, slots=True)
class EstimatedDepth:
    """Depth of a frame in the map's unit; arrays are read-only."""

    depth_m: NDArray[np.float32]
    """(h, w) along +Z, 0 = none."""
    confidence: NDArray[np.uint8]
    """(h, w) 1 to CONFIDENCE_MAX where there is depth, else 0."""
    depth_tensor: Any = None
    """`depth_m` where a network computed it, as a tensor that DLPack can share; None: not kept."""


class DepthSource(Protocol):
    """Estimates depth. One thread calls it."""

    @property
    def camera(self) -> Camera:
        """The pinhole camera of the depth images: see `depth_camera`."""

    def depth(self, frame: Frame, context: DepthContext) -> EstimatedDepth | None:
        """Estimate the depth of a frame of `camera`'s size; None where nothing can be said."""


def depth_camera(camera: Camera, longest_px: int = LONGEST_SIDE_PX) -> Camera:
    """The camera of images scaled down (never up) to `longest_px` on their longer side.

    Pixel centres are at integers: u' = (u + ½) · s − ½.
    """
    scale = min(1.0, longest_px / max(camera.width_px, camera.height_px))
    width_px, height_px = round(camera.width_px * scale), round(camera.height_px * scale)
    scale_u, scale_v = width_px / camera.width_px, height_px / camera.height_px
    return replace(
        camera,
        width_px=width_px,
        height_px=height_px,
        fx_px=camera.fx_px * scale_u,
        fy_px=camera.fy_px * scale_v,
        cx_px=(camera.cx_px + 0.5) * scale_u - 0.5,
        cy_px=(camera.cy_px + 0.5) * scale_v - 0.5,
    )
