"""Finding the blocks that a view touches, on a device."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gpu.backend import WORD_BYTES, Backend, Buffer
from gpu.device.arguments import matrix_arguments
from gpu.device.pool import DevicePool
from gpu.grid import FusionGrid, Mat4, Pinhole, band_steps, ray_stride_px
from gpu.kernels import BLOCK_VOX

_RAY_ITEMS = 64
_CLAIM_GROUPS = 256
_COUNTERS = 4
_AHEAD = 512
"""Unknown blocks that come down together with their number: a frame seldom has more."""


@dataclass(frozen=True, slots=True)
class TouchedBlocks:
    """What a view touches."""

    places: NDArray[np.int32]
    """(K,) of blocks in the pool, in any order."""
    unknown: NDArray[np.int32]
    """(U, 3) coordinates of others, each once, in any order."""
    refused: int
    """Observations refused since the call before."""


class DeviceTouch:
    """Samples the rays of a view. One thread calls it."""

    def __init__(self, pool: DevicePool, grid: FusionGrid, camera: Pinhole) -> None:
        """Make room for a camera's rays. Raises DeviceMemoryError."""
        self._pool, self._grid, self._camera = pool, grid, camera
        self._backend: Backend = pool.backend
        self._steps = band_steps(grid)
        self._stride_px = ray_stride_px(grid, camera)
        self._columns = -(-camera.width_px // self._stride_px)
        self._rays = self._columns * -(-camera.height_px // self._stride_px)
        samples = self._rays * self._steps
        self._claim_mask = (1 << (2 * samples - 1).bit_length()) - 1
        self._listed = self._backend.alloc(3 * samples * WORD_BYTES)
        self._claims = self._backend.alloc((self._claim_mask + 1) * WORD_BYTES)
        self.found = self._backend.alloc((_COUNTERS + 3 * samples) * WORD_BYTES)
        """int: counters, see allocate.c, and (U, 3) unknown blocks."""
        self._found_words = _COUNTERS + 3 * samples
        self._touched = self._backend.alloc(pool.capacity * WORD_BYTES)
        self._refused = 0

    def find(
        self,
        pixels: Buffer,
        first_pixel: int,
        world_from_camera: Mat4,
        stamp: int,
        with_unknown: bool,
        meanwhile: Callable[[], None],
    ) -> TouchedBlocks:
        """Stamp the known blocks in the band of every sampled ray, and list the unknown.

        `meanwhile` is called when the device has been asked, before its answer is waited for.
        """
        self._make_room()
        self._backend.upload(self.found, np.zeros(_COUNTERS - 1, np.int32))
        self._touch(pixels, first_pixel, world_from_camera, stamp)
        if with_unknown:
            self._backend.fill(self._claims, 0xFFFFFFFF)
            self._backend.launch(
                "claim_blocks",
                _CLAIM_GROUPS,
                listed=self._listed,
                claims=self._claims,
                found=self.found,
                claim_mask=self._claim_mask,
                shares=_CLAIM_GROUPS,
            )
        meanwhile()
        return self._download()

    def _make_room(self) -> None:
        size_bytes = self._pool.capacity * WORD_BYTES
        if self._touched.size_bytes < size_bytes:
            before, self._touched = self._touched, self._backend.alloc(size_bytes)
            self._backend.free(before)

    def _touch(self, pixels: Buffer, first_pixel: int, world_from_camera: Mat4, stamp: int) -> None:
        block_from_camera = world_from_camera[:3] / (BLOCK_VOX * self._grid.voxel_size_m)
        # Whole blocks and the rest apart: far from the origin float32 alone would lose the rest.
        whole = np.floor(block_from_camera[:, 3])
        block_from_camera[:, 3] -= whole
        band_m = self._grid.truncation_m
        self._backend.launch(
            "touch_blocks",
            -(-self._rays // _RAY_ITEMS),
            pixels=pixels,
            buckets=self._pool.buckets,
            coords=self._pool.coords,
            stamps=self._pool.stamps,
            touched=self._touched,
            listed=self._listed,
            found=self.found,
            first_pixel=first_pixel,
            width=self._camera.width_px,
            columns=self._columns,
            rays=self._rays,
            stride=self._stride_px,
            steps=self._steps,
            first_m=-band_m,
            step_m=2.0 * band_m / (self._steps - 1),
            centre_u=float(self._camera.centre_px[0]),
            centre_v=float(self._camera.centre_px[1]),
            inverse_focal_u=float(1.0 / self._camera.focal_px[0]),
            inverse_focal_v=float(1.0 / self._camera.focal_px[1]),
            **matrix_arguments(block_from_camera),
            x0=int(whole[0]),
            y0=int(whole[1]),
            z0=int(whole[2]),
            bucket_mask=self._pool.bucket_mask,
            stamp=stamp,
        )

    def _download(self) -> TouchedBlocks:
        words = min(_COUNTERS + 3 * _AHEAD, self._found_words)
        head = self._backend.download(self.found, np.int32, words)
        _, unique, touched, refused = (int(each) for each in head[:_COUNTERS])
        if unique > _AHEAD:
            head = self._backend.download(self.found, np.int32, _COUNTERS + 3 * unique)
        unknown = head[_COUNTERS : _COUNTERS + 3 * unique].reshape(unique, 3)
        places = self._backend.download(self._touched, np.int32, touched)
        return TouchedBlocks(places, unknown, self._since(refused))

    def refused(self) -> int:
        """Observations refused since this, or a view, was asked for last; waits."""
        head = self._backend.download(self.found, np.int32, _COUNTERS)
        return self._since(int(head[-1]))

    def _since(self, refused: int) -> int:
        refused, self._refused = (refused - self._refused) & 0xFFFFFFFF, refused
        return refused
