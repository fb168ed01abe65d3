"""How far an estimated path is from the true one: ATE and RPE (Sturm et al. 2012), through evo.

For a mesh, see evaluate_mesh.py.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from mapcast_client.errors import InputError
from replay.association import associate
from replay.similarity import fit_rotation, fit_similarity
from slam.geometry import Mat4, rigid
from slam.trajectory import Trajectory

if TYPE_CHECKING:
    from evo.core.trajectory import PoseTrajectory3D

_ASSOCIATION_NS = 1_000_000
_FEWEST_POSES = 3


@dataclass(frozen=True, slots=True)
class RelativeError:
    """Drift over a fixed number of frames."""

    translation_rmse_m: float
    rotation_rmse_deg: float


def ate_rmse_m(estimated: Trajectory, truth: Trajectory, *, scaled: bool = False) -> float:
    """RMSE of the camera centres after the best rigid alignment; `scaled`: similarity.

    Poses belong together when their instants differ by at most 1 ms. Raises InputError if fewer
    than three do, or a scale is asked for of a path that stands still.
    """
    from evo.core.geometry import GeometryException
    from evo.core.metrics import APE, PoseRelation

    estimated_path, true_path = _matched(estimated, truth)
    try:
        estimated_path.align(true_path, correct_scale=scaled)
    except GeometryException:
        # evo refuses a straight path, for its rotation is not determined; its error is.
        return _straight_rmse_m(estimated_path.positions_xyz, true_path.positions_xyz, scaled)
    metric = APE(PoseRelation.translation_part)
    metric.process_data((true_path, estimated_path))
    return _rmse(metric.error)


def relative_error(
    estimated: Trajectory, truth: Trajectory, delta_frames: int = 30
) -> RelativeError:
    """RMSE of the motions over `delta_frames` matched frames, all pairs, without alignment.

    Raises InputError if fewer than three poses, or not more than `delta_frames`, belong together.
    """
    from evo.core.metrics import RPE, PoseRelation, Unit

    estimated_path, true_path = _matched(estimated, truth)
    if not 1 <= delta_frames < true_path.num_poses:
        raise InputError(
            f"delta_frames is {delta_frames}, must be 1 to {true_path.num_poses - 1}, "
            "one less than the matched poses"
        )
    errors = []
    for relation in (PoseRelation.translation_part, PoseRelation.rotation_angle_deg):
        metric = RPE(relation, delta_frames, Unit.frames, all_pairs=True)
        metric.process_data((true_path, estimated_path))
        errors.append(_rmse(metric.error))
    return RelativeError(*errors)


def truth_from_estimated(estimated: Trajectory, truth: Trajectory) -> Mat4:
    """The rigid transform that takes the estimate's world to the truth's (Umeyama 1991, eq. 40-41).

    It aligns each camera's centre and the points one metre along its axes: a short or straight
    walk leaves the centres' rotation open, the cameras' own rotations do not. Raises InputError if
    fewer than three poses belong together.
    """
    pairs = _pairs(estimated, truth)
    from_points = _axis_points(estimated.world_from_camera[pairs[:, 0]])
    to_points = _axis_points(truth.world_from_camera[pairs[:, 1]])
    from_centre, to_centre = from_points.mean(axis=0), to_points.mean(axis=0)
    rotation = fit_rotation(from_points - from_centre, to_points - to_centre)
    return rigid(rotation, to_centre - rotation @ from_centre)


def similarity_from_estimated(estimated: Trajectory, truth: Trajectory) -> Mat4:
    """The similarity that takes the estimate's world to the truth's: [s·R | t].

    For monocular paths, whose unit is their own. The cameras' own rotations give R, a straight walk
    is enough; then s and t are the best for the centres (Umeyama 1991, eq. 41-42). Raises
    InputError if fewer than three poses belong together or the estimate stands still.
    """
    pairs = _pairs(estimated, truth)
    from_poses = estimated.world_from_camera[pairs[:, 0]]
    to_poses = truth.world_from_camera[pairs[:, 1]]
    rotation = fit_rotation(_axes(from_poses), _axes(to_poses))
    return fit_similarity(from_poses[:, :3, 3], to_poses[:, :3, 3], rotation)


class LiveAte:
    """ATE so far, kept up to date in constant time a frame for a progress display."""

    def __init__(self) -> None:
        self._count = 0
        self._first: NDArray[np.float64] = np.zeros((2, 3))
        self._sums: NDArray[np.float64] = np.zeros((2, 3))
        self._products: NDArray[np.float64] = np.zeros((3, 3))
        self._squares: NDArray[np.float64] = np.zeros(2)

    def __len__(self) -> int:
        return self._count

    def add(self, estimated: Mat4, true: Mat4) -> None:
        """Add a frame's estimated and true world_from_camera."""
        if self._count == 0:
            # Sums near the origin keep their digits in worlds with large coordinates.
            self._first = np.stack([estimated[:3, 3], true[:3, 3]])
        a, b = np.stack([estimated[:3, 3], true[:3, 3]]) - self._first
        self._count += 1
        self._sums += (a, b)
        self._products += np.outer(b, a)
        self._squares += (a @ a, b @ b)

    def rmse_m(self, *, scaled: bool = False) -> float | None:
        """RMSE after the best rigid alignment, `scaled`: similarity; None below three frames.

        σ² = σa² + σb² − 2 tr(D S) with unit scale, σb² − tr(D S)² / σa² with the best one
        (Umeyama 1991, eq. 33).
        """
        if self._count < _FEWEST_POSES:
            return None
        means = self._sums / self._count
        a, b = self._squares / self._count - (means**2).sum(axis=1)
        covariance = self._products / self._count - np.outer(means[1], means[0])
        u, s, vt = np.linalg.svd(covariance)
        s[2] *= np.sign(np.linalg.det(u @ vt))
        if not scaled:
            return float(np.sqrt(max(a + b - 2 * s.sum(), 0.0)))
        return float(np.sqrt(max(b - s.sum() ** 2 / a, 0.0))) if a > 0 else None


