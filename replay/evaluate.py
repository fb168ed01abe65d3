"""How far an estimated path is from the true one: ATE and RPE (Sturm et al. 2012), through evo.

For a mesh, see evaluate_mesh.py.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from mapcast_client.errors import InputError
from replay.association import associate
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
    than three do.
    """
    from evo.core.metrics import APE, PoseRelation

    estimated_path, true_path = _matched(estimated, truth)
    estimated_path.align(true_path, correct_scale=scaled)
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
    """The rigid transform that takes the estimate's world to the truth's (Umeyama 1991).

    Raises InputError if fewer than three poses belong together.
    """
    pairs = _pairs(estimated, truth)
    sums = LiveAte()
    for i, j in pairs:
        sums.add(estimated.world_from_camera[i], truth.world_from_camera[j])
    return sums.truth_from_estimated()


class LiveAte:
    """ATE so far, kept up to date in constant time a frame for a progress display."""

    def __init__(self) -> None:
        self._count = 0
        self._first: NDArray[np.float64] = np.zeros((2, 3))
        self._sums: NDArray[np.float64] = np.zeros((2, 3))
        self._products: NDArray[np.float64] = np.zeros((3, 3))
        self._squares = 0.0

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
        self._squares += a @ a + b @ b

    def rmse_m(self) -> float | None:
        """RMSE after the best rigid alignment; None below three frames.

        σ² = σa² + σb² − 2 tr(D S), Umeyama 1991, eq. 33 with unit scale.
        """
        if self._count < _FEWEST_POSES:
            return None
        covariance, means = self._centred()
        variances = self._squares / self._count - float((means**2).sum())
        u, s, vt = np.linalg.svd(covariance)
        s[2] *= np.sign(np.linalg.det(u @ vt))
        return float(np.sqrt(max(variances - 2 * s.sum(), 0.0)))

    def truth_from_estimated(self) -> Mat4:
        """The best rigid alignment so far (Umeyama 1991, eq. 40-41). Raises InputError."""
        if self._count < _FEWEST_POSES:
            raise InputError(f"{self._count} poses belong together, alignment needs 3")
        covariance, means = self._centred()
        u, _, vt = np.linalg.svd(covariance)
        u[:, 2] *= np.linalg.det(u @ vt)
        rotation = u @ vt
        centre_a, centre_b = means + self._first
        return rigid(rotation, centre_b - rotation @ centre_a)

    def _centred(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """(3, 3) covariance of truth and estimate, and both means (2, 3)."""
        means = self._sums / self._count
        return self._products / self._count - np.outer(means[1], means[0]), means


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


def _rmse(errors: NDArray[np.float64]) -> float:
    return float(np.sqrt(np.mean(np.square(errors))))
