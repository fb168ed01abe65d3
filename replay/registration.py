"""Where a recording's colour camera stands beside its depth camera."""

from dataclasses import dataclass, replace
from typing import Self

import numpy as np
from numpy.typing import NDArray

from replay.sequence import RgbdSequence
from replay.seven_scenes import SevenScenesSequence
from slam.camera import Camera
from slam.frame import Frame
from slam.geometry import Mat4, rigid

_KINECT_COLOR = (526.9, 526.9, 322.9, 238.3)
_KINECT_COLOR_FROM_DEPTH_M = (-0.0325, 0.0, 0.0)
"""Of 7-Scenes, whose colour is not registered: where the edges in the depth of red kitchen fall on
the edges in its colour, over 35 frames. Its own calibration (585 px) is the depth camera's."""


@dataclass(frozen=True, slots=True)
class Registration:
    """The two pinhole cameras of an RGB-D recording."""

    color: Camera
    depth: Camera
    color_from_depth: Mat4

    @classmethod
    def of(cls, sequence: RgbdSequence) -> Self:
        """Of a recording's rectified frames: one camera for both, unless it is 7-Scenes."""
        camera = replace(sequence.calibration.camera, distortion=())
        if not isinstance(sequence, SevenScenesSequence):
            return cls(camera, camera, np.eye(4))
        color = Camera(camera.width_px, camera.height_px, *_KINECT_COLOR)
        return cls(color, camera, rigid(np.eye(3), np.array(_KINECT_COLOR_FROM_DEPTH_M)))

    def depth_seen_by(self, camera: Camera, frame: Frame) -> NDArray[np.float32]:
        """A frame's measured depth, (h, w) of a camera that stands where the colour camera does.

        Each measured point falls on the pixel nearest to it, the nearest of them counts; 0 where
        none falls. `camera` must not be finer than the depth camera, or it gets holes.
        """
        assert frame.depth is not None
        v_px, u_px = np.nonzero(frame.depth)
        z = frame.depth[v_px, u_px].astype(np.float64) * frame.depth_scale_m
        x = (u_px - self.depth.cx_px) / self.depth.fx_px * z
        y = (v_px - self.depth.cy_px) / self.depth.fy_px * z
        points = np.stack([x, y, z], axis=1) @ self.color_from_depth[:3, :3].T
        x, y, z = (points + self.color_from_depth[:3, 3]).T
        u = np.rint(camera.fx_px * x / z + camera.cx_px).astype(np.int64)
        v = np.rint(camera.fy_px * y / z + camera.cy_px).astype(np.int64)
        inside = (u >= 0) & (u < camera.width_px) & (v >= 0) & (v < camera.height_px)
        seen = np.full((camera.height_px, camera.width_px), np.inf, np.float32)
        np.minimum.at(seen, (v[inside], u[inside]), z[inside].astype(np.float32))
        seen[np.isinf(seen)] = 0
        return seen
