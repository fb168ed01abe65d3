"""Stereo on devices: the CPU's disparities, to the last bit."""

from collections.abc import Callable, Iterator

import cv2
import numpy as np
import pytest

from fusion.depth.rectified_pair import StereoCalibration
from fusion.depth.stereo import StereoDepth
from gpu.backend import Backend, DeviceMemoryError
from gpu.stereo import StereoMatcher
from gpu.stereo_search import MatchSettings
from slam.camera import Camera
from slam.geometry import rigid


@pytest.fixture(autouse=True)
def _nothing_left(backend: Backend) -> Iterator[None]:
    before = backend.memory().used_bytes
    yield
    assert backend.memory().used_bytes == before


def pictures(height: int, width: int, seed: int = 1):
    """Two noisy pictures of a texture, near in its middle."""
    rng = np.random.default_rng(seed)
    texture = cv2.GaussianBlur(rng.random((height, width + 64)), (0, 0), 1.2)
    texture = 128 + 45 * (texture - texture.mean()) / texture.std()
    left = texture[:, 32 : 32 + width].copy()
    right = texture[:, 36 : 36 + width].copy()
    middle = slice(height // 4, 3 * height // 4), slice(width // 4, width // 2)
    right[middle] = np.roll(left, -11, axis=1)[middle]
    return [
        np.clip(side + rng.normal(0, 2, side.shape), 0, 255).astype(np.uint8)
        for side in (left, right)
    ]


def require_equal(settings: MatchSettings, backend: Backend, left, right) -> None:
    expected = StereoMatcher(settings).search(left, right)
    matcher = StereoMatcher(settings, backend)
    found = matcher.search(left, right)
    matcher.close()
    for name in ("disparity", "least", "margin", "difference_px"):
        np.testing.assert_array_equal(getattr(found, name), getattr(expected, name), name)
        assert getattr(found, name).dtype == getattr(expected, name).dtype
    assert len(np.unique(expected.disparity)) > 8


@pytest.mark.parametrize(
    ("height", "width", "disparities"),
    [
        (48, 70, 32),  # lines that do not fill a group, images that do not fill a word
        (33, 51, 16),  # fewer quads than parts
        (61, 37, 36),  # higher than wide, and quads that parts cannot share evenly
        (9, 203, 256),  # as many as there may be, and more than some lines are long
        (1, 90, 20),  # one row
    ],
)
def test_a_device_finds_what_the_cpu_finds(
    backend: Backend, height: int, width: int, disparities: int
) -> None:
    require_equal(MatchSettings(disparities=disparities), backend, *pictures(height, width))


def test_the_largest_penalties_do_not_overflow(backend: Backend) -> None:
    settings = MatchSettings(disparities=32, small_penalty=4000, large_penalty=8127)
    left, right = pictures(30, 60)
    noise = np.random.default_rng(2).integers(0, 256, right.shape, np.uint8)
    expected = StereoMatcher(settings).search(left, noise)
    matcher = StereoMatcher(settings, backend)
    found = matcher.search(left, noise)
    matcher.close()
    np.testing.assert_array_equal(found.disparity, expected.disparity)
    np.testing.assert_array_equal(found.least, expected.least)
    np.testing.assert_array_equal(found.margin, expected.margin)


def test_the_same_after_pictures_of_another_size(backend: Backend) -> None:
    settings = MatchSettings(disparities=16)
    matcher = StereoMatcher(settings, backend)
    for height, width in ((20, 40), (40, 20), (20, 40)):
        left, right = pictures(height, width)
        found, expected = matcher.match(left, right), StereoMatcher(settings).match(left, right)
        np.testing.assert_array_equal(found.disparity_px, expected.disparity_px)
        np.testing.assert_array_equal(found.uniqueness, expected.uniqueness)
    matcher.close()


def test_cones_match_as_on_the_cpu(backend: Backend, data) -> None:
    names = ("left", "right")
    left, right = (
        cv2.imread(str(data / "stereo-cones" / f"{name}.png"), cv2.IMREAD_GRAYSCALE)
        for name in names
    )
    require_equal(MatchSettings(), backend, left[60:260], right[60:260])


def test_depth_from_a_device_is_the_cpus(backend: Backend) -> None:
    camera = Camera(160, 120, 150.0, 150.0, 79.5, 59.5)
    left_from_right = rigid(np.eye(3), np.array([0.1, 0.0, 0.0]))
    calibration = StereoCalibration(camera, camera, left_from_right)
    left, right = pictures(120, 160)
    source = StereoDepth(calibration, backend=backend)
    found, expected = source.measure(left, right), StereoDepth(calibration).measure(left, right)
    source.close()
    np.testing.assert_array_equal(found.depth_m, expected.depth_m)
    np.testing.assert_array_equal(found.confidence, expected.confidence)
    assert (found.confidence > 0).mean() > 0.5


def test_a_device_without_room_says_so_and_keeps_nothing(
    limited_backend: Callable[[int], Backend],
) -> None:
    small = limited_backend(200_000)
    matcher = StereoMatcher(MatchSettings(disparities=32), small)
    with pytest.raises(DeviceMemoryError):
        matcher.search(*pictures(60, 80))
    matcher.close()
    assert small.memory().used_bytes == 0
