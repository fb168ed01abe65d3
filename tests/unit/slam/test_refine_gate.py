from dataclasses import replace

import numpy as np
import pytest

from slam.camera import Camera
from slam.geometry import Mat4, rigid
from slam.refine_gate import Adjustment, errors_px, why_not_offered, why_rejected
from slam.refine_messages import CameraOffer


def walk(offset_m: float = 0.0, factor: float = 1.0) -> dict[int, Mat4]:
    """Ten keyframes along a line, two decimetres apart."""
    return {
        index: rigid(np.eye(3), np.array([0.2 * factor * index, offset_m * (index % 2), 0.0]))
        for index in range(10)
    }


BELIEVED = Adjustment(walk(), walk(0.01), (0.9, 0.6), 5000, 0.002, 2.0)


def test_a_small_correction_is_accepted() -> None:
    assert why_rejected(BELIEVED) == ""


def test_a_reprojection_error_that_grows_is_rejected() -> None:
    assert "0.90 to 1.10 px" in why_rejected(replace(BELIEVED, reprojection_px=(0.9, 1.1)))
    assert "3.0 at most" in why_rejected(replace(BELIEVED, reprojection_px=(9.0, 4.0)))


def test_another_scale_is_rejected() -> None:
    assert "scale changed by +8.0%" in why_rejected(replace(BELIEVED, after=walk(factor=1.08)))


def test_depths_that_disagree_with_the_sensor_are_rejected() -> None:
    assert "depths are -6.0% off" in why_rejected(replace(BELIEVED, depth_error=-0.06))


def test_one_keyframe_that_jumps_is_rejected() -> None:
    after = walk()
    after[4] = rigid(np.eye(3), after[4][:3, 3] + (0.0, 0.0, 0.15))

    assert "keyframe 4 jumps by 7.5%" in why_rejected(replace(BELIEVED, after=after))


def test_all_keyframes_may_bend_together() -> None:
    after = {key: rigid(np.eye(3), pose[:3, 3] * (1, 1, 1)) for key, pose in walk().items()}
    for index in after:
        after[index][2, 3] = 0.003 * index**2

    assert why_rejected(replace(BELIEVED, after=after)) == ""


def test_a_divergence_is_rejected() -> None:
    after = walk()
    after[3] = np.full((4, 4), np.nan)

    assert "diverged" in why_rejected(replace(BELIEVED, after=after))


def test_few_observations_are_rejected() -> None:
    assert "12 observations" in why_rejected(replace(BELIEVED, observations=12))


@pytest.mark.parametrize("keyframes", [1, 2])
def test_a_walk_on_the_spot_has_no_scale(keyframes: int) -> None:
    here = {index: np.eye(4) for index in range(keyframes + 1)}

    assert why_rejected(replace(BELIEVED, before=here, after=here)) == ""


GIVEN = Camera(640, 480, 500.0, 500.0, 319.5, 239.5)
FOUND = CameraOffer(replace(GIVEN, fx_px=520.0, fy_px=521.0), 10, 0.4)


def test_a_camera_that_enough_keyframes_tell_is_offered() -> None:
    assert why_not_offered(FOUND, GIVEN, BELIEVED) == ""


def test_a_camera_of_few_keyframes_is_not_offered() -> None:
    reason = why_not_offered(replace(FOUND, keyframes=9), GIVEN, BELIEVED)

    assert reason == "it rests on 9 keyframes, at least 10 are needed"


def test_a_camera_of_fewer_keyframes_than_the_one_before_is_not_offered() -> None:
    assert why_not_offered(FOUND, GIVEN, BELIEVED, fewest_keyframes=10) == ""

    reason = why_not_offered(FOUND, GIVEN, BELIEVED, fewest_keyframes=11)

    assert reason == "it rests on 10 keyframes, at least 11 are needed"


@pytest.mark.parametrize(("fx_px", "fy_px"), [(605.0, 520.0), (520.0, 395.0)])
def test_a_focal_length_far_from_the_given_one_is_not_offered(fx_px: float, fy_px: float) -> None:
    found = replace(FOUND, camera=replace(GIVEN, fx_px=fx_px, fy_px=fy_px))

    assert "off the given ones, at most 20%" in why_not_offered(found, GIVEN, BELIEVED)


def test_a_camera_that_fits_the_pictures_worse_is_not_offered() -> None:
    worse = replace(BELIEVED, reprojection_px=(0.5, 0.6))

    assert "0.50 to 0.60 px, must fall" in why_not_offered(FOUND, GIVEN, worse)


def test_for_a_camera_keyframes_may_move() -> None:
    moved = replace(BELIEVED, after=walk(factor=1.08))

    assert why_not_offered(FOUND, GIVEN, moved) == ""


def test_a_point_behind_its_camera_is_far_off_and_spoils_no_mean() -> None:
    errors = errors_px(np.array([[3.0, 4.0], [np.nan, np.nan], [0.0, 1.0]]))

    np.testing.assert_array_equal(errors, [5.0, 100.0, 1.0])
