import numpy as np
import pytest

from slam.geometry import rigid
from slam.scale import ScaleEstimator, camera_points, declared_scale

RNG = np.random.default_rng(3)
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


def test_points_in_camera_coordinates() -> None:
    points_camera = np.array([[0.3, -0.2, 2.5], [0.0, 0, 4.0]])
    points = (points_camera @ LIFTED[:3, :3].T + LIFTED[:3, 3]).astype(np.float32)
    np.testing.assert_allclose(camera_points(points, LIFTED), points_camera, atol=1e-5)


def test_a_declared_depth_is_that_of_the_median_point_in_front() -> None:
    points_camera = np.array([[0.0, 0, depth] for depth in (-9, 1, 2, 30)])
    assert declared_scale(points_camera, 3.0) == 1.5
    assert declared_scale(np.array([[0.0, 0, -1]]), 3.0) is None
