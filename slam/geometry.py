"""Rigid transforms as 4×4 matrices, and their quaternion form."""

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from mapcast_client.errors import InputError

Mat4 = NDArray[np.float64]
"""(4, 4) float64, target_from_source."""


def rigid(rotation: NDArray[np.float64], translation_m: NDArray[np.float64]) -> Mat4:
    """Compose a transform of a (3, 3) rotation and a (3,) translation."""
    transform = np.eye(4)
    transform[:3, :3] = rotation
    transform[:3, 3] = translation_m
    return transform


def inverse(target_from_source: Mat4) -> Mat4:
    """source_from_target of a rigid transform: [Rᵀ | −Rᵀt]."""
    rotation = target_from_source[:3, :3].T
    return rigid(rotation, -rotation @ target_from_source[:3, 3])


def orthonormal(target_from_source: Mat4) -> Mat4:
    """The nearest rigid transform: the rotation part through an SVD (Arun et al. 1987)."""
    u, _, vt = np.linalg.svd(target_from_source[:3, :3])
    u[:, 2] *= np.linalg.det(u @ vt)
    return rigid(u @ vt, target_from_source[:3, 3])


def require_rigid(target_from_source: Mat4, name: str, tolerance: float = 1e-2) -> Mat4:
    """Check a transform that came from outside and return its nearest rigid one.

    Raises InputError when it is not (4, 4), not finite, has another last row than 0 0 0 1, or its
    rotation part is further than `tolerance` from orthonormal with determinant +1.
    """
    matrix = np.asarray(target_from_source, np.float64)
    if matrix.shape != (4, 4):
        raise InputError(f"{name}: shape {matrix.shape}, must be (4, 4)")
    if not np.isfinite(matrix).all():
        raise InputError(f"{name}: has NaN or infinite entries")
    if not np.allclose(matrix[3], (0, 0, 0, 1), atol=1e-6):
        raise InputError(f"{name}: last row is {matrix[3].tolist()}, must be [0, 0, 0, 1]")
    rotation = matrix[:3, :3]
    with np.errstate(over="ignore", invalid="ignore"):
        error = float(np.abs(rotation @ rotation.T - np.eye(3)).max())
        determinant = float(np.linalg.det(rotation))
    if not error <= tolerance or determinant < 0:
        raise InputError(
            f"{name}: not a rigid transform, rotation part is {error:.3g} from orthonormal "
            f"(limit {tolerance}), determinant {determinant:.3g} (must be +1)"
        )
    return orthonormal(matrix)


def distance(target_from_a: Mat4, target_from_b: Mat4) -> float:
    """How far two poses are apart: metres between origins plus radians between orientations."""
    translation_m = np.linalg.norm(target_from_a[:3, 3] - target_from_b[:3, 3])
    a_from_b = target_from_a[:3, :3].T @ target_from_b[:3, :3]
    return float(translation_m + np.arccos(np.clip((np.trace(a_from_b) - 1) / 2, -1, 1)))


def pose_vector(world_from_camera: Mat4) -> NDArray[np.float64]:
    """(7,) tx ty tz qx qy qz qw of a rigid transform, with qw ≥ 0."""
    quat_xyzw = Rotation.from_matrix(world_from_camera[:3, :3]).as_quat(canonical=True)
    return np.concatenate([world_from_camera[:3, 3], quat_xyzw])


def from_pose_vector(pose: NDArray[np.float64]) -> Mat4:
    """Invert `pose_vector`; the quaternion is normalised."""
    return rigid(Rotation.from_quat(pose[3:7]).as_matrix(), np.asarray(pose[:3], np.float64))
