import numpy as np
import pytest

from slam.camera import Camera
from slam.geometry import rigid
from slam.scale import (
    ScaleEstimate,
    ScaleEstimator,
    camera_points,
    declared_scale,
    depth_pairs,
)

RNG = np.random.default_rng(3)
CAMERA = Camera(64, 48, 50.0, 50.0, 31.5, 23.5)
LIFTED = rigid(np.array([[0.0, -1, 0], [1, 0, 0], [0, 0, 1]]), np.array([1.0, 2.0, 3.0]))


def keyframe(scale: float, outliers: float = 0.0) -> tuple[np.ndarray, np.ndarray]:
    """(200,) depths in units, and what a network says that is 10 % off at random."""
    units = RNG.uniform(0.5, 3.0, 200)
    metres = units * scale * np.exp(RNG.normal(0, 0.1, 200))
    metres[: int(outliers * 200)] *= 20
    return units, metres


def test_the_scale_survives_outliers_of_points_and_of_whole_keyframes() -> None:
    estimator = ScaleEstimator()
    assert estimator.estimate is None
    for number in range(10):
        scale = 9.0 if number in (2, 5) else 1.7
        assert estimator.add(*keyframe(scale, outliers=0.3))
    estimate = estimator.estimate
    assert estimate is not None
    assert estimate.metres_per_unit == pytest.approx(1.7, rel=0.12)
    assert estimate.keyframes == 10
    assert 0 < estimate.relative_error < 0.1


def test_it_is_settled_when_the_keyframes_agree_or_are_many() -> None:
    agreeing, disagreeing = ScaleEstimator(), ScaleEstimator()
    settled = []
    for number in range(15):
        agreeing.add(*keyframe(2.0))
        disagreeing.add(*keyframe(2.0 * 3.0 ** (number % 3)))
        settled.append([e.estimate.is_settled for e in (agreeing, disagreeing) if e.estimate])
    assert [row[0] for row in settled] == [False] * 4 + [True] * 11
    assert [row[1] for row in settled] == [False] * 14 + [True]


def test_points_without_a_depth_do_not_count() -> None:
    estimator = ScaleEstimator()
    units, metres = keyframe(2.0)
    metres[:150] = 0
    units[150:160] = -1
    metres[160:165], metres[165:170] = np.nan, np.inf
    assert estimator.add(units, metres)
    assert not estimator.add(units[:189], metres[:189]), "19 are too few"
    assert estimator.estimate is not None
    assert estimator.estimate.metres_per_unit == pytest.approx(2.0, rel=0.1)


def test_pairs_are_taken_at_the_nearest_pixels_of_visible_points() -> None:
    depth_m = np.zeros((48, 64), np.float32)
    depth_m[10, 20] = 7.0
    ray = np.array([(20.3 - 31.5) / 50, (9.8 - 23.5) / 50, 1.0])
    points_camera = np.array([2.5 * ray, -2.5 * ray, [100.0, 0, 1], [0.0, 0, 4.0]])
    points = (points_camera @ LIFTED[:3, :3].T + LIFTED[:3, 3]).astype(np.float32)
    units, metres = depth_pairs(points, LIFTED, CAMERA, depth_m)
    np.testing.assert_allclose(units, [2.5, 4.0], rtol=1e-5)
    assert metres.tolist() == [7.0, 0.0]
    np.testing.assert_allclose(camera_points(points, LIFTED), points_camera, atol=1e-4)


def test_a_declared_depth_is_that_of_the_median_point() -> None:
    views = [np.array([[0.0, 0, depth] for depth in (-9, 1, 2, 30)]) for _ in range(3)]
    estimate = declared_scale([*views, np.array([[0.0, 0, 8]])], 3.0)
    assert estimate == ScaleEstimate(1.5, 0.0, 4)
    assert declared_scale([np.zeros((0, 3)), np.array([[0.0, 0, -1]])], 3.0) is None
