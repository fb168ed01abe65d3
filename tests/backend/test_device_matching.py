"""Matching on devices: the CPU's nearest and next, to the last bit."""

from collections.abc import Callable, Iterator

import cv2
import numpy as np
import pytest

from gpu.backend import Backend, DeviceMemoryError
from gpu.matching import ORB_BYTES, SIFT_BYTES, match, nearest

MAX_RATIO = 0.8


@pytest.fixture(autouse=True)
def _nothing_left(backend: Backend) -> Iterator[None]:
    before = backend.memory().used_bytes
    yield
    assert backend.memory().used_bytes == before


def require_equal(backend: Backend, first, second) -> None:
    found, expected = nearest(first, second, backend), nearest(first, second)
    for name in ("index", "distance", "next_distance", "back"):
        np.testing.assert_array_equal(getattr(found, name), getattr(expected, name), name)
        assert getattr(found, name).dtype == np.int32
    np.testing.assert_array_equal(
        match(first, second, MAX_RATIO, backend), match(first, second, MAX_RATIO)
    )


@pytest.mark.parametrize("length", [ORB_BYTES, SIFT_BYTES])
@pytest.mark.parametrize(
    ("first", "second"),
    [
        (1, 1),
        (1, 2),
        (65, 33),  # one more than a group's, one more than a tile
        (64, 1000),  # several shares, the last one shorter
        (300, 513),
    ],
)
def test_nearest_and_next_are_those_of_the_cpu(backend: Backend, length, first, second) -> None:
    for levels in (2, 256):  # few levels: many are as near as others
        rng = np.random.default_rng(levels)
        descriptors = rng.integers(0, levels, (first + second, length)).astype(np.uint8)
        descriptors[rng.integers(0, first + second, second // 2)] = descriptors[0]
        require_equal(backend, descriptors[:first], descriptors[first:])


def test_the_farthest_bytes_are_exact(backend: Backend) -> None:
    black, white = np.zeros((3, SIFT_BYTES), np.uint8), np.full((2, SIFT_BYTES), 255, np.uint8)
    require_equal(backend, black, white)
    require_equal(backend, black[:, :ORB_BYTES], white[:, :ORB_BYTES])
    assert nearest(black, white, backend).distance.tolist() == [128 * 255**2] * 3


def test_real_features_match_as_on_the_cpu(backend: Backend, data) -> None:
    left, right = (
        cv2.imread(str(data / "stereo-cones" / f"{name}.png"), cv2.IMREAD_GRAYSCALE)
        for name in ("left", "right")
    )
    cv2.ocl.setUseOpenCL(False)  # ORB asks OpenCL's loader, which then knows no PoCL of PyPI's
    for kind in (cv2.ORB.create(1000), cv2.SIFT.create(500)):
        first, second = (kind.detectAndCompute(picture, None)[1] for picture in (left, right))
        require_equal(backend, first, second)
        assert len(match(first, second, MAX_RATIO, backend)) > 100


def test_nothing_needs_no_device(backend: Backend) -> None:
    none, some = np.empty((0, ORB_BYTES), np.uint8), np.zeros((3, ORB_BYTES), np.uint8)
    assert match(none, some, MAX_RATIO, backend).shape == (0, 2)
    assert match(some, none, MAX_RATIO, backend).shape == (0, 2)


@pytest.mark.parametrize("limit_bytes", [1000, 7000, 13_000])
def test_a_device_without_room_says_so_and_keeps_nothing(
    limited_backend: Callable[[int], Backend], limit_bytes: int
) -> None:
    limited = limited_backend(limit_bytes)
    some = np.zeros((200, ORB_BYTES), np.uint8)
    with pytest.raises(DeviceMemoryError, match=f"limit {limit_bytes}"):
        match(some, some, MAX_RATIO, limited)
    assert limited.memory().used_bytes == 0
