"""What a network says of a picture, pixel by pixel of the depth camera."""

from dataclasses import dataclass
from typing import Any, Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from fusion.depth.align import Alignment
from fusion.depth.known import KnownDepth

EDGE_RATIO = 1.15
"""Far over near in 3 × 3 pixels: between two surfaces, where interpolated depth is neither's."""


@dataclass(frozen=True, slots=True)
class Placement:
    """How a network's output lies on the image that is wanted of it."""

    width_px: int
    height_px: int
    """Of the image."""
    share_u: float
    share_v: float
    """Of the output's sides that the picture fills, from the first pixel on: then comes padding."""

    def scale(self, output_height_px: int, output_width_px: int) -> tuple[float, float]:
        """Pixels of the output, to the right and down, per pixel of the image.

        Centres are at integers, as `depth_camera` has it: u' = (u + ½) · s − ½.
        """
        return (
            output_width_px * self.share_u / self.width_px,
            output_height_px * self.share_v / self.height_px,
        )


class Prediction(Protocol):
    """(h, w) of what a network says, in its own quantity. It stays where the network runs.

    Bilinear between the network's own pixels: guiding that by the picture's edges made no depth
    better.
    """

    def image(self) -> NDArray[np.float32]:
        """(h, w) in main memory."""

    def at(self, known: KnownDepth) -> NDArray[np.float32]:
        """(N,) at some pixels."""

    def depth(self, alignment: Alignment) -> tuple[NDArray[np.float32], Any]:
        """(h, w) depth in the map's unit; 0 where it cannot be believed, and between surfaces.

        In main memory; then the same as a tensor where the network runs, or None.
        """


class HostPrediction:
    """What a network said whose output comes to main memory. Implements `Prediction`."""

    def __init__(self, output: NDArray[np.float32], placement: Placement) -> None:
        """Take a network's (h', w')."""
        scale_u, scale_v = placement.scale(*output.shape)
        output_from_image = np.array(
            [[scale_u, 0, (scale_u - 1) / 2], [0, scale_v, (scale_v - 1) / 2]]
        )
        self._image = cv2.warpAffine(
            output,
            output_from_image,
            (placement.width_px, placement.height_px),
            flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
            borderMode=cv2.BORDER_REPLICATE,
        ).astype(np.float32, copy=False)

    def image(self) -> NDArray[np.float32]:
        """(h, w) in main memory."""
        return self._image

    def at(self, known: KnownDepth) -> NDArray[np.float32]:
        """(N,) at some pixels."""
        return known.of(self._image)

    def depth(self, alignment: Alignment) -> tuple[NDArray[np.float32], None]:
        """(h, w) depth in the map's unit: see `Prediction`."""
        return without_edges(alignment.depth_m(self._image)), None


def without_edges(depth_m: NDArray[np.float32]) -> NDArray[np.float32]:
    """The depth image without the pixels between two surfaces."""
    window = np.ones((3, 3), np.uint8)
    far = cv2.dilate(depth_m, window)
    near = cv2.erode(np.where(depth_m > 0, depth_m, far.max()), window)
    return np.where(far <= EDGE_RATIO * near, depth_m, np.float32(0))
