import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mapcast_client.errors import InputError
from mapcast_client.poses import pose_matrix, pose_message
from mapcast_client.v1 import ingest_pb2

parts = st.floats(-1, 1)


def rotation_about(axis: list[float], angle_rad: float) -> np.ndarray:
    """Rodrigues' formula as a (4, 4) transform."""
    x, y, z = np.array(axis) / np.linalg.norm(axis)
    cross = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    matrix = np.eye(4)
    matrix[:3, :3] += np.sin(angle_rad) * cross + (1 - np.cos(angle_rad)) * cross @ cross
    return matrix


@pytest.mark.parametrize("axis", [[1, 0, 0], [0, 1, 0], [0, 0, 1], [1, -2, 3]])
@pytest.mark.parametrize("angle_rad", [0, 1e-9, 0.5, np.pi / 2, 3, np.pi - 1e-9, np.pi])
def test_matrix_comes_back(axis: list[float], angle_rad: float) -> None:
    matrix = rotation_about(axis, angle_rad)
    matrix[:3, 3] = 1, -2, 3
    assert pose_matrix(pose_message(matrix)) == pytest.approx(matrix, abs=1e-9)


@given(st.tuples(parts, parts, parts, parts).filter(lambda q: np.linalg.norm(q) > 1e-3))
def test_quaternion_is_unit_canonical_and_comes_back(quat_xyzw: tuple[float, ...]) -> None:
    qx, qy, qz, qw = quat_xyzw
    matrix = pose_matrix(ingest_pb2.Pose(qx=qx, qy=qy, qz=qz, qw=qw))
    pose = pose_message(matrix)
    found = np.array([pose.qx, pose.qy, pose.qz, pose.qw])
    given_unit = np.array(quat_xyzw) / np.linalg.norm(quat_xyzw)
    assert pose.qw >= 0
    assert np.linalg.norm(found) == pytest.approx(1)
    assert abs(found @ given_unit) == pytest.approx(1)


def test_rotation_about_z_has_the_known_quaternion() -> None:
    pose = pose_message(rotation_about([0, 0, 1], np.pi / 2))
    assert [pose.qx, pose.qy, pose.qz, pose.qw] == pytest.approx([0, 0, 0.5**0.5, 0.5**0.5])


@pytest.mark.parametrize(
    ("matrix", "message"),
    [
        (np.eye(3), r"shape \(3, 3\)"),
        (np.full((4, 4), np.nan), "NaN"),
        (np.diag([1.0, 1, 1, 2]), "last row"),
        (np.diag([1.0, 1, 1.1, 1]), "not rigid"),
        (np.diag([1.0, 1, -1, 1]), "determinant -1"),
    ],
)
def test_transforms_that_are_not_rigid_are_input_errors(matrix: np.ndarray, message: str) -> None:
    with pytest.raises(InputError, match=message):
        pose_message(matrix)


@pytest.mark.parametrize(
    "pose", [ingest_pb2.Pose(), ingest_pb2.Pose(qw=float("nan")), ingest_pb2.Pose(qw=1, tx=np.inf)]
)
def test_broken_poses_are_input_errors(pose: ingest_pb2.Pose) -> None:
    with pytest.raises(InputError, match="zero quaternion or values that are not finite"):
        pose_matrix(pose)
