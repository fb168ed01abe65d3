"""Stereo pairs with measured disparities, and how well others agree with these."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from mapcast_client.errors import DependencyError, InputError

CONES_FOLDER = "stereo-cones"
BAD_PX = 2.0


@dataclass(frozen=True, slots=True, eq=False)
class StereoScene:
    """A rectified pair in gray, and the truth about its left picture."""

    name: str
    left: NDArray[np.uint8]
    right: NDArray[np.uint8]
    truth_px: NDArray[np.float32]
    """(H, W) disparity, 0 = unknown."""

    @property
    def known(self) -> NDArray[np.bool_]:
        """(H, W) where there is truth."""
        return self.truth_px > 0

    @property
    def visible(self) -> NDArray[np.bool_]:
        """(H, W) where the right picture shows the same, by the truth: nothing nearer is there."""
        height, width = self.truth_px.shape
        v, u = np.nonzero(self.known)
        disparity = self.truth_px[v, u]
        there = np.rint(u - disparity).astype(np.int64)
        inside = there >= 0
        v, u, there, disparity = v[inside], u[inside], there[inside], disparity[inside]
        nearest = np.zeros((height, width), np.float32)
        np.maximum.at(nearest, (v, there), disparity)
        visible = np.zeros((height, width), np.bool_)
        visible[v, u] = disparity >= nearest[v, there] - 1
        return visible


@dataclass(frozen=True, slots=True)
class Score:
    """How wrong disparities are, in per cent of pixels; none is wrong where it counts."""

    bad_visible: float
    """Of pixels with truth that both pictures show: wrong by more than 2 px, or none."""
    bad_known: float
    """The same of all pixels with truth."""
    bad_given: float
    """Wrong ones among those given, of the pixels that both pictures show."""
    density: float
    """Given ones, of all pixels with truth."""


def score(scene: StereoScene, disparity_px: NDArray[np.float32]) -> Score:
    """Hold (H, W) disparities, 0 = none, against the truth."""
    known, visible, given = scene.known, scene.visible, disparity_px > 0
    wrong = given & (np.abs(disparity_px - scene.truth_px) > BAD_PX)
    bad = wrong | ~given
    return Score(
        100 * float(bad[visible].mean()),
        100 * float(bad[known].mean()),
        100 * float(wrong[visible & given].mean()),
        100 * float(given[known].mean()),
    )


def scenes(data: Path) -> list[StereoScene]:
    """Middlebury's cones, in a folder of `data`, and the motorcycle that scikit-image brings.

    Raises InputError if the folder is not there, DependencyError without scikit-image.
    """
    return [_cones(data / CONES_FOLDER), _motorcycle()]


def _cones(folder: Path) -> StereoScene:
    left, right = (
        _read(folder / f"{side}.png", cv2.IMREAD_GRAYSCALE) for side in ("left", "right")
    )
    truth = _read(folder / "disp_left.tif", cv2.IMREAD_UNCHANGED)
    return StereoScene("cones", left, right, _known_or_zero(truth))


def _motorcycle() -> StereoScene:
    try:
        from skimage.data import stereo_motorcycle
    except ImportError as error:
        raise DependencyError(
            'the motorcycle needs scikit-image: pip install "mapcast[bench]"'
        ) from error
    left, right, truth = stereo_motorcycle()
    grays = [cv2.cvtColor(side, cv2.COLOR_RGB2GRAY) for side in (left, right)]
    return StereoScene("motorcycle", grays[0], grays[1], _known_or_zero(truth))


def _read(path: Path, flags: int) -> NDArray[Any]:
    logging = cv2.utils.logging
    level = logging.setLogLevel(logging.LOG_LEVEL_ERROR)  # it warns of tags in the truth's TIFF
    try:
        image = cv2.imread(str(path), flags)
    finally:
        logging.setLogLevel(level)
    if image is None:
        raise InputError(f"{path}: no picture there")
    return image


def _known_or_zero(truth: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.where(np.isfinite(truth), truth, 0).astype(np.float32)
