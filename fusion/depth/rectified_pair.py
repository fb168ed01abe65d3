"""Two cameras side by side, and their pictures turned so that rows show the same lines."""

from dataclasses import dataclass, replace
from typing import TypeVar

import cv2
import numpy as np
from numpy.typing import NDArray

from mapcast_client.errors import FrameError, InputError
from slam.camera import Camera
from slam.geometry import Mat4, inverse, require_rigid

_Pixel = TypeVar("_Pixel", np.float32, np.uint8)

_Maps = tuple[NDArray[np.float32], NDArray[np.float32]]

_NEAREST_Z = 1e-3
"""What looks sidewards or backwards is in no picture."""
_TURN_MAX_DEG = 45.0
"""Cameras that look further apart share too little of what they see."""


@dataclass(frozen=True, slots=True, eq=False)
class StereoCalibration:
    """A left and a right camera, as their pictures come."""

    left: Camera
    right: Camera
    left_from_right: Mat4
    """Metres: where the right camera is, seen from the left one."""

    def __post_init__(self) -> None:
        rigid = require_rigid(self.left_from_right, "left_from_right")
        object.__setattr__(self, "left_from_right", rigid)
        sizes = [(each.width_px, each.height_px) for each in (self.left, self.right)]
        if sizes[0] != sizes[1]:
            raise InputError(f"left camera is {sizes[0]} px and right one {sizes[1]}, must be same")
        x, y, z = rigid[:3, 3]
        if not x > max(abs(y), abs(z)):
            raise InputError(
                f"left_from_right puts the right camera at ({x:.4g}, {y:.4g}, {z:.4g}) m, must be "
                "to the right of the left one: x > |y| and x > |z|"
            )
        cosine = (np.trace(rigid[:3, :3]) - 1) / 2
        turn_deg = float(np.degrees(np.arccos(np.clip(cosine, -1, 1))))
        if turn_deg > _TURN_MAX_DEG:
            raise InputError(
                f"left_from_right turns the right camera by {turn_deg:.1f}°, must be at most "
                f"{_TURN_MAX_DEG:g}°"
            )


class RectifiedPair:
    """Resamples the pictures of a stereo rig as two cameras without distortion would see them.

    They look the same way, square to the line between them, so that a point is in the same row of
    both, and in the left one by focal length · baseline / depth further right. Bouguet's method.
    """

    def __init__(self, calibration: StereoCalibration) -> None:
        left, right = calibration.left, calibration.right
        right_from_left = inverse(calibration.left_from_right)
        turns_and_views = cv2.stereoRectify(
            left.matrix,
            _distortion(left),
            right.matrix,
            _distortion(right),
            (left.width_px, left.height_px),
            right_from_left[:3, :3],
            right_from_left[:3, 3:],
            flags=cv2.CALIB_ZERO_DISPARITY,
            alpha=-1,
        )[:4]
        left_turn, right_turn, left_view, right_view = (
            np.asarray(each, np.float64) for each in turns_and_views
        )
        self.camera = _pinhole(left, left_view)
        """Of both rectified pictures; the left one's centre is the left camera's."""
        self.baseline_m = float(-right_view[0, 3] / right_view[0, 0])
        self._left_maps = _maps(left, left_turn, left_view)
        self._right_maps = _maps(right, right_turn, right_view)
        self.left_seen = _inside(left, *self._left_maps)
        """(H, W) where the left camera sees what the rectified picture would show."""
        self.right_seen = _inside(right, *self._right_maps)
        """The same of the right one."""
        self.unturned = replace(left, distortion=())
        """The left camera, distortion taken out, as it looks."""
        self._turned_places, self._turned_z = _turned(self.unturned, self.camera, left_turn)

    @property
    def disparity_m_px(self) -> float:
        """Depth times disparity."""
        return self.camera.fx_px * self.baseline_m

    def rectify(
        self, left: NDArray[np.uint8], right: NDArray[np.uint8]
    ) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
        """Both pictures, (H, W) or (H, W, 3), rectified, in gray; RGB where in colour.

        Raises FrameError if one has another size than its camera.
        """
        return (
            self._resampled(left, "left", self._left_maps),
            self._resampled(right, "right", self._right_maps),
        )

    def unturn(self, depth_m: NDArray[np.float32]) -> NDArray[np.float32]:
        """(H, W) depth along +Z of the rectified left camera to that of `unturned`; 0 = none."""
        return self.unturn_image(depth_m) / self._turned_z

    def unturn_image(self, image: NDArray[_Pixel]) -> NDArray[_Pixel]:
        """(H, W) image of the rectified left camera as `unturned` sees it: the nearest pixels'.

        Both have one centre: which pixel shows what the other shows does not depend on depth.
        """
        places = self._turned_places
        return np.where(places < 0, image.dtype.type(0), image.ravel()[places])

    def _resampled(self, image: NDArray[np.uint8], side: str, maps: _Maps) -> NDArray[np.uint8]:
        shape = (self.camera.height_px, self.camera.width_px)
        if image.dtype != np.uint8 or image.shape not in (shape, (*shape, 3)):
            raise FrameError(
                f"{side} picture is {image.dtype} {image.shape}, must be uint8 {shape} or "
                f"{(*shape, 3)}"
            )
        if image.ndim == 3:
            image = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY).astype(np.uint8, copy=False)
        u_px, v_px = maps
        resampled = cv2.remap(image, u_px, v_px, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        return resampled.astype(np.uint8, copy=False)


def _distortion(camera: Camera) -> NDArray[np.float64]:
    return np.array(camera.distortion or (0, 0, 0, 0), np.float64)


def _pinhole(camera: Camera, view: NDArray[np.float64]) -> Camera:
    return Camera(camera.width_px, camera.height_px, view[0, 0], view[1, 1], view[0, 2], view[1, 2])


def _maps(camera: Camera, turn: NDArray[np.float64], view: NDArray[np.float64]) -> _Maps:
    """Where in a camera's picture each rectified pixel is."""
    size = (camera.width_px, camera.height_px)
    matrix, distortion = camera.matrix, _distortion(camera)
    u_px, v_px = cv2.initUndistortRectifyMap(matrix, distortion, turn, view, size, cv2.CV_32FC1)
    return u_px.astype(np.float32, copy=False), v_px.astype(np.float32, copy=False)


def _inside(
    camera: Camera, u_px: NDArray[np.float32], v_px: NDArray[np.float32]
) -> NDArray[np.bool_]:
    last_u, last_v = camera.width_px - 0.5, camera.height_px - 0.5
    return (u_px > -0.5) & (u_px < last_u) & (v_px > -0.5) & (v_px < last_v)


def _turned(
    unturned: Camera, rectified: Camera, rectified_from_left: NDArray[np.float64]
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """The rectified pixel of each of the left camera's, and that one's +Z per unit of depth.

    Pixels are counted row by row, −1 outside.
    """
    v, u = np.mgrid[: unturned.height_px, : unturned.width_px]
    rays = np.stack([u, v, np.ones_like(u)], -1) @ np.linalg.inv(unturned.matrix).T
    turned = rays @ rectified_from_left.T
    z = np.maximum(turned[..., 2], _NEAREST_Z)
    at_u, at_v = np.rint((turned @ rectified.matrix.T / z[..., None])[..., :2]).transpose(2, 0, 1)
    inside = (at_u >= 0) & (at_u < rectified.width_px) & (at_v >= 0) & (at_v < rectified.height_px)
    inside &= z > _NEAREST_Z
    places = np.where(inside, at_v * rectified.width_px + at_u, -1)
    return places.astype(np.int64), z.astype(np.float32)
