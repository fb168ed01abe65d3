"""One decoded frame."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from slam.geometry import Mat4


@dataclass(frozen=True, slots=True)
class Frame:
    """An RGB-D image pair at one instant; the arrays are read-only."""

    index: int
    capture_ns: int
    color: NDArray[np.uint8]
    """(H, W, 3) sRGB."""
    depth: NDArray[np.uint16] | NDArray[np.float32]
    """(H, W) along +Z, 0 = invalid: sensor units (uint16) or metres (float32)."""
    depth_scale_m: float
    """Metres per unit of `depth`; 1.0 for float32."""
    world_from_camera: Mat4 | None = None
    """The sender's own pose, when the session's poses are given."""
