"""Feature matching against OpenCV's brute force."""

from collections.abc import Iterator

import cv2
import numba
import numpy as np
import pytest

from gpu.kernels.match import FARTHEST
from gpu.matching import ORB_BYTES, SIFT_BYTES, match, nearest
from mapcast_client.errors import InputError

MAX_RATIO = 0.8
NORMS = {ORB_BYTES: cv2.NORM_HAMMING, SIFT_BYTES: cv2.NORM_L2}


@pytest.fixture(params=[1, 2], ids=["one thread", "two threads"])
def threads(request: pytest.FixtureRequest) -> Iterator[int]:
    before = numba.get_num_threads()
    numba.set_num_threads(min(request.param, before))
    yield request.param
    numba.set_num_threads(before)


def alike(count: int, length: int, levels: int, seed: int) -> np.ndarray:
    """Random descriptors; with few levels, many are as far from each other as others, or equal."""
    rng = np.random.default_rng(seed)
    descriptors = rng.integers(0, levels, (count, length)).astype(np.uint8)
    descriptors[rng.integers(0, count, count // 4)] = descriptors[0]
    return descriptors


def opencv_matches(first, second) -> list[list[int]]:
    matcher = cv2.BFMatcher(NORMS[first.shape[1]])
    back = [found.trainIdx for found in matcher.match(second, first)]
    return [
        [best.queryIdx, best.trainIdx]
        for best, following in matcher.knnMatch(first, second, 2)
        if best.distance < MAX_RATIO * following.distance and back[best.trainIdx] == best.queryIdx
    ]


def require_as_opencv(first, second) -> None:
    length = first.shape[1]
    asked = [each if length == ORB_BYTES else each.astype(np.float32) for each in (first, second)]
    matcher = cv2.BFMatcher(NORMS[length])
    pairs = matcher.knnMatch(*asked, 2)
    found = nearest(first, second)
    np.testing.assert_array_equal(found.index, [pair[0].trainIdx for pair in pairs])
    np.testing.assert_array_equal(
        found.back, [each.trainIdx for each in matcher.match(*asked[::-1])]
    )
    for place, distances in enumerate((found.distance, found.next_distance)):
        lengths = distances if length == ORB_BYTES else np.sqrt(distances.astype(np.float32))
        np.testing.assert_array_equal(lengths, [np.float32(pair[place].distance) for pair in pairs])
    assert match(first, second, MAX_RATIO).tolist() == opencv_matches(*asked)


@pytest.mark.parametrize("length", [ORB_BYTES, SIFT_BYTES])
@pytest.mark.parametrize("levels", [2, 256])
@pytest.mark.parametrize(("first", "second"), [(1, 2), (3, 256), (700, 257), (260, 1000)])
def test_finds_what_opencv_finds_ties_included(length, levels, first, second, threads) -> None:
    require_as_opencv(alike(first, length, levels, 1), alike(second, length, levels, 2))


def test_copies_among_others_are_matched(threads) -> None:
    rng = np.random.default_rng(5)
    for length in (ORB_BYTES, SIFT_BYTES):
        first = alike(300, length, 256, 3)
        places = rng.permutation(400)[:300]
        second = alike(400, length, 256, 4)
        second[places] = first
        first_of_its_kind = np.unique(first, axis=0, return_index=True)[1]
        found = match(first, second, MAX_RATIO)
        unique = [i for i in first_of_its_kind if (first == first[i]).all(axis=1).sum() == 1]
        assert found.tolist() == [[i, places[i]] for i in sorted(unique)]
        assert found.dtype == np.int32
        assert len(unique) > 200


def test_the_farthest_bytes_are_exact() -> None:
    black, white = np.zeros((3, SIFT_BYTES), np.uint8), np.full((2, SIFT_BYTES), 255, np.uint8)
    white[1, 0] = 254
    found = nearest(black, white)
    np.testing.assert_array_equal(found.distance, [128 * 255**2 - 255**2 + 254**2] * 3)
    np.testing.assert_array_equal(found.next_distance, [128 * 255**2] * 3)
    assert (nearest(white, white).distance == 0).all()
    bits = nearest(black[:, :ORB_BYTES], white[:, :ORB_BYTES])
    np.testing.assert_array_equal(bits.distance, [255] * 3)
    np.testing.assert_array_equal(bits.next_distance, [256] * 3)


def test_real_features_match_as_opencvs_do(data) -> None:
    """Of two pictures side by side, of which what is the same is in the same row."""
    left, right = (
        cv2.imread(str(data / "stereo-cones" / f"{name}.png"), cv2.IMREAD_GRAYSCALE)
        for name in ("left", "right")
    )
    cv2.ocl.setUseOpenCL(False)  # ORB asks OpenCL's loader, which then knows no PoCL of PyPI's
    for kind in (cv2.ORB.create(2000), cv2.SIFT.create()):
        (points, first), (others, second) = (
            kind.detectAndCompute(picture, None) for picture in (left, right)
        )
        require_as_opencv(first, second)
        found = match(first, second, MAX_RATIO)
        rows = [abs(points[i].pt[1] - others[j].pt[1]) for i, j in found.tolist()]
        assert len(found) > 300
        assert np.mean(np.array(rows) < 2) > 0.9


@pytest.mark.parametrize("length", [ORB_BYTES, SIFT_BYTES])
def test_nothing_matches_nothing(length) -> None:
    none, some = np.empty((0, length), np.uint8), alike(3, length, 256, 1)
    for first, second in ((none, some), (some, none), (none, none)):
        assert match(first, second, MAX_RATIO).shape == (0, 2)
        found = nearest(first, second)
        assert found.index.tolist() == [-1] * len(first)
        assert found.back.tolist() == [-1] * len(second)


@pytest.mark.parametrize("length", [ORB_BYTES, SIFT_BYTES])
def test_one_alone_is_nearest_but_nothing_says_how_clearly(length) -> None:
    one, some = alike(1, length, 256, 1), alike(3, length, 256, 2)
    found = nearest(some, one)
    assert found.index.tolist() == [0, 0, 0]
    assert found.next_distance.tolist() == [FARTHEST] * 3
    assert match(some, one, MAX_RATIO).shape == (0, 2)
    assert match(one, np.concatenate([some, one]), MAX_RATIO).tolist() == [[0, 3]]


def test_a_view_of_something_larger_is_taken() -> None:
    wide = alike(40, 2 * ORB_BYTES, 256, 1)
    first, second = wide[::2, :ORB_BYTES], wide[::3, ORB_BYTES:]
    copies = first.copy(), second.copy()
    np.testing.assert_array_equal(nearest(first, second).index, nearest(*copies).index)


@pytest.mark.parametrize(
    ("descriptors", "why"),
    [
        (np.zeros((4, 61), np.uint8), r"first descriptors are uint8 of shape \(4, 61\), must be"),
        (np.zeros(32, np.uint8), r"shape \(32,\), must be \(N, 32\) uint8"),
        (np.zeros((4, 32), np.float32), r"float32 of shape \(4, 32\)"),
        (np.zeros((4, 128), np.float64), r"float64 of shape \(4, 128\)"),
        (np.zeros((4, 128), np.uint8), "of 128 and of 32 bytes: must be of one kind"),
        (np.full((4, 128), 0.5, np.float32), r"hold 0\.5, must be whole numbers from 0 to 255"),
        (np.full((4, 128), 256, np.float32), r"hold 256\.0, must be"),
        (np.full((4, 128), np.nan, np.float32), "hold nan, must be"),
        (np.broadcast_to(np.uint8(0), (1 << 21, 32)), "2097152 first descriptors, limit 1048576"),
    ],
)
def test_other_descriptors_are_refused(descriptors, why) -> None:
    with pytest.raises(InputError, match=why):
        match(descriptors, np.zeros((4, 32), np.uint8), MAX_RATIO)


@pytest.mark.parametrize("ratio", [0.0, -1.0, 1.01, float("nan")])
def test_other_ratios_are_refused(ratio) -> None:
    some = alike(3, ORB_BYTES, 256, 1)
    with pytest.raises(InputError, match=r"max_ratio is .*, must be in \(0, 1\]"):
        match(some, some, ratio)
