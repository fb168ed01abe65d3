"""The distance field of a pool of blocks in main memory: the CPU backend."""

import numpy as np
from numpy.typing import NDArray

from gpu.field import Field
from gpu.grid import Mat4
from gpu.kernels.align import sample_field
from gpu.kernels.pool import Pool


class CpuField(Field):
    """Reads a pool in main memory. One thread calls it."""

    def __init__(
        self,
        pool: Pool,
        voxel_size_m: float,
        truncation_m: float,
        focal_px: NDArray[np.float64],
        centre_px: NDArray[np.float64],
    ) -> None:
        """Read a pool's voxels; `focal_px` and `centre_px` (2,) along u, v."""
        super().__init__(voxel_size_m, truncation_m, focal_px, centre_px)
        self._pool = pool

    def sample(
        self, points: NDArray[np.float32], world_from_camera: Mat4, min_weight: int
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """As `Field.sample`."""
        distances, slopes = np.empty(len(points), np.float32), np.empty_like(points)
        grid_from_camera = np.ascontiguousarray(world_from_camera[:3] / self._voxel_size_m)
        sample_field(points, grid_from_camera, min_weight, self._pool, distances, slopes)
        return distances, slopes
