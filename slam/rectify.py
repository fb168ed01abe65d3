"""Takes lens distortion out of frames, so that the rest sees a pinhole camera."""

from dataclasses import replace
from typing import cast

import cv2
import numpy as np
from numpy.typing import NDArray

from slam.camera import Camera
from slam.frame import DepthImage, Frame


class Rectifier:
    """Resamples the frames of a distorted camera as its distortion-free twin sees them.

    Focal lengths, principal point and size stay. Colour is interpolated, depth is not: a mean of
    two surfaces is none. Pixels that the camera did not see become black, without depth.
    """

    def __init__(self, camera: Camera) -> None:
        self.camera = replace(camera, distortion=())
        """The camera of the rectified frames."""
        self._is_needed = any(camera.distortion)
        if self._is_needed:
            self._color_maps, self._depth_maps = _maps(camera)

    def rectify(self, frame: Frame) -> Frame:
        """A frame of `self.camera`; the same frame if there is no distortion."""
        if not self._is_needed:
            return frame
        color = cv2.remap(frame.color, *self._color_maps, cv2.INTER_LINEAR)
        color.flags.writeable = False
        depth = None if frame.depth is None else self._rectified_depth(frame.depth)
        rgb = color.astype(np.uint8, copy=False)
        return replace(frame, color=rgb, depth=depth, depth_tensor=None)

    def _rectified_depth(self, depth: DepthImage) -> DepthImage:
        rectified = cv2.remap(depth, *self._depth_maps, cv2.INTER_NEAREST)
        rectified.flags.writeable = False
        return cast(DepthImage, rectified)


_Map = NDArray[np.integer | np.floating]


def _maps(camera: Camera) -> tuple[tuple[_Map, _Map], tuple[_Map, _Map]]:
    """Fixed-point maps (distorted pixel of each rectified one): interpolating, and rounded."""
    x, y = cv2.initUndistortRectifyMap(
        camera.matrix,
        np.array(camera.distortion, np.float64),
        np.eye(3),
        camera.matrix,
        (camera.width_px, camera.height_px),
        cv2.CV_32FC1,
    )
    interpolating = cv2.convertMaps(x, y, cv2.CV_16SC2)
    rounded = cv2.convertMaps(x, y, cv2.CV_16SC2, nninterpolation=True)
    return interpolating, rounded
