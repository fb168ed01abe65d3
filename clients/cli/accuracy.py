"""How far a replay's path is from the true one, while it runs and at its end."""

from dataclasses import dataclass, field

from clients.cli.tally import Tally
from mapcast_client.errors import InputError
from mapcast_client.poses import pose_matrix
from replay.evaluate import LiveAte, ate_rmse_m, similarity_from_estimated
from replay.similarity import scale_of
from slam.geometry import Mat4
from slam.trajectory import Trajectory

FEWEST_POSES = 3


def path_error_m(
    estimated: Trajectory, truth: Trajectory | None, *, scaled: bool = False
) -> float | None:
    """ATE of a path; None without truth, or where hardly a pose has a true one.

    `scaled`: after the best similarity, as befits a monocular path.
    """
    if truth is None or len(estimated) < FEWEST_POSES:
        return None
    try:
        return ate_rmse_m(estimated, truth, scaled=scaled)
    except InputError:
        return None


def true_scale(estimated: Trajectory, truth: Trajectory | None) -> float | None:
    """Metres of the truth per unit of a path; None as for `path_error_m`."""
    if truth is None or len(estimated) < FEWEST_POSES:
        return None
    try:
        return scale_of(similarity_from_estimated(estimated, truth))
    except InputError:
        return None


@dataclass(slots=True)
class RunningAte:
    """The ATE of the live poses so far in the newest epoch, brought up to date at each look."""

    tally: Tally
    truth: Trajectory | None
    scaled: bool = False
    """After the best similarity, as befits a monocular path."""
    _sums: LiveAte = field(default_factory=LiveAte)
    _true_poses: dict[int, Mat4] = field(default_factory=dict)
    _seen: int = 0
    _epoch: int = 0

    def __post_init__(self) -> None:
        if self.truth is not None:
            poses = zip(self.truth.capture_ns.tolist(), self.truth.world_from_camera, strict=True)
            self._true_poses = dict(poses)

    def rmse_m(self) -> float | None:
        """The ATE so far; None without truth or with hardly a pose."""
        if self.tally.epoch != self._epoch:
            self._epoch, self._seen, self._sums = self.tally.epoch, 0, LiveAte()
        for result in self.tally.results[self._seen :]:
            self._seen += 1
            true_pose = self._true_poses.get(result.capture_ns)
            if true_pose is not None and self.tally.has_comparable_pose(result):
                self._sums.add(pose_matrix(result.world_from_camera), true_pose)
        return self._sums.rmse_m(scaled=self.scaled)
