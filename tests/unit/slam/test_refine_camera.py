from dataclasses import replace

import numpy as np
import pytest

from slam.camera import Camera
from slam.frame import Frame
from slam.rectify import Rectifier
from slam.refine_camera import is_news, refocused

GIVEN = Camera(64, 48, 50.0, 52.0, 31.0, 24.0, (0.2, -0.1, 0.01, -0.02, 0.05))


def test_another_focal_length_leaves_the_rectified_pictures() -> None:
    color = np.random.default_rng(0).integers(0, 256, (48, 64, 3), np.uint8)
    frame = Frame(0, 0, color, None, 1.0)
    found = refocused(GIVEN, 1.1 * GIVEN.fx_px, 1.1 * GIVEN.fy_px)

    before, after = (Rectifier(camera).rectify(frame).color for camera in (GIVEN, found))

    assert (before != color).any()
    assert (before == after).all()


def test_without_distortion_there_is_none() -> None:
    plain = replace(GIVEN, distortion=())
    assert refocused(plain, 60.0, 61.0) == replace(plain, fx_px=60.0, fy_px=61.0)


@pytest.mark.parametrize(("fx_px", "fy_px", "news"), [(50.05, 52, False), (50, 52.2, True)])
def test_news_is_what_differs_by_more_than_estimates_scatter(
    fx_px: float, fy_px: float, news: bool
) -> None:
    assert is_news(refocused(GIVEN, fx_px, fy_px), GIVEN) is news
