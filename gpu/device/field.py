"""The distance field of a pool on a device."""

import numpy as np
from numpy.typing import NDArray

from gpu.backend import WORD_BYTES
from gpu.device.arguments import block_at, named_base, named_rows
from gpu.device.kept_buffers import KeptBuffers
from gpu.device.pool import DevicePool
from gpu.device.raycast import grid_from_camera_near
from gpu.field import Field
from gpu.grid import FusionGrid, Mat4, Pinhole

_ITEMS = 64
_UNKNOWN = 2.0
_POINT_WORDS, _SAMPLE_WORDS = 3, 4


class DeviceField(Field):
    """Reads a pool on a device. One thread calls it, the pool's."""

    def __init__(self, pool: DevicePool, grid: FusionGrid, camera: Pinhole) -> None:
        """Read a pool's voxels, which mean what `grid` says, for views of a camera."""
        super().__init__(grid.voxel_size_m, grid.truncation_m, camera.focal_px, camera.centre_px)
        self._pool, self._backend = pool, pool.backend
        self._kept = KeptBuffers(pool.backend)

    def sample(
        self, points: NDArray[np.float32], world_from_camera: Mat4, min_weight: int
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """As `Field.sample`."""
        pool, count = self._pool, len(points)
        points_there, samples_there = self._kept.of_sizes(
            _POINT_WORDS * count * WORD_BYTES, _SAMPLE_WORDS * count * WORD_BYTES
        )
        base = block_at(world_from_camera[:3, 3], self._voxel_size_m)
        self._backend.upload(points_there, points)
        self._backend.launch(
            "sample_field",
            -(-count // _ITEMS),
            points=points_there,
            buckets=pool.buckets,
            coords=pool.coords,
            sdf_sum=pool.sdf_sum,
            counts=pool.counts,
            field=samples_there,
            bucket_mask=pool.bucket_mask,
            **named_base(base),
            **named_rows("xyz", grid_from_camera_near(world_from_camera, base, self._voxel_size_m)),
            min_weight=min_weight,
            count=count,
        )
        samples = self._backend.download(samples_there, np.float32, _SAMPLE_WORDS * count)
        distances, slopes = np.split(samples.reshape(count, _SAMPLE_WORDS), [1], axis=1)
        known = distances[:, 0] != _UNKNOWN
        return np.where(known, distances[:, 0], np.float32(np.nan)), slopes.copy()
