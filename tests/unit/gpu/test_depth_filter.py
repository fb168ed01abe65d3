"""The depth filter on scenes whose answers are known."""

import numpy as np
import pytest
from numpy.typing import NDArray

from gpu.cpu_depth_filter import CpuDepthFilter

WIDTH, HEIGHT, FOCAL_PX = 160, 120, 525.0
CENTRE_PX = np.array([79.5, 59.5])
FAR_M = 4.0
INNER = np.s_[4:-4, 4:-4]


def filtered(depth_m: NDArray[np.floating], confidence: NDArray[np.uint8] | None = None):
    """Depth and observations of (H, W) metres."""
    focal_px = np.array([FOCAL_PX, FOCAL_PX])
    depth_filter = CpuDepthFilter((WIDTH, HEIGHT), focal_px, CENTRE_PX, (0.1, FAR_M))
    return depth_filter.apply(np.ascontiguousarray(depth_m, np.float32), 1.0, confidence)


def wall(depth_m: float) -> NDArray[np.float64]:
    return np.full((HEIGHT, WIDTH), depth_m)


def tilted(degrees: float, depth_m: float, axis: int = 1) -> NDArray[np.float64]:
    """A plane whose normal is so far from the optical axis, turned around rows or columns."""
    slope = np.tan(np.radians(degrees)) / FOCAL_PX
    return depth_m / (1 - (np.mgrid[:HEIGHT, :WIDTH][axis] - CENTRE_PX[1 - axis]) * slope)


def sigma_m(depth_m: float) -> float:
    return 0.0012 + 0.0019 * (depth_m - 0.4) ** 2


def test_noise_of_a_wall_falls_and_the_wall_stays_where_it_is() -> None:
    noise_m = sigma_m(2.0) * np.random.default_rng(0).normal(size=(HEIGHT, WIDTH))

    depth_m, counts = filtered(wall(2.0) + noise_m)

    errors_m = (depth_m - 2.0)[INNER]
    assert errors_m.std() < 0.4 * noise_m.std()
    assert abs(errors_m.mean()) < 0.05 * noise_m.std()
    assert (counts[INNER] > 0).mean() > 0.99


def test_an_exact_plane_stays_exact() -> None:
    # Inverse depth is linear in the image, depth nearly so: what bends 2 pixels away is 2 µm here.
    depth_m, _ = filtered(tilted(20, 2.0))

    np.testing.assert_allclose(depth_m[INNER], tilted(20, 2.0)[INNER], atol=1e-4)


def test_an_edge_stays_sharp() -> None:
    near_m, far_m = 1.0, 1.05
    exact_m = wall(far_m)
    exact_m[:, :80] = near_m
    noise = np.random.default_rng(1).normal(size=exact_m.shape)

    depth_m, counts = filtered(exact_m + sigma_m(1.0) * noise)

    # 50 mm apart: nothing in between, right up to the edge.
    assert np.abs(depth_m - exact_m)[INNER].max() < 0.008
    assert (counts[INNER] > 0).mean() > 0.98


def test_flying_pixels_go_and_those_beside_them_stay() -> None:
    exact_m = wall(2.0)
    exact_m[:, :80] = 1.0
    flying_m = exact_m.copy()
    flying_m[:, 80] = 1.5

    depth_m, counts = filtered(flying_m)

    assert not depth_m[:, 80].any()
    assert not counts[:, 80].any()
    beside = [column for column in range(76, 85) if column != 80]
    np.testing.assert_array_equal(depth_m[INNER[0], beside], exact_m[INNER[0], beside])
    assert counts[INNER[0], beside].all()


def test_corners_stay() -> None:
    exact_m = wall(2.0)
    exact_m[40:80, 40:80] = 1.0

    depth_m, counts = filtered(exact_m)

    np.testing.assert_array_equal(depth_m, exact_m.astype(np.float32))
    assert counts.all()


def test_pixels_without_depth_stay_so_and_do_not_count() -> None:
    holes = np.random.default_rng(2).random((HEIGHT, WIDTH)) < 0.1
    depth_m = wall(1.5)
    depth_m[holes] = 0
    depth_m[:20], depth_m[20:40] = np.where(holes[:20], np.nan, 1.5), np.where(holes[20:40], 9, 1.5)

    smooth_m, counts = filtered(depth_m)

    assert not smooth_m[holes].any()
    assert not counts[holes].any()
    assert (smooth_m[~holes][counts[~holes] > 0] == 1.5).all()
    assert (counts[~holes] > 0).mean() > 0.95


@pytest.mark.parametrize(
    ("depth_m", "expected"), [(0.5, 4), (1.0, 4), (1.1, 3), (1.3, 2), (1.5, 1), (3.9, 1)]
)
def test_near_walls_count_more(depth_m: float, expected: int) -> None:
    _, counts = filtered(wall(depth_m))

    assert counts[HEIGHT // 2, WIDTH // 2] == expected


@pytest.mark.parametrize("depth_m", [0.5, 0.9, 1.2])
@pytest.mark.parametrize("degrees", [*range(0, 76, 5), -30, -60])
def test_what_is_seen_at_an_angle_counts_less(depth_m: float, degrees: int) -> None:
    sigmas = sigma_m(1.0) / sigma_m(depth_m)
    worth = 4 * np.cos(np.radians(degrees)) * sigmas**2

    for axis in (0, 1):
        _, counts = filtered(tilted(degrees, depth_m, axis))

        assert counts[HEIGHT // 2, WIDTH // 2] == min(max(int(worth + 0.5), 1), 4)


@pytest.mark.parametrize("degrees", [81, 85, 88])
def test_what_is_grazed_does_not_count(degrees: int) -> None:
    _, counts = filtered(tilted(degrees, 0.5).clip(0, FAR_M + 1))

    assert counts[HEIGHT // 2, WIDTH // 2] == 0


def test_confidence_multiplies() -> None:
    confidence = np.random.default_rng(4).integers(1, 256, (HEIGHT, WIDTH)).astype(np.uint8)
    confidence[:60] = 3
    confidence[:, ::16] = 0

    smooth_m, counts = filtered(wall(1.1), confidence)

    is_known = smooth_m > 0
    np.testing.assert_array_equal(is_known, confidence > 0)
    expected = np.minimum(3 * confidence.astype(int), 255)
    np.testing.assert_array_equal(counts[INNER], expected[INNER])
