"""What refinement keeps of a keyframe: its features, their depths, and what its picture is like."""

from dataclasses import dataclass

import numpy as np
import pycolmap
from numpy.typing import NDArray

from slam.frame import DepthImage
from slam.refine_messages import Picture

_MAX_FEATURES = 2000
_PEAK_THRESHOLD = 0.004
"""Of COLMAP's 0.0067 by default: dim rooms have little contrast."""
_FARTHEST_M = 8.0
_REACH_PX = 2
"""A feature's depth is the median of the window of so many pixels around it."""
_FEWEST_DEPTHS = 15
_MAX_SPREAD = 0.04
"""Over the depth: more, and the feature is at the edge of something."""
_DESCRIPTOR_BYTES = 128
DESCRIPTOR_LENGTH = 512.0
"""Each is a unit vector times this, rounded."""
_WORDS = 64


@dataclass(frozen=True, slots=True)
class Features:
    """The features of one keyframe; row i of each array is feature i."""

    points_px: NDArray[np.float64]
    """(N, 2) in COLMAP's pixels: the centre of the first one is (0.5, 0.5)."""
    descriptors: NDArray[np.uint8]
    """(N, 128) RootSIFT (Arandjelović and Zisserman 2012), `DESCRIPTOR_LENGTH` long."""
    depths: NDArray[np.float64]
    """(N,) along +Z; 0: not known. Metres of a sensor, or the world's unit as triangulated."""
    is_sensed: bool
    """Whether a sensor measured them."""
    likeness: NDArray[np.float32]
    """Unit vector; the scalar product of two says how alike their pictures are."""

    @property
    def sensed_m(self) -> NDArray[np.float64]:
        """(N,) depths that a sensor measured; 0: not known."""
        return self.depths if self.is_sensed else np.zeros_like(self.depths)


class FeatureExtractor:
    """SIFT on one core, without enlarging the picture: a tenth of a second."""

    def __init__(self) -> None:
        options = pycolmap.FeatureExtractionOptions(use_gpu=False, num_threads=1)
        options.sift.first_octave = 0
        options.sift.max_num_features = _MAX_FEATURES
        options.sift.peak_threshold = _PEAK_THRESHOLD
        self._sift = pycolmap.FeatureExtractor.create(options, pycolmap.Device.cpu)
        self._words: NDArray[np.float32] | None = None

    def extract(self, picture: Picture) -> Features:
        """Find a picture's features."""
        keypoints, found = self._sift.extract_from_uint8_array(np.ascontiguousarray(picture.gray))
        points_px = pycolmap.keypoints_to_matrix(keypoints)[:, :2].astype(np.float64).reshape(-1, 2)
        descriptors = np.array(found.data, np.uint8).reshape(-1, _DESCRIPTOR_BYTES)
        depths = np.zeros(len(points_px))
        if picture.depth is not None:
            depths = feature_depths(picture.depth, picture.depth_scale_m, points_px)
        return Features(
            points_px,
            descriptors,
            depths,
            picture.depth is not None,
            self._likeness(_directions(descriptors)),
        )

    def _likeness(self, descriptors: NDArray[np.float32]) -> NDArray[np.float32]:
        """VLAD (Jégou et al. 2010); the words are features of the first picture that has enough."""
        if self._words is None and len(descriptors) >= _WORDS:
            rng = np.random.default_rng(0)
            self._words = descriptors[rng.choice(len(descriptors), _WORDS, replace=False)]
        if self._words is None:
            return np.zeros(_WORDS * _DESCRIPTOR_BYTES, np.float32)
        word = (descriptors @ self._words.T).argmax(axis=1)
        sums = np.zeros((_WORDS, descriptors.shape[1]), np.float32)
        np.add.at(sums, word, descriptors - self._words[word])
        sums /= np.maximum(np.linalg.norm(sums, axis=1, keepdims=True), 1e-6)
        vlad = sums.ravel()
        return np.asarray(vlad / max(float(np.linalg.norm(vlad)), 1e-6), np.float32)


def _directions(descriptors: NDArray[np.uint8]) -> NDArray[np.float32]:
    floats = descriptors.astype(np.float32)
    floats /= np.maximum(np.linalg.norm(floats, axis=1, keepdims=True), 1e-6)
    return floats


def feature_depths(
    depth: DepthImage, depth_scale_m: float, points_px: NDArray[np.float64]
) -> NDArray[np.float64]:
    """(N,) metres at (N, 2) features; 0 where there is too little depth or an edge."""
    height, width = depth.shape
    column, row = (points_px - 0.5).round().astype(np.int64).T
    reach = np.arange(-_REACH_PX, _REACH_PX + 1)
    rows = np.clip(row[:, None, None] + reach[:, None], 0, height - 1)
    columns = np.clip(column[:, None, None] + reach, 0, width - 1)
    window_m = depth[rows, columns].reshape(len(points_px), reach.size**2) * float(depth_scale_m)
    is_valid = (window_m > 0) & (window_m < _FARTHEST_M)
    count = is_valid.sum(axis=1)
    ordered_m = np.sort(np.where(is_valid, window_m, np.inf), axis=1)

    def quantile_m(part: float) -> NDArray[np.float64]:
        at = np.maximum(((count - 1) * part).round().astype(np.int64), 0)
        return np.take_along_axis(ordered_m, at[:, None], axis=1)[:, 0]

    known = count >= _FEWEST_DEPTHS
    median_m = np.where(known, quantile_m(0.5), 1.0)
    spread_m = np.where(known, quantile_m(0.9), 1.0) - np.where(known, quantile_m(0.1), 1.0)
    return np.where(known & (spread_m < _MAX_SPREAD * median_m), median_m, 0.0)
