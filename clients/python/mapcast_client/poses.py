"""Camera poses between 4×4 matrices and the wire's translation and unit quaternion."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from mapcast_client.errors import InputError
from mapcast_client.v1 import ingest_pb2

_RIGID_TOLERANCE = 1e-2


def pose_message(world_from_camera: NDArray[np.float64]) -> ingest_pb2.Pose:
    """Write a rigid (4, 4) transform as the wire's pose, its quaternion with w ≥ 0.

    Raises InputError when it is not (4, 4), not finite or not rigid.
    """
    matrix = _require_rigid(np.asarray(world_from_camera, np.float64))
    tx, ty, tz = matrix[:3, 3].tolist()
    qx, qy, qz, qw = _quat_xyzw(matrix[:3, :3]).tolist()
    return ingest_pb2.Pose(tx=tx, ty=ty, tz=tz, qx=qx, qy=qy, qz=qz, qw=qw)


def pose_vector(pose: ingest_pb2.Pose) -> tuple[float, ...]:
    """Return (7,) tx ty tz qx qy qz qw of the wire's pose, as pose rows have it."""
    return pose.tx, pose.ty, pose.tz, pose.qx, pose.qy, pose.qz, pose.qw


def pose_matrix(pose: ingest_pb2.Pose) -> NDArray[np.float64]:
    """Return the (4, 4) world_from_camera of the wire's pose; the quaternion is normalised.

    Raises InputError when the quaternion is zero or something is not finite.
    """
    return matrix_of_vector(pose_vector(pose))


def matrix_of_vector(pose: Sequence[float]) -> NDArray[np.float64]:
    """Return the (4, 4) transform of tx ty tz qx qy qz qw, as `pose_matrix` does."""
    translation_m, quat_xyzw = np.array(pose[:3]), np.array(pose[3:])
    norm = float(np.linalg.norm(quat_xyzw))
    if not (np.isfinite(norm) and norm > 0 and np.isfinite(translation_m).all()):
        raise InputError(f"pose {pose} has a zero quaternion or values that are not finite")
    x, y, z, w = quat_xyzw / norm
    matrix = np.eye(4)
    matrix[:3, :3] = [
        [1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)],
        [2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)],
        [2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)],
    ]
    matrix[:3, 3] = translation_m
    return matrix


def _require_rigid(matrix: NDArray[np.float64]) -> NDArray[np.float64]:
    if matrix.shape != (4, 4):
        raise InputError(f"world_from_camera: shape {matrix.shape}, must be (4, 4)")
    if not np.isfinite(matrix).all():
        raise InputError("world_from_camera: has NaN or infinite entries")
    if not np.allclose(matrix[3], (0, 0, 0, 1), atol=1e-6):
        raise InputError(f"world_from_camera: last row {matrix[3].tolist()}, must be [0, 0, 0, 1]")
    rotation = matrix[:3, :3]
    error = float(np.abs(rotation @ rotation.T - np.eye(3)).max())
    if error > _RIGID_TOLERANCE or np.linalg.det(rotation) < 0:
        raise InputError(
            f"world_from_camera: not rigid, rotation is {error:.3g} from orthonormal (limit "
            f"{_RIGID_TOLERANCE}), determinant {np.linalg.det(rotation):.3g} (must be +1)"
        )
    return matrix


def _quat_xyzw(rotation: NDArray[np.float64]) -> NDArray[np.float64]:
    """Unit quaternion of a (3, 3) rotation with w ≥ 0.

    Each of the four rows is 4·q_k·(x, y, z, w); the one of the largest q_k loses no digits
    (Shepperd, "Quaternion from rotation matrix", 1978).
    """
    (a, b, c), (d, e, f), (g, h, i) = rotation
    candidates = np.array(
        [
            [1 + a - e - i, b + d, c + g, h - f],
            [b + d, 1 - a + e - i, f + h, c - g],
            [c + g, f + h, 1 - a - e + i, d - b],
            [h - f, c - g, d - b, 1 + a + e + i],
        ]
    )
    quat_xyzw: NDArray[np.float64] = candidates[np.argmax(np.diag(candidates))]
    quat_xyzw = quat_xyzw / np.linalg.norm(quat_xyzw)
    return -quat_xyzw if quat_xyzw[3] < 0 else quat_xyzw
