"""Motion stereo where it answers; a network, bent to meet it, in its holes."""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from fusion.depth.known import KnownDepth
from fusion.depth.network import PLAIN_CONFIDENCE, NetworkDepth
from fusion.depth.prediction import without_edges
from fusion.depth.source import DepthContext, DepthSource, EstimatedDepth
from slam.camera import Camera
from slam.frame import Frame

_ALIGNING_PIXELS = 600
_FIELD_SCALE = 4
"""The scale field's pixels are so many of the depth image's wide."""
_FIELD_SIGMAS_PX = (1.0, 2.0, 4.0, 8.0, 16.0, 32.0)
_FIELD_DECAY = 0.5
"""Weight of each wider Gaussian relative to the one before: near pixels decide."""
_LARGEST_RATIO = 1.5
"""What is further off is another surface."""
_POINT_WEIGHT = 100.0
"""Of a map point, where a stereo pixel has its confidence: beside a hole stereo errs most."""


class FusedDepth:
    """Fills what stereo left open. Implements `DepthSource`."""

    def __init__(self, stereo: DepthSource, network: NetworkDepth) -> None:
        """Both sources must be made for the same frames."""
        self._stereo = stereo
        self._network = network

    @property
    def camera(self) -> Camera:
        """The pinhole camera of the depth images."""
        return self._stereo.camera

    def metric_guess(self, frame: Frame) -> NDArray[np.float32] | None:
        """The network's own metres: see `NetworkDepth.metric_guess`."""
        return self._network.metric_guess(frame)

    def depth(self, frame: Frame, context: DepthContext) -> EstimatedDepth | None:
        """Stereo's depth, filled; the network's alone where stereo says nothing, or None."""
        measured = self._stereo.depth(frame, context)
        if measured is None:
            return self._network.depth(frame, context)
        prediction = self._network.prediction(frame)
        points = KnownDepth.of_points(self.camera, context)
        pixels = KnownDepth.of_image(measured.depth_m, _ALIGNING_PIXELS)
        alignment = self._network.align(prediction, pixels + points)
        if alignment is None:
            return measured
        return filled(measured, alignment.depth_m(prediction.image()), points)


def filled(
    measured: EstimatedDepth, guess_m: NDArray[np.float32], points: KnownDepth
) -> EstimatedDepth:
    """Measured depth, and in its holes the guess, scaled to meet what is measured around them.

    The scale is the measured over the guessed depth, interpolated smoothly from pixels and points.
    """
    scale = _scale_field(measured, guess_m, points)
    is_hole = measured.depth_m == 0
    fill = np.where(is_hole, without_edges(guess_m * scale), np.float32(0))
    depth_m = measured.depth_m + fill
    confidence = measured.confidence + (fill > 0) * np.uint8(PLAIN_CONFIDENCE)
    depth_m.flags.writeable = confidence.flags.writeable = False
    return EstimatedDepth(depth_m, confidence)


@dataclass(frozen=True, slots=True)
class _Ratios:
    """Known over guessed depth, as logarithms times weights, and the weights; (h, w)."""

    weighted: NDArray[np.float32]
    weights: NDArray[np.float32]


def _scale_field(
    measured: EstimatedDepth, guess_m: NDArray[np.float32], points: KnownDepth
) -> NDArray[np.float32]:
    """(h, w) normalised convolution (Knutsson & Westin 1993) of the ratios.

    The kernel is a sum of Gaussians: sharp near a measured pixel, so that the seam is continuous,
    wide enough to reach across any hole.
    """
    ratios = _ratios(measured, guess_m, points)
    height_px, width_px = guess_m.shape
    size = (-(-width_px // _FIELD_SCALE), -(-height_px // _FIELD_SCALE))
    weighted, weights = (
        cv2.resize(image, size, interpolation=cv2.INTER_AREA)
        for image in (ratios.weighted, ratios.weights)
    )
    sum_weighted, sum_weights = np.zeros((2, *weights.shape), np.float32)
    for step, sigma_px in enumerate(_FIELD_SIGMAS_PX):
        share = np.float32(_FIELD_DECAY**step)
        sum_weighted += share * cv2.GaussianBlur(weighted, (0, 0), sigma_px)
        sum_weights += share * cv2.GaussianBlur(weights, (0, 0), sigma_px)
    field = sum_weighted / np.maximum(sum_weights, np.finfo(np.float32).tiny)
    smooth = cv2.resize(field, (width_px, height_px), interpolation=cv2.INTER_LINEAR)
    scale: NDArray[np.float32] = np.exp(smooth).astype(np.float32, copy=False)
    return scale


def _ratios(measured: EstimatedDepth, guess_m: NDArray[np.float32], points: KnownDepth) -> _Ratios:
    weights = np.where(guess_m > 0, measured.confidence, 0).astype(np.float32)
    weighted = weights * _log_ratio(measured.depth_m, guess_m)
    guessed_m = points.of(guess_m)
    point_weights = np.where(guessed_m > 0, np.float32(_POINT_WEIGHT), np.float32(0))
    at = (points.v_px, points.u_px)
    np.add.at(weights, at, point_weights)
    np.add.at(weighted, at, point_weights * _log_ratio(points.depth_m, guessed_m))
    return _Ratios(weighted, weights)


def _log_ratio(known_m: NDArray[np.float32], guess_m: NDArray[np.float32]) -> NDArray[np.float32]:
    """ln(known / guess), limited; 0 where either is unknown."""
    is_known = (known_m > 0) & (guess_m > 0)
    ratio = np.where(is_known, known_m, 1) / np.where(is_known, guess_m, 1)
    limited: NDArray[np.float32] = np.clip(
        np.log(ratio, dtype=np.float32), -np.log(_LARGEST_RATIO), np.log(_LARGEST_RATIO)
    )
    return limited