def _pairs(estimated: Trajectory, truth: Trajectory) -> NDArray[np.int64]:
    """(K, 2) indices of poses that belong together. Raises InputError if there are under three."""
    pairs = associate(estimated.capture_ns, truth.capture_ns, _ASSOCIATION_NS)
    if len(pairs) < _FEWEST_POSES:
        raise InputError(
            f"{len(pairs)} of {len(estimated)} estimated and {len(truth)} true poses have the same "
            "instant within 1 ms, must be at least 3"
        )
    return pairs


def _matched(
    estimated: Trajectory, truth: Trajectory
) -> tuple["PoseTrajectory3D", "PoseTrajectory3D"]:
    """The poses that belong together as evo's trajectories."""
    from evo.core.trajectory import PoseTrajectory3D

    pairs = _pairs(estimated, truth)
    seconds = truth.capture_ns[pairs[:, 1]] * 1e-9
    first, second = (
        PoseTrajectory3D(poses_se3=list(poses), timestamps=seconds)
        for poses in (
            estimated.world_from_camera[pairs[:, 0]],
            truth.world_from_camera[pairs[:, 1]],
        )
    )
    return first, second


def _axis_points(world_from_camera: NDArray[np.float64]) -> NDArray[np.float64]:
    """(4K, 3) the centres of (K, 4, 4) cameras and the points one metre along their axes."""
    centres = world_from_camera[:, :3, 3]
    along = centres[:, None] + world_from_camera[:, :3, :3].transpose(0, 2, 1)
    return np.concatenate([centres, along.reshape(-1, 3)])


def _axes(world_from_camera: NDArray[np.float64]) -> NDArray[np.float64]:
    """(3K, 3) the directions of the axes of (K, 4, 4) cameras."""
    return world_from_camera[:, :3, :3].transpose(0, 2, 1).reshape(-1, 3)


def _straight_rmse_m(
    estimated: NDArray[np.float64], true: NDArray[np.float64], scaled: bool
) -> float:
    """RMSE of (K, 3) centres after the best alignment, one of many."""
    a, b = estimated - estimated.mean(axis=0), true - true.mean(axis=0)
    turned = a @ fit_rotation(a, b).T
    if scaled:
        if not a.any():
            raise InputError("the estimated path stands still: it has no scale")
        turned *= np.vdot(turned, b) / np.vdot(a, a)
    return _rmse(np.linalg.norm(turned - b, axis=1))


def _rmse(errors: NDArray[np.float64]) -> float:
    return float(np.sqrt(np.mean(np.square(errors))))
