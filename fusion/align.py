"""Aligning a view to the surface that is there: point to signed distance (Bylow et al. 2013)."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from fusion.volume import Volume
from gpu.field import Field, NormalEquations
from mapcast_client.errors import InputError
from slam.frame import Frame
from slam.geometry import Mat4, inverse, orthonormal, rigid

_MAD = 1.4826
"""The standard deviation of a normal distribution over its median absolute deviation."""


@dataclass(frozen=True, slots=True)
class AlignmentSettings:
    """How views are aligned, and which alignments are believed."""

    stride_px: int = 10
    """Pixels between points: 3,072 of them at 640×480."""
    most_m: float = 0.05
    most_rad: float = 0.05
    """A larger correction is not believed."""
    least_points: int = 200
    noisiest: float = 1 / 3
    """In terms of the truncation: points of a larger sigma hardly count. Distances end there, so
    that their noise pulls to one side."""
    least_share: float = 0.15
    """Of the points must lie in voxels that are known."""
    least_curvature: float = 0.003
    """Directions with a smaller eigenvalue of the normal matrix are left as they are: 1 is a
    wall's along its normal."""
    tukey_sigmas: float = 5.0
    least_sigma: float = 0.3
    """In terms of the sensor's: the biweight never gets narrower."""
    iterations: int = 8
    settled_m: float = 3e-4

    def __post_init__(self) -> None:
        if not 4 <= self.stride_px <= 64:
            raise InputError(f"stride_px is {self.stride_px}, must be 4 to 64")
        if not 0 < self.noisiest < np.inf:
            raise InputError(f"noisiest is {self.noisiest}, must be positive")
        if not (0 < self.most_m <= 1 and 0 < self.most_rad <= 1):
            raise InputError(f"most_m is {self.most_m}, most_rad {self.most_rad}: must be 0 to 1")


@dataclass(frozen=True, slots=True)
class Alignment:
    """Where a view fits the surface."""

    world_from_camera: Mat4
    directions: int
    """How many of the 6 directions of motion the surface determines."""
    known_share: float
    """Of the view's points, those near surface that was there already."""
    rms_m: float
    """What is left of the distances."""
    moved_m: float
    """From where it began."""

    @property
    def is_complete(self) -> bool:
        """Whether the surface determines the whole pose."""
        return self.directions == 6


class Aligner:
    """Finds the pose at which a view fits a volume. One thread calls it, the volume's."""

    def __init__(self, volume: Volume, settings: AlignmentSettings | None = None) -> None:
        """Align views of the volume's camera."""
        self._volume = volume
        self._settings = AlignmentSettings() if settings is None else settings

    def align(self, frame: Frame, world_from_camera: Mat4, wider: float = 1.0) -> Alignment | None:
        """Find the pose of a frame with depth, starting from nearly the right one.

        Gauss-Newton on the distances at a few thousand points. Motions that the surface does not
        determine keep the start's share (Zhang et al. 2016, "On degeneracy"). None if too little of
        what is seen is known, or the pose is farther off than `wider` times the bounds.
        """
        assert frame.depth is not None
        settings, field = self._settings, self._volume.field()
        range_m = self._volume.settings.depth_min_m, self._volume.settings.depth_max_m
        points = field.points(frame.depth, frame.depth_scale_m, range_m, settings.stride_px)
        if len(points) < settings.least_points:
            return None
        found = self._descend(field, points, world_from_camera)
        if found is None or not self._is_believed(world_from_camera, found, wider):
            return None
        return found

    def _descend(self, field: Field, points: NDArray[np.float32], start: Mat4) -> Alignment | None:
        settings, truncation_m = self._settings, self._volume.settings.truncation_m
        noise_m = sensor_sigma_m(points[:, 2])
        sigmas_m = noise_m * (1 + (noise_m / (settings.noisiest * truncation_m)) ** 4)
        lever_m = float(np.median(points[:, 2]))
        least_points = max(settings.least_points, settings.least_share * len(points))
        world_from_camera, rms_m, known, directions = start, 0.0, 0, 0
        for _ in range(settings.iterations):
            sampled = field.sample(points, world_from_camera, self._volume.settings.min_weight)
            sigmas = np.abs(sampled[0]) * (truncation_m / noise_m)
            sigmas = sigmas[np.abs(sampled[0]) < 1]  # NaN is not
            if len(sigmas) < least_points:
                return None
            spread = max(_MAD * float(np.median(sigmas)), settings.least_sigma)
            equations = field.linearise(
                points,
                sampled,
                world_from_camera,
                sigmas_m,
                lever_m,
                settings.tukey_sigmas * spread,
            )
            if equations is None:
                return None
            step, directions = self._step(equations)
            known, rms_m = len(sigmas), equations.rms_m
            camera_from_next = rigid(Rotation.from_rotvec(step[3:] / lever_m).as_matrix(), step[:3])
            world_from_camera = world_from_camera @ camera_from_next
            if np.abs(step).max() < settings.settled_m:
                break
        moved_m = float(np.linalg.norm(world_from_camera[:3, 3] - start[:3, 3]))
        share = known / len(points)
        return Alignment(orthonormal(world_from_camera), directions, share, rms_m, moved_m)

    def _step(self, equations: NormalEquations) -> tuple[NDArray[np.float64], int]:
        """The step in the directions that the surface determines, and how many they are."""
        curvatures, directions = np.linalg.eigh(equations.normal)
        known = curvatures > self._settings.least_curvature
        along = directions[:, known]
        step = -along @ ((along.T @ equations.gradient) / curvatures[known])
        return step, int(known.sum())

    def _is_believed(self, start: Mat4, found: Alignment, wider: float) -> bool:
        start_from_found = inverse(start) @ found.world_from_camera
        turned_rad = np.arccos(np.clip((np.trace(start_from_found[:3, :3]) - 1) / 2, -1, 1))
        settings = self._settings
        return bool(
            found.moved_m <= wider * settings.most_m and turned_rad <= wider * settings.most_rad
        )


def sensor_sigma_m(depth_m: NDArray[np.float32]) -> NDArray[np.float32]:
    """(N,) standard deviation of a structured-light sensor's depths. Nguyen et al. 2012, eq. 3."""
    return np.asarray(0.0012 + 0.0019 * (depth_m - 0.4) ** 2, np.float32)
