"""Depths of single pixels that are known already, which an estimate is held against."""

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from fusion.depth.source import DepthContext
from slam.camera import Camera
from slam.geometry import inverse


@dataclass(frozen=True, slots=True)
class KnownDepth:
    """N pixels of a depth camera and their depths."""

    u_px: NDArray[np.int64]
    v_px: NDArray[np.int64]
    depth_m: NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.depth_m)

    @classmethod
    def of_points(cls, camera: Camera, context: DepthContext) -> Self:
        """The tracker's map points, projected into the frame; those outside of it are left out."""
        camera_from_world = inverse(context.world_from_camera)
        points_camera = (
            context.points_world @ camera_from_world[:3, :3].T + camera_from_world[:3, 3]
        )
        x, y, z = points_camera[(points_camera[:, 2] > 0)].T
        u_px = np.rint(camera.fx_px * x / z + camera.cx_px)
        v_px = np.rint(camera.fy_px * y / z + camera.cy_px)
        inside = (u_px >= 0) & (u_px < camera.width_px) & (v_px >= 0) & (v_px < camera.height_px)
        return cls(
            u_px[inside].astype(np.int64),
            v_px[inside].astype(np.int64),
            z[inside].astype(np.float32),
        )

    @classmethod
    def of_image(cls, depth_m: NDArray[np.float32], most: int) -> Self:
        """At most `most` pixels of an (h, w) depth image, spread evenly over those with depth."""
        v_px, u_px = np.nonzero(depth_m)
        step = max(1, -(-len(u_px) // most))
        u_px, v_px = u_px[::step], v_px[::step]
        return cls(u_px, v_px, depth_m[v_px, u_px])

    def __add__(self, other: Self) -> Self:
        return type(self)(
            np.concatenate([self.u_px, other.u_px]),
            np.concatenate([self.v_px, other.v_px]),
            np.concatenate([self.depth_m, other.depth_m]),
        )

    def of(self, image: NDArray[np.float32]) -> NDArray[np.float32]:
        """(N,) an (h, w) image's values at these pixels."""
        return image[self.v_px, self.u_px]
