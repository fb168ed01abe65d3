"""Views of a volume on a device."""

import numpy as np
from numpy.typing import NDArray

from gpu.backend import WORD_BYTES, Buffer
from gpu.device.arguments import block_at, named_base, named_rows
from gpu.device.kept_buffers import KeptBuffers
from gpu.device.pool import DevicePool, check_spare
from gpu.grid import FusionGrid, Mat4, Pinhole
from gpu.kernels import BLOCK_VOX
from gpu.kernels.raycast import TILE_PX

_PIXEL_WORDS = 5


class DeviceRaycast:
    """Renders a pool on a device. One thread calls it, the pool's."""

    def __init__(self, pool: DevicePool, grid: FusionGrid) -> None:
        """Render a pool whose voxels mean what `grid` says."""
        self._pool, self._backend, self._grid = pool, pool.backend, grid
        self._kept = KeptBuffers(pool.backend)

    def raycast(
        self, camera: Pinhole, world_from_camera: Mat4, camera_from_world: Mat4
    ) -> tuple[NDArray[np.uint8], NDArray[np.float32], NDArray[np.float32]]:
        """Render colour (H, W, 3), depth (H, W) and world normals (H, W, 3); 0 where nothing is.

        Raises DeviceMemoryError if there is no room for such a picture.
        """
        ranges, image = self._images(camera)
        base = block_at(world_from_camera[:3, 3], self._grid.voxel_size_m)
        self._find_ranges(camera, camera_from_world, base, ranges)
        self._cast(camera, world_from_camera, base, ranges, image)

        height, width = camera.height_px, camera.width_px
        pixels = width * height
        words = self._backend.download(image, np.uint32, _PIXEL_WORDS * pixels)
        rgb = words[:pixels].view(np.uint8).reshape(height, width, 4)[:, :, :3]
        depth_m = words[pixels : 2 * pixels].view(np.float32).reshape(height, width)
        normals = words[2 * pixels :].view(np.float32).reshape(height, width, 3)
        return np.ascontiguousarray(rgb), depth_m, normals

    def _find_ranges(
        self, camera: Pinhole, camera_from_world: Mat4, base: NDArray[np.int64], ranges: Buffer
    ) -> None:
        matrix = camera_matrix(camera) @ camera_from_world[:3]
        matrix[:, :3] *= self._grid.voxel_size_m
        matrix[:, 3] += matrix[:, :3] @ (BLOCK_VOX * base)
        rows, columns = _tiles(camera)
        self._backend.fill(ranges, 0)
        self._backend.launch(
            "tile_ranges",
            self._pool.count,
            coords=self._pool.coords,
            ranges=ranges,
            rows=rows,
            columns=columns,
            **named_base(base),
            **named_rows("uvz", matrix),
            count=self._pool.count,
        )

    def _cast(
        self,
        camera: Pinhole,
        world_from_camera: Mat4,
        base: NDArray[np.int64],
        ranges: Buffer,
        image: Buffer,
    ) -> None:
        pool, grid = self._pool, self._grid
        grid_from_camera = grid_from_camera_near(world_from_camera, base, grid.voxel_size_m)
        rays = grid_from_camera[:, :3] @ np.linalg.inv(camera_matrix(camera))
        columns = np.vstack([rays.T, grid_from_camera[:, 3]])
        rows, tile_columns = _tiles(camera)
        self._backend.launch(
            "cast_rays",
            rows * tile_columns,
            buckets=pool.buckets,
            coords=pool.coords,
            sdf_sum=pool.sdf_sum,
            counts=pool.counts,
            color_low=pool.color_low,
            color_high=pool.color_high,
            ranges=ranges,
            image=image,
            bucket_mask=pool.bucket_mask,
            width=camera.width_px,
            height=camera.height_px,
            **named_base(base),
            **named_rows("uvro", columns, "xyz"),
            truncation_vox=grid.truncation_m / grid.voxel_size_m,
            min_weight=grid.min_weight,
        )

    def _images(self, camera: Pinhole) -> list[Buffer]:
        """Room for the ranges of tiles, and for an image, kept while views are of one size."""
        rows, columns = _tiles(camera)
        ranges_bytes = 2 * rows * columns * WORD_BYTES
        image_bytes = _PIXEL_WORDS * camera.height_px * camera.width_px * WORD_BYTES
        if self._kept.sizes_bytes != (ranges_bytes, image_bytes):
            self._kept.free()
            check_spare(self._backend, image_bytes)
        return self._kept.of_sizes(ranges_bytes, image_bytes)


def camera_matrix(camera: Pinhole) -> NDArray[np.float64]:
    """(3, 3) from a point in the camera's frame to u · z, v · z, z."""
    (fx, fy), (cx, cy) = camera.focal_px, camera.centre_px
    return np.array([[fx, 0, cx], [0, fy, cy], [0, 0, 1]], np.float64)


def grid_from_camera_near(
    world_from_camera: Mat4, base: NDArray[np.int64], voxel_size_m: float
) -> NDArray[np.float64]:
    """(3, 4) from the camera's frame to voxels from the first one of block `base`."""
    matrix = world_from_camera[:3] / voxel_size_m
    matrix[:, 3] -= BLOCK_VOX * base
    return np.asarray(matrix, np.float64)


def _tiles(camera: Pinhole) -> tuple[int, int]:
    return -(-camera.height_px // TILE_PX), -(-camera.width_px // TILE_PX)
