"""The NumPy specification of semi-global aggregation, and the kernels against it."""

import numpy as np
import pytest

from gpu.kernels.semi_global import aggregate_paths, choose_planes

HEIGHT, WIDTH, PLANES = 9, 13, 16
SMALL = 5
PENALTIES = np.maximum(60 // np.maximum(np.arange(256) // 20, 1), SMALL).astype(np.uint16)


def path_costs(costs, gray, dv, du):
    """Hirschmüller 2008, eq. 13, along one direction."""
    path = np.zeros(costs.shape, int)
    rows = range(HEIGHT) if dv >= 0 else range(HEIGHT - 1, -1, -1)
    columns = range(WIDTH) if du >= 0 else range(WIDTH - 1, -1, -1)
    for v in rows:
        for u in columns:
            path[v, u] = costs[v, u]
            if 0 <= v - dv < HEIGHT and 0 <= u - du < WIDTH:
                before = path[v - dv, u - du]
                large = int(PENALTIES[abs(int(gray[v, u]) - int(gray[v - dv, u - du]))])
                beside = np.pad(before, 1, constant_values=10**6)
                near = np.minimum(beside[:-2], beside[2:]) + SMALL
                jump = before.min() + large
                best = np.minimum(np.minimum(before, near), jump)
                path[v, u] += best - before.min()
    return path


@pytest.fixture
def costs():
    return np.random.default_rng(2).integers(0, 64, (HEIGHT, WIDTH, PLANES), dtype=np.uint8)


def test_eight_paths_agree_with_the_specification(costs):
    gray = np.random.default_rng(3).integers(0, 256, (HEIGHT, WIDTH), dtype=np.uint8)
    totals = np.zeros(costs.shape, np.uint16)
    for step in (1, -1):
        aggregate_paths(costs, gray, SMALL, PENALTIES, step, totals)
    directions = [(dv, du) for dv in (-1, 0, 1) for du in (-1, 0, 1) if (dv, du) != (0, 0)]
    expected = sum(path_costs(costs, gray, dv, du) for dv, du in directions)
    np.testing.assert_array_equal(totals, expected)


def test_the_winner_lies_between_planes():
    """V-shaped costs have their tip where the two sides meet."""
    totals = np.full((3, 4, PLANES), 500, np.uint16)
    tips = np.linspace(1.3, 13.4, 12).reshape(3, 4)
    totals[:] = np.rint(np.abs(np.arange(PLANES) - tips[..., None]) * 1000) + 7
    plane = np.empty((3, 4), np.float32)
    margin, least = np.empty((2, 3, 4), np.uint16)
    choose_planes(totals, plane, margin, least)
    np.testing.assert_allclose(plane, tips, atol=2e-3)
    np.testing.assert_array_equal(least, totals.min(-1))
    ranked = np.abs(np.arange(PLANES) - np.rint(tips)[..., None]) >= 2
    np.testing.assert_array_equal(margin, np.where(ranked, totals, 65535).min(-1) - least)


def test_a_winner_at_either_end_stays_there():
    totals = np.tile(np.arange(PLANES, dtype=np.uint16) * np.uint16(10), (1, 2, 1))
    totals[0, 1] = totals[0, 1, ::-1]
    plane = np.empty((1, 2), np.float32)
    margin, least = np.empty((2, 1, 2), np.uint16)
    choose_planes(totals, plane, margin, least)
    np.testing.assert_array_equal(plane, [[0, PLANES - 1]])
    np.testing.assert_array_equal(margin, [[20, 20]])
