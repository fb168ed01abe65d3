"""OpenCV's semi-global block matching, tuned: the peer of our stereo."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product

import cv2
import numpy as np
from numpy.typing import NDArray

from clients.cli.bench.stereo_scenes import Score, StereoScene, score

DISPARITIES = 64


@dataclass(frozen=True, slots=True)
class SgbmSettings:
    """One way to set it up."""

    block_px: int = 5
    small_penalty: int = 8
    """P1 and P2 per pixel of a block, as OpenCV's documentation counts them."""
    large_penalty: int = 32
    mode: int = cv2.STEREO_SGBM_MODE_SGBM
    uniqueness: int = 10
    """Per cent."""
    difference_max_px: int = 1
    speckle_px: int = 100
    margin_px: int = 0
    """Columns added at the left, without which it says nothing of the first `DISPARITIES`."""

    def disparities(self, left: NDArray[np.uint8], right: NDArray[np.uint8]) -> NDArray[np.float32]:
        """(H, W) px, 0 = none."""
        matcher = cv2.StereoSGBM.create(
            minDisparity=0,
            numDisparities=DISPARITIES,
            blockSize=self.block_px,
            P1=self.small_penalty * self.block_px**2,
            P2=self.large_penalty * self.block_px**2,
            disp12MaxDiff=self.difference_max_px,
            preFilterCap=63,
            uniquenessRatio=self.uniqueness,
            speckleWindowSize=self.speckle_px,
            speckleRange=1,
            mode=self.mode,
        )
        sides = [
            cv2.copyMakeBorder(side, 0, 0, self.margin_px, 0, cv2.BORDER_REPLICATE)
            for side in (left, right)
        ]
        found = np.asarray(matcher.compute(*sides))[:, self.margin_px :]
        return np.asarray(np.maximum(found / np.float32(16), 0), np.float32)


def as_it_comes() -> SgbmSettings:
    """As its documentation advises, and without a margin."""
    return SgbmSettings()


def tuned(scene: StereoScene) -> tuple[SgbmSettings, Score]:
    """The best of many settings on just this scene, by the pixels that both pictures show."""
    scored = [(each, score(scene, each.disparities(scene.left, scene.right))) for each in _all()]
    return min(scored, key=lambda each: each[1].bad_visible)


def _all() -> Iterator[SgbmSettings]:
    """Found worth trying in a search of 480; all with a margin."""
    modes = (cv2.STEREO_SGBM_MODE_HH, cv2.STEREO_SGBM_MODE_SGBM_3WAY)
    penalties = ((8, 32), (4, 24), (8, 96))
    checks = ((0, 2, 0), (0, 1, 100), (10, 1, 100))
    for block_px, (small, large), mode, (uniqueness, difference_px, speckle_px) in product(
        (1, 3, 5), penalties, modes, checks
    ):
        yield SgbmSettings(
            block_px, small, large, mode, uniqueness, difference_px, speckle_px, DISPARITIES
        )
