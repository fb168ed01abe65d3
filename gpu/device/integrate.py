"""Adding a loaded view to blocks of a pool on a device, or taking it out."""

import numpy as np
from numpy.typing import NDArray

from gpu.backend import WORD_BYTES, Backend, Buffer
from gpu.device.arguments import block_at, matrix_arguments
from gpu.device.images import DeviceImages
from gpu.device.pool import START_BLOCKS, DevicePool
from gpu.grid import FusionGrid, Mat4, Pinhole
from gpu.kernels import BLOCK_VOX, DISTANCE_STEPS

_WORK_WORDS = 4
"""A block's place and its coordinates."""


class DeviceIntegrate:
    """Integrates views of a camera. One thread calls it."""

    def __init__(
        self, pool: DevicePool, images: DeviceImages, grid: FusionGrid, camera: Pinhole
    ) -> None:
        """Make room. Raises DeviceMemoryError."""
        self._pool, self._images, self._grid, self._camera = pool, images, grid, camera
        self._backend: Backend = pool.backend
        self._work = self._backend.alloc(
            min(START_BLOCKS, pool.capacity) * _WORK_WORDS * WORD_BYTES
        )

    def integrate(
        self,
        places: NDArray[np.int32],
        camera_from_world: Mat4,
        image: int,
        removing: bool,
        found: Buffer,
    ) -> None:
        """Add a loaded view to the blocks at (K,) places, or take it out.

        What is refused is counted in `found`, see `DeviceTouch`.
        """
        grid, pool = self._grid, self._pool
        position_m = -camera_from_world[:3, :3].T @ camera_from_world[:3, 3]
        base = block_at(position_m, grid.voxel_size_m)
        work = np.empty((len(places), _WORK_WORDS), np.int32)
        work[:, 0] = places
        here = pool.host_coords.take(places, axis=0)
        np.subtract(here, base.astype(np.int32), out=work[:, 1:])
        self._backend.launch(
            "integrate_blocks",
            len(places),
            work=self._uploaded(work),
            pixels=self._images.pixels,
            sdf_sum=pool.sdf_sum,
            counts=pool.counts,
            color_low=pool.color_low,
            color_high=pool.color_high,
            change=pool.change,
            found=found,
            first_pixel=self._images.first_pixel(image),
            width=self._camera.width_px,
            height=self._camera.height_px,
            **matrix_arguments(self._image_from_grid(camera_from_world, base)),
            truncation_m=grid.truncation_m,
            steps_per_m=float(np.float32(DISTANCE_STEPS) / np.float32(grid.truncation_m)),
            min_weight=grid.min_weight,
            removing=int(removing),
            count=len(places),
        )

    def _image_from_grid(
        self, camera_from_world: Mat4, base: NDArray[np.int64]
    ) -> NDArray[np.float64]:
        """(3, 4) from voxels relative to block `base` to (u + ½)·z, (v + ½)·z, z."""
        (fx, fy), (cx, cy) = self._camera.focal_px, self._camera.centre_px
        matrix = np.array([[fx, 0, cx + 0.5], [0, fy, cy + 0.5], [0, 0, 1]])
        image_from_grid = matrix @ camera_from_world[:3]
        image_from_grid[:, :3] *= self._grid.voxel_size_m
        image_from_grid[:, 3] += image_from_grid[:, :3] @ (BLOCK_VOX * base)
        return np.asarray(image_from_grid, np.float64)

    def _uploaded(self, work: NDArray[np.int32]) -> Buffer:
        if self._work.size_bytes < work.nbytes:
            before, self._work = self._work, self._backend.alloc(2 * work.nbytes)
            self._backend.free(before)
        self._backend.upload(self._work, work)
        return self._work
