"""Poses and measurements as gtsam has them: rigid, or with a scale."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Protocol

import gtsam
import numpy as np
from numpy.typing import NDArray

from slam.geometry import Mat4

_CAUCHY_SIGMAS = 2.0
"""Cauchy's kernel pulls with c² / residual, however small the sigma: one measurement wins against
a chain if it is off by less than 2c of the chain's sigmas, n that agree by less than 2c √n."""

_HELD_SIGMA = 1e-6
_UNMEASURED_SIGMA = 10.0


@dataclass(frozen=True, slots=True)
class Edge:
    """A measured relative pose of two keyframes, by their numbers."""

    first: int
    second: int
    first_from_second: Mat4
    """Lengths as seen from the first one."""
    sigma_m: float
    sigma_rad: float
    is_robust: bool
    """Whether it may be wrong altogether."""
    scale: float = 1.0
    """The second one's scale in terms of the first one's."""
    sigma_log_scale: float = 0.0
    """0: the scale is not measured."""
    tolerance: float = 1.0
    """How many times as many sigmas as usual a robust one may be off and still be believed."""


class Factors(Protocol):
    """What a graph is made of."""

    def value(self, world_from_keyframe: Mat4, scale: float) -> Any:
        """A node's value."""

    def held(self, number: int, value: Any) -> Any:
        """The factor that keeps a node at a value."""

    def between(self, edge: Edge) -> Any:
        """The factor of an edge."""

    def at(self, values: gtsam.Values, number: int) -> Any:
        """A node's value."""

    def poses(
        self, values: gtsam.Values, numbers: Iterable[int]
    ) -> tuple[Mat4, NDArray[np.float64]]:
        """(N, 4, 4) world_from_keyframe and (N,) scale of some nodes."""


class RigidFactors:
    """SE(3): gtsam.Pose3, whose tangent vectors are (rotation, translation)."""

    def value(self, world_from_keyframe: Mat4, scale: float) -> gtsam.Pose3:
        """A node's value."""
        return gtsam.Pose3(world_from_keyframe)

    def held(self, number: int, value: gtsam.Pose3) -> Any:
        """The factor that keeps a node at a value."""
        noise = gtsam.noiseModel.Isotropic.Sigma(6, _HELD_SIGMA)
        return gtsam.PriorFactorPose3(number, value, noise)

    def between(self, edge: Edge) -> Any:
        """The factor of an edge."""
        noise = _noise(edge, [])
        measured = gtsam.Pose3(edge.first_from_second)
        return gtsam.BetweenFactorPose3(edge.first, edge.second, measured, noise)

    def at(self, values: gtsam.Values, number: int) -> gtsam.Pose3:
        """A node's value."""
        return values.atPose3(number)

    def poses(
        self, values: gtsam.Values, numbers: Iterable[int]
    ) -> tuple[Mat4, NDArray[np.float64]]:
        """(N, 4, 4) world_from_keyframe and (N,) ones."""
        poses = np.array([values.atPose3(number).matrix() for number in numbers])
        return poses, np.ones(len(poses))


class SimilarityFactors:
    """Sim(3): gtsam.Similarity3, which takes p to s · (R · p + t): our translation is s · t.

    Its tangent vectors are (rotation, translation, logarithm of the scale).
    """

    def value(self, world_from_keyframe: Mat4, scale: float) -> gtsam.Similarity3:
        """A node's value."""
        translation = world_from_keyframe[:3, 3] / scale
        return gtsam.Similarity3(world_from_keyframe[:3, :3], translation, scale)

    def held(self, number: int, value: gtsam.Similarity3) -> Any:
        """The factor that keeps a node at a value."""
        noise = gtsam.noiseModel.Isotropic.Sigma(7, _HELD_SIGMA)
        return gtsam.PriorFactorSimilarity3(number, value, noise)

    def between(self, edge: Edge) -> Any:
        """The factor of an edge."""
        noise = _noise(edge, [edge.sigma_log_scale or _UNMEASURED_SIGMA])
        measured = self.value(edge.first_from_second, edge.scale)
        return gtsam.BetweenFactorSimilarity3(edge.first, edge.second, measured, noise)

    def at(self, values: gtsam.Values, number: int) -> gtsam.Similarity3:
        """A node's value."""
        return values.atSimilarity3(number)

    def poses(
        self, values: gtsam.Values, numbers: Iterable[int]
    ) -> tuple[Mat4, NDArray[np.float64]]:
        """(N, 4, 4) world_from_keyframe and (N,) scale of some nodes."""
        # [R t; 0 1/s]
        matrices = np.array([values.atSimilarity3(number).matrix() for number in numbers])
        scale = 1.0 / matrices[:, 3, 3]
        matrices[:, :3, 3] *= scale[:, None]
        matrices[:, 3, 3] = 1.0
        return matrices, scale


def _noise(edge: Edge, sigmas: list[float]) -> Any:
    noise = gtsam.noiseModel.Diagonal.Sigmas(
        np.array([edge.sigma_rad] * 3 + [edge.sigma_m] * 3 + sigmas)
    )
    if not edge.is_robust:
        return noise
    return gtsam.noiseModel.Robust.Create(
        gtsam.noiseModel.mEstimator.Cauchy.Create(_CAUCHY_SIGMAS * edge.tolerance), noise
    )


def loss(sigmas: float, is_robust: bool, tolerance: float = 1.0) -> float:
    """What a factor's error is when its residual is so many sigmas."""
    if not is_robust:
        return 0.5 * sigmas**2
    width = _CAUCHY_SIGMAS * tolerance
    return float(0.5 * width**2 * np.log1p((sigmas / width) ** 2))
