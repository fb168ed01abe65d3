"""A camera's model when nothing but the size of its images is known."""

import math

from slam.camera import Camera

LONG_SIDE_FIELD_OF_VIEW_DEG = 65.0
"""Across the longer side of the image.

A phone's main camera is a 24 to 28 mm lens by the 36 mm film of its specification, 74 to 65°;
video stabilisation crops a tenth and more of that away. Webcams have 78° (Logitech C920) and less,
across the diagonal: 70° and less across a 16:9 image.
"""


def guess_camera(width_px: int, height_px: int) -> Camera:
    """A pinhole of a typical field of view, without distortion, its axis through the centre.

    The focal length may be wrong by a tenth: depth and scale along the axis are, then, by as much.
    A better camera (from bundle adjustment over the session's keyframes) takes effect as any other
    does: it replaces this one in a new map. Raises InputError if the size is none.
    """
    long_side_px = max(width_px, height_px)
    focal_px = long_side_px / 2 / math.tan(math.radians(LONG_SIDE_FIELD_OF_VIEW_DEG / 2))
    return Camera(width_px, height_px, focal_px, focal_px, (width_px - 1) / 2, (height_px - 1) / 2)
