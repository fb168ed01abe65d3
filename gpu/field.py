"""The distance field of a pool of blocks, and how a view fits it, whichever backend holds it."""

from abc import ABC, abstractmethod
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gpu.grid import Mat4
from gpu.kernels.align import sample_depth, sum_normal_equations


@dataclass(frozen=True, slots=True)
class NormalEquations:
    """A weighted sum of squared distances, linearised in a small motion of the camera."""

    normal: NDArray[np.float64]
    """(6, 6) Σ w JᵀJ / Σ w, for (translation in metres, rotation in radians · lever)."""
    gradient: NDArray[np.float64]
    """(6,) Σ w J r / Σ w."""
    rms_m: float
    """Of the weighted distances."""


class Field(ABC):
    """Reads the distances at points of views, which one camera took. One thread calls it."""

    def __init__(
        self,
        voxel_size_m: float,
        truncation_m: float,
        focal_px: NDArray[np.float64],
        centre_px: NDArray[np.float64],
    ) -> None:
        """Fit views of a camera; `focal_px` and `centre_px` (2,) along u, v."""
        self._voxel_size_m, self._truncation_m = voxel_size_m, truncation_m
        self._focal_px, self._centre_px = focal_px, centre_px

    @abstractmethod
    def sample(
        self, points: NDArray[np.float32], world_from_camera: Mat4, min_weight: int
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """(N,) distances in truncations and (N, 3) slopes along the world's axes, per voxel.

        The distance is NaN where a voxel around the point has less weight than `min_weight`.
        """

    def points(
        self,
        depth: NDArray[np.uint16] | NDArray[np.float32],
        depth_scale_m: float,
        range_m: tuple[float, float],
        stride_px: int,
    ) -> NDArray[np.float32]:
        """(N, 3) points in the camera's frame, spread over the smooth parts of an image."""
        height, width = depth.shape
        room = -(-height // stride_px) * -(-width // stride_px)
        points = np.empty((room, 3), np.float32)
        image = np.ascontiguousarray(depth).view()
        image.flags.writeable = False
        found = sample_depth(
            image,
            float(depth_scale_m),
            range_m[0],
            range_m[1],
            stride_px,
            self._focal_px,
            self._centre_px,
            points,
        )
        return points[:found]

    def linearise(
        self,
        points: NDArray[np.float32],
        field: tuple[NDArray[np.float32], NDArray[np.float32]],
        world_from_camera: Mat4,
        sigmas_m: NDArray[np.float32],
        lever_m: float,
        limit_sigmas: float,
    ) -> NormalEquations | None:
        """The normal equations of points, with the `field` sampled there.

        Points count by 1 / sigma² and Tukey's biweight, which ends at `limit_sigmas`. None if none
        counts.
        """
        normal, gradient = np.empty((6, 6)), np.empty(6)
        weights, squares = sum_normal_equations(
            points,
            *field,
            np.ascontiguousarray(world_from_camera[:3, :3].T),
            sigmas_m,
            self._truncation_m,
            self._voxel_size_m,
            lever_m,
            limit_sigmas,
            normal,
            gradient,
        )
        if not weights > 0:
            return None
        return NormalEquations(normal / weights, gradient / weights, np.sqrt(squares / weights))
