import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from mapcast_client.errors import InputError
from replay.similarity import closest_point_similarity, fit_similarity, moved, scale_of


def similarity(scale: float, degrees: float, shift_m: tuple[float, float, float]) -> np.ndarray:
    result = np.eye(4)
    turn = Rotation.from_rotvec(np.radians(degrees) * np.array([0.6, 0.0, 0.8])).as_matrix()
    result[:3, :3] = scale * turn
    result[:3, 3] = shift_m
    return result


def box(count: int, seed: int) -> np.ndarray:
    """Points on the faces of a box of 2 × 3 × 1 m."""
    rng = np.random.default_rng(seed)
    points = rng.random((count, 3))
    points[np.arange(count), rng.integers(0, 3, count)] = rng.integers(0, 2, count)
    return points * (2, 3, 1)


def test_a_similarity_is_found_again() -> None:
    points, true = box(50, 0), similarity(2.5, 70, (1, -2, 3))
    found = fit_similarity(points, moved(points, true))
    assert found == pytest.approx(true, abs=1e-9)
    assert scale_of(found) == pytest.approx(2.5)


def test_a_rotation_that_is_known_is_kept() -> None:
    line, true = np.outer(np.arange(5.0), (1, 0, 0)), similarity(0.4, 30, (0, 1, 0))
    found = fit_similarity(line, moved(line, true), true[:3, :3] / 0.4)
    assert found == pytest.approx(true, abs=1e-9)


def test_one_place_has_no_scale() -> None:
    with pytest.raises(InputError, match="no scale"):
        fit_similarity(np.ones((4, 3)), box(4, 0))


def test_closest_points_improve_scale_rotation_and_place() -> None:
    true = similarity(1.3, 40, (0.5, 0.2, -0.1))
    source, target = box(20_000, 0), moved(box(20_000, 1), true)
    rough = similarity(1.25, 43, (0.55, 0.24, -0.1))
    found = closest_point_similarity(source, target, rough)
    assert np.abs(moved(source, found) - moved(source, true)).max() < 0.03
    assert scale_of(found) == pytest.approx(1.3, rel=0.01)


def test_surfaces_that_the_other_side_lacks_do_not_pull() -> None:
    true = similarity(1.3, 40, (0.5, 0.2, -0.1))
    target = moved(box(20_000, 1), true)
    extra = np.random.default_rng(2).random((4_000, 3)) * (2, 3, 0.2) + (0, 0, 1.5)
    source = np.concatenate([box(16_000, 0), extra])
    found = closest_point_similarity(source, target, similarity(1.27, 42, (0.53, 0.22, -0.1)))
    assert scale_of(found) == pytest.approx(1.3, rel=0.02)
