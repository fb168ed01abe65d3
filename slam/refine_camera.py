"""The camera that an adjustment found, as that of the frames before they were rectified."""

import math
from dataclasses import replace

from slam.camera import Camera

_NEWS = 0.002
"""Of the focal length: estimates of the same camera from other keyframes scatter by as much."""


def refocused(camera: Camera, fx_px: float, fy_px: float) -> Camera:
    """A camera with other focal lengths, and the distortion that leaves its rectified pictures.

    With s = f'/f and x' = x/s, f (x + k1 x r² + p …) = f' (x' + k1 s² x' r'² + p s …), so that
    k1 k2 k3 go by s² s⁴ s⁶ and p1 p2 by s; exactly, where both focal lengths change alike.
    """
    s = math.sqrt(fx_px / camera.fx_px * fy_px / camera.fy_px)
    powers = (s**2, s**4, s, s, s**6)
    distortion = tuple(term * power for term, power in zip(camera.distortion, powers, strict=False))
    return replace(camera, fx_px=fx_px, fy_px=fy_px, distortion=distortion)


def is_news(camera: Camera, known: Camera) -> bool:
    """Whether focal lengths differ by more than they are known to."""
    changes = camera.fx_px / known.fx_px - 1, camera.fy_px / known.fy_px - 1
    return max(map(abs, changes)) > _NEWS
