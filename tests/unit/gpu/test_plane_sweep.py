"""The NumPy specifications of census, sweep and checks, and the kernels against them."""

import numpy as np
import pytest

from gpu.kernels.census import DEAD_ZONE, census, fine_census
from gpu.kernels.depth_check import compare_depths
from gpu.kernels.plane_sweep import MISMATCH, count_views, sweep_planes

NEIGHBOURS = [
    *((-2, -2), (-2, 0), (-2, 2), (-1, -1), (-1, 0), (-1, 1), (0, -2), (0, -1)),
    *((0, 1), (0, 2), (1, -1), (1, 0), (1, 1), (2, -2), (2, 0), (2, 2)),
]  # fmt: skip
HEIGHT, WIDTH, PLANES = 20, 31, 24


@pytest.fixture
def rng():
    return np.random.default_rng(11)


def specified_census(gray):
    height, width = gray.shape
    padded = np.pad(gray.astype(int), 2, mode="edge")
    words = np.zeros(gray.shape, np.uint64)
    for k, (dv, du) in enumerate(NEIGHBOURS):
        difference = padded[2 + dv : 2 + dv + height, 2 + du : 2 + du + width] - gray
        words += (difference > DEAD_ZONE).astype(np.uint64) << np.uint64(2 * k)
        words += (difference < -DEAD_ZONE).astype(np.uint64) << np.uint64(2 * k + 1)
    return words


def projected(rotations, epipoles, inverse_depths):
    """(V, H, W, D) elements u, v of the views' fine census, and whether they are in it."""
    v, u = np.mgrid[:HEIGHT, :WIDTH]
    pixels = np.stack([u, v, np.ones_like(u)], -1)
    rays = np.einsum("kij,vuj->kvui", rotations, pixels)[..., None, :]
    image = rays + inverse_depths[:, None] * epipoles[:, None, None, None, :]
    place = image[..., :2] / image[..., 2:]
    inside = (image[..., 2] > 1e-3) & (place >= 0).all(-1)
    inside &= (place < (2 * WIDTH, 2 * HEIGHT)).all(-1)
    return place, inside


def warps(rng, views):
    rotations = np.array([[2, 0, 1], [0, 2, 1], [0, 0, 1]]) + rng.normal(0, 0.01, (views, 3, 3))
    epipoles = rng.normal(0, 1, (views, 3)) * (6, 4, 0.1)
    return rotations.astype(np.float32), epipoles.astype(np.float32)


def test_census_compares_sixteen_neighbours_with_a_dead_zone(rng):
    gray = rng.integers(0, 12, (HEIGHT, WIDTH), dtype=np.uint8)
    words = census(gray)
    np.testing.assert_array_equal(words, specified_census(gray))
    assert len(np.unique(words)) > 500


def test_census_does_not_see_exposure_nor_noise(rng):
    gray = rng.integers(0, 20, (HEIGHT, WIDTH), dtype=np.uint8) * np.uint8(10)
    np.testing.assert_array_equal(census(gray + np.uint8(30)), census(gray))
    wall = rng.integers(100, 100 + DEAD_ZONE + 1, (HEIGHT, WIDTH), dtype=np.uint8)
    assert not census(wall).any()


def mirrored(words):
    """Words of the picture seen in a mirror: left neighbours are right ones."""
    result = np.zeros_like(words)
    for k, (dv, du) in enumerate(NEIGHBOURS):
        pair = (words >> np.uint32(2 * k)) & np.uint32(3)
        result |= pair << np.uint32(2 * NEIGHBOURS.index((dv, -du)))
    return result[:, ::-1]


def test_fine_census_has_two_elements_a_pixel_symmetric_around_it(rng):
    gray = rng.integers(0, 256, (HEIGHT, WIDTH), dtype=np.uint8)
    words = fine_census(gray)
    assert words.shape == (2 * HEIGHT, 2 * WIDTH)
    in_mirror = fine_census(np.ascontiguousarray(gray[:, ::-1]))
    # Interpolated grays are rounded.
    assert (mirrored(in_mirror) != words).mean() < 0.02
    assert (in_mirror[:, ::-1] != words).mean() > 0.8


@pytest.mark.parametrize("views", [1, 2, 4])
def test_costs_are_those_of_the_two_best_views(rng, views):
    # Words with few bits set, or all would be mismatches.
    words = np.bitwise_and.reduce(rng.integers(0, 2**32, (3, HEIGHT, WIDTH), dtype=np.uint32))
    shape = (3, views, 2 * HEIGHT, 2 * WIDTH)
    view_words = np.bitwise_and.reduce(rng.integers(0, 2**32, shape, dtype=np.uint32))
    rotations, epipoles = warps(rng, views)
    inverse_depths = np.linspace(0.2, 2, PLANES, dtype=np.float32)
    costs = np.empty((HEIGHT, WIDTH, PLANES), np.uint8)
    sweep_planes(words, view_words, rotations, epipoles, inverse_depths, costs)

    place, inside = projected(rotations, epipoles, inverse_depths)
    u, v = np.where(inside[..., None], place, 0).astype(int).transpose(4, 0, 1, 2, 3)
    seen = view_words[np.arange(views)[:, None, None, None], v, u]
    distances = np.bitwise_count(seen ^ words[..., None]).astype(int)
    distances = np.sort(np.where(inside, np.minimum(distances, MISMATCH), MISMATCH), axis=0)
    expected = distances[0] + distances[min(1, views - 1)]
    assert 0.2 < inside.mean() < 1
    assert len(np.unique(expected)) > 5
    # Float32 against float64: elements at a border may fall to the other side.
    assert (costs != expected).mean() < 2e-3


def test_views_that_see_a_point_are_counted(rng):
    rotations, epipoles = warps(rng, 3)
    depth = rng.uniform(0.5, 5, (HEIGHT, WIDTH)).astype(np.float32)
    depth[3:5] = 0
    seeing = np.empty(depth.shape, np.uint8)
    count_views(depth, rotations, epipoles, 2 * HEIGHT, 2 * WIDTH, seeing)
    inverse = 1 / np.where(depth > 0, depth, 1).astype(np.float64)
    v, u = np.mgrid[:HEIGHT, :WIDTH]
    _, inside = projected(rotations, epipoles, np.unique(inverse))
    plane = np.searchsorted(np.unique(inverse), inverse)
    expected = inside[:, v, u, plane].sum(0) * (depth > 0)
    assert set(np.unique(expected)) == {0, 1, 2, 3}
    assert (seeing != expected).mean() < 1e-2


def test_earlier_depth_agrees_contradicts_or_hides():
    """A wall 2 m away, checked against images from the same place: at, behind and before it."""
    depth = np.full((4, 5), 2, np.float32)
    depth[0, 0] = 0
    here = np.array([[1, 0, 0.5, 0], [0, 1, 0.5, 0], [0, 0, 1, 0]], np.float32)
    backward = here.copy()
    backward[2, 3] = 1  # one metre back: nearest pixels move towards the first
    others = np.stack([np.full((4, 5), z, np.float32) for z in (2.05, 2.5, 1.5, 0, 3)])
    agreeing, contradicting = np.empty((2, 4, 5), np.uint8)
    matrices = np.stack([here, here, here, here, backward])
    compare_depths(depth, matrices, others, 0.03, agreeing, contradicting)
    known = depth > 0
    np.testing.assert_array_equal(agreeing, known * 2)
    np.testing.assert_array_equal(contradicting, known * 1)
