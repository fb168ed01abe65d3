"""One decoded frame, and the check that it fits its session."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mapcast_client.errors import FrameError
from slam.camera import Camera
from slam.geometry import Mat4

DepthImage = NDArray[np.uint16] | NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Frame:
    """A colour image, with or without depth, at one instant; the arrays are read-only."""

    index: int
    capture_ns: int
    color: NDArray[np.uint8]
    """(H, W, 3) sRGB."""
    depth: DepthImage | None = None
    """(H, W) along +Z, 0 = invalid: sensor units (uint16) or metres (float32); None: monocular."""
    depth_scale_m: float = 1.0
    """Metres per unit of `depth`; 1.0 for float32."""
    world_from_camera: Mat4 | None = None
    """The sender's own pose, when the session's poses are given."""
    confidence: NDArray[np.uint8] | None = None
    """(H, W) how many observations each depth counts for; None: one everywhere."""
    depth_tensor: Any = None
    """`depth`, bit for bit, where a network computed it: a tensor that DLPack can share."""


def time_goes_back(index: int, capture_ns: int, last_ns: int) -> str:
    """What is wrong with a frame that is not later than the last one."""
    return (
        f"frame {index}: capture_ns is {capture_ns}, must be greater than {last_ns}, "
        "the last frame's: time goes back"
    )


class FrameGate:
    """Admits frames that fit the camera and come later than the last one it admitted."""

    def __init__(self, camera: Camera, needs_depth: bool = True) -> None:
        self._shape = (camera.height_px, camera.width_px)
        self._needs_depth = needs_depth
        self._last_ns: int | None = None

    def admit(self, frame: Frame) -> None:
        """Raise FrameError if a tracker must not see the frame."""
        self._require_image(frame, "colour", frame.color, (*self._shape, 3), (np.uint8,))
        if frame.depth is not None:
            self._require_image(frame, "depth", frame.depth, self._shape, (np.uint16, np.float32))
        elif self._needs_depth:
            raise FrameError(f"frame {frame.index} has no depth, which RGB-D tracking needs")
        if not (np.isfinite(frame.depth_scale_m) and frame.depth_scale_m > 0):
            raise FrameError(
                f"frame {frame.index}: depth_scale_m is {frame.depth_scale_m}, must be positive"
            )
        if self._last_ns is not None and frame.capture_ns <= self._last_ns:
            raise FrameError(time_goes_back(frame.index, frame.capture_ns, self._last_ns))
        self._last_ns = frame.capture_ns

    def admit_after(self, capture_ns: int) -> None:
        """Admit only frames that come later than one that another gate admitted."""
        self._last_ns = capture_ns

    @staticmethod
    def _require_image(
        frame: Frame,
        what: str,
        image: NDArray[np.generic],
        shape: tuple[int, ...],
        dtypes: tuple[type[np.generic], ...],
    ) -> None:
        if image.shape != shape:
            raise FrameError(
                f"frame {frame.index}: {what} image has shape {image.shape}, must be {shape}"
            )
        if image.dtype not in dtypes:
            allowed = " or ".join(dtype.__name__ for dtype in dtypes)
            raise FrameError(
                f"frame {frame.index}: {what} image is {image.dtype}, must be {allowed}"
            )
