"""Depth from a network, aligned to the tracker's map points."""

import cv2
import numpy as np
from numpy.typing import NDArray

from fusion.depth.align import Alignment, align
from fusion.depth.description import NetworkDescription, Quantity
from fusion.depth.known import KnownDepth
from fusion.depth.prediction import Prediction
from fusion.depth.predictor import Predictor
from fusion.depth.source import DepthContext, EstimatedDepth, depth_camera
from slam.camera import Camera
from slam.frame import Frame

PLAIN_CONFIDENCE = 1
AGREED_CONFIDENCE = 2
"""Where map points nearby say the same."""

_AGREES_WITHIN = 0.08
"""Relative."""
_AGREEMENT_SIGMA_PX = 12.0
_LEAST_SUPPORT = 0.2
"""Of what one point contributes to its own pixel."""


class NetworkDepth:
    """Runs a depth network on each frame. Implements `DepthSource`."""

    def __init__(self, description: NetworkDescription, camera: Camera) -> None:
        """Load the network for frames of a pinhole camera. Raises DependencyError, InputError."""
        self._predictor = Predictor(description)
        self._camera = depth_camera(camera)
        # A description that does not fit fails here, not at a session's first frame; and the first
        # run, which is the slowest, is over.
        size = self._camera.width_px, self._camera.height_px
        self._predictor.predict(np.zeros((size[1], size[0], 3), np.uint8), *size)

    @property
    def camera(self) -> Camera:
        """The pinhole camera of the depth images."""
        return self._camera

    @property
    def quantity(self) -> Quantity:
        """What the network's output says about depth."""
        return self._predictor.description.quantity

    def depth(self, frame: Frame, context: DepthContext) -> EstimatedDepth | None:
        """Estimate a frame's depth; None where the map points do not tell its scale."""
        prediction = self.prediction(frame)
        points = KnownDepth.of_points(self._camera, context)
        alignment = self.align(prediction, points)
        if alignment is None:
            return None
        depth_m, tensor = prediction.depth(alignment)
        confidence = _confidence(depth_m, points)
        depth_m.flags.writeable = confidence.flags.writeable = False
        return EstimatedDepth(depth_m, confidence, tensor)

    def prediction(self, frame: Frame) -> Prediction:
        """What the network itself says of a frame, (h, w) of `camera`, in its own quantity."""
        return self._predictor.predict(frame.color, self._camera.width_px, self._camera.height_px)

    def align(self, prediction: Prediction, known: KnownDepth) -> Alignment | None:
        """Fit what `prediction` returned to known depths."""
        return align(prediction.at(known), known.depth_m, self.quantity)

    def metric_guess(self, frame: Frame) -> NDArray[np.float32] | None:
        """The network's own metres, (h, w) of `camera`, 0 = none; None if it does not give metres.

        Unaligned: right to a few tens of per cent at best, and often all wrong to one side.
        """
        if self.quantity is not Quantity.METRIC:
            return None
        prediction = self.prediction(frame).image()
        return np.where(np.isfinite(prediction) & (prediction > 0), prediction, np.float32(0))


def _confidence(depth_m: NDArray[np.float32], points: KnownDepth) -> NDArray[np.uint8]:
    """Higher where most of the map points nearby agree."""
    support, agreeing = np.zeros((2, *depth_m.shape), np.float32)
    agrees = np.abs(points.of(depth_m) / points.depth_m - 1) < _AGREES_WITHIN
    np.add.at(support, (points.v_px, points.u_px), 1)
    np.add.at(agreeing, (points.v_px, points.u_px), agrees.astype(np.float32))
    blurred, agreeing = (
        cv2.GaussianBlur(image, (0, 0), _AGREEMENT_SIGMA_PX) for image in (support, agreeing)
    )
    least = _LEAST_SUPPORT / (2 * np.pi * _AGREEMENT_SIGMA_PX**2)
    is_agreed = (blurred > least) & (agreeing > 0.5 * blurred)
    confidence = np.where(is_agreed, AGREED_CONFIDENCE, PLAIN_CONFIDENCE)
    return np.where(depth_m > 0, confidence, 0).astype(np.uint8)
