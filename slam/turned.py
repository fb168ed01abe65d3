"""Portrait images lie down for ORB-SLAM3, whose feature extractor crashes on tall ones."""

from dataclasses import dataclass, replace
from typing import TypeVar

import cv2
import numpy as np
from numpy.typing import NDArray

from slam.camera import Camera, ImuCalibration
from slam.geometry import Mat4, rigid

_Pixel = TypeVar("_Pixel", np.uint8, np.float32)

_QUARTER_TURN: Mat4 = rigid(np.array([[0.0, 1, 0], [-1, 0, 0], [0, 0, 1]]), np.zeros(3))
"""turned_from_camera: a pixel (u, v) of a W pixels wide image goes to (v, W - 1 - u)."""
_QUARTER_TURN.flags.writeable = False
_NO_TURN: Mat4 = np.eye(4)
_NO_TURN.flags.writeable = False


@dataclass(frozen=True, slots=True)
class Turn:
    """A turn of the images about the optical axis, and what it does to their camera."""

    camera: Camera
    """The model of the turned images."""
    turned_from_camera: Mat4

    @property
    def is_none(self) -> bool:
        """Whether images stay as they are."""
        return self.turned_from_camera is _NO_TURN

    def image(self, image: NDArray[_Pixel]) -> NDArray[_Pixel]:
        """(H, W) as it came, or (W, H) turned counter-clockwise."""
        if self.is_none:
            return image
        turned = cv2.rotate(image, cv2.ROTATE_90_COUNTERCLOCKWISE)
        return turned.astype(image.dtype, copy=False)

    def imu(self, imu: ImuCalibration) -> ImuCalibration:
        """The IMU, as the turned camera has it beside it."""
        return replace(imu, camera_from_imu=self.turned_from_camera @ imu.camera_from_imu)


def landscape(camera: Camera) -> Turn:
    """The turn that makes a camera's images at least as wide as they are tall."""
    if camera.width_px >= camera.height_px:
        return Turn(camera, _NO_TURN)
    turned = Camera(
        camera.height_px,
        camera.width_px,
        camera.fy_px,
        camera.fx_px,
        camera.cy_px,
        camera.width_px - 1 - camera.cx_px,
        _turned_distortion(camera.distortion),
    )
    return Turn(turned, _QUARTER_TURN)


def _turned_distortion(distortion: tuple[float, ...]) -> tuple[float, ...]:
    """Radial terms stay; with x' = y, y' = -x in Brown's formula, p1' = -p2 and p2' = p1."""
    if not distortion:
        return ()
    k1, k2, p1, p2, *k3 = distortion
    return (k1, k2, -p2, p1, *k3)
