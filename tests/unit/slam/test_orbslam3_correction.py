import numpy as np

from slam.geometry import rigid
from slam.orbslam3_correction import RecentPoses, carried, correction_at, predicted

LIFTED = rigid(np.eye(3), np.array([0.0, 0.0, 0.5]))


def at(x_m: float) -> np.ndarray:
    return rigid(np.eye(3), np.array([x_m, 0.0, 0.0]))


def test_a_frame_tracked_before_a_correction_is_carried_into_the_corrected_map() -> None:
    expected, now = at(1.01), at(1.012)
    np.testing.assert_allclose(carried(now, expected, LIFTED), LIFTED @ now)
    np.testing.assert_allclose(carried(LIFTED @ now, expected, LIFTED), LIFTED @ now)


def test_the_camera_is_expected_to_move_on() -> None:
    np.testing.assert_allclose(predicted([at(1)]), at(1))
    np.testing.assert_allclose(predicted([at(0), at(1), at(1.5)]), at(2))


def test_a_correction_is_measured_at_the_latest_keyframe_of_the_frame() -> None:
    before = {0: at(0), 10: at(1), 20: at(2)}
    after = {0: at(0), 10: LIFTED @ at(1), 30: at(3)}
    correction = correction_at(25, before, after)
    assert correction is not None
    np.testing.assert_allclose(correction, LIFTED)
    assert correction_at(5, before, after) is None, "that one did not move"
    assert correction_at(35, before, after) is None, "that one is new"
    assert correction_at(15, before, {10: at(1.001)}) is None, "that is no jump"
    assert correction_at(5, before, {10: at(1)}) is None, "none is early enough"


def test_recent_poses_follow_the_map() -> None:
    recent = RecentPoses()
    for step in range(3):
        recent.add(step, at(step), None)
    correction = recent.correction(3, {}, {2: LIFTED @ at(2)})
    assert correction is not None
    np.testing.assert_allclose(recent.add(3, at(3), correction), LIFTED @ at(3), atol=1e-12)
    np.testing.assert_allclose(recent.add(4, LIFTED @ at(4), None), LIFTED @ at(4))
    recent.forget()
    assert recent.correction(5, {}, {2: at(2)}) is None
    np.testing.assert_allclose(recent.add(5, at(9), LIFTED), at(9))
