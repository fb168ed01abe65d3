import numpy as np
import pytest

from mapcast_client.errors import InputError
from slam.geometry import distance, inverse, pose_vector, require_rigid, rigid

QUARTER_TURN_Z = np.array([[0.0, -1, 0], [1, 0, 0], [0, 0, 1]])


def test_rigid_maps_points_by_rotation_then_translation() -> None:
    target_from_source = rigid(QUARTER_TURN_Z, np.array([1.0, 2, 3]))
    np.testing.assert_allclose(target_from_source @ [1, 0, 0, 1], [1, 3, 3, 1])
    np.testing.assert_allclose(inverse(target_from_source) @ [1, 3, 3, 1], [1, 0, 0, 1])


def test_pose_vector_is_translation_then_xyzw() -> None:
    vector = pose_vector(rigid(QUARTER_TURN_Z, np.array([1.0, 2, 3])))
    np.testing.assert_allclose(vector, [1, 2, 3, 0, 0, np.sqrt(0.5), np.sqrt(0.5)])


def test_distance_adds_metres_and_radians() -> None:
    turned = rigid(QUARTER_TURN_Z, np.array([0.0, 3, 4]))
    assert distance(np.eye(4), turned) == pytest.approx(5 + np.pi / 2)


@pytest.mark.parametrize(
    ("matrix", "message"),
    [
        (np.eye(3), r"shape \(3, 3\), must be \(4, 4\)"),
        (np.full((4, 4), np.nan), "NaN or infinite"),
        (np.diag([1.0, 1, 1, 2]), r"last row is \[0.0, 0.0, 0.0, 2.0\]"),
        (np.diag([2.0, 2, 2, 1]), "3 from orthonormal"),
        (np.diag([1.0, 1, -1, 1]), "determinant -1"),
        (np.diag([1e200, 1, 1, 1]), "inf from orthonormal"),
        (np.diag([0.0, 0, 0, 1]), "1 from orthonormal"),
    ],
)
def test_require_rigid_says_what_is_wrong(matrix: np.ndarray, message: str) -> None:
    with pytest.raises(InputError, match=f"camera pose: .*{message}"):
        require_rigid(matrix, "camera pose")
