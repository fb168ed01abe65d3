"""The depth filter on a device, between the upload of a view and its use; nothing comes back."""

import numpy as np

from gpu.backend import WORD_BYTES, Backend, Buffer
from gpu.grid import FusionGrid, Pinhole

_TILE_WIDTH, _TILE_HEIGHT = 64, 4


class DeviceDepthFilter:
    """Makes of a view's depth a smoother one, and how much it counts: as `CpuDepthFilter`."""

    def __init__(self, backend: Backend, grid: FusionGrid, camera: Pinhole) -> None:
        """Make room. Raises DeviceMemoryError."""
        self._backend, self._grid, self._camera = backend, grid, camera
        self._across = -(-camera.width_px // _TILE_WIDTH)
        self._tiles = self._across * -(-camera.height_px // _TILE_HEIGHT)
        pixels = camera.width_px * camera.height_px
        self._filtered = backend.alloc(WORD_BYTES * (pixels + 3))  # `pack_pixels` reads whole quads

    def smooth(
        self,
        depth: Buffer,
        confidence: Buffer,
        is_float: bool,
        weighted: bool,
        depth_scale_m: float,
    ) -> Buffer:
        """A loaded view's depth in float32 metres, until the next call; 0: none."""
        self._backend.launch(
            "smooth_depth",
            self._tiles,
            depth=depth,
            confidence=confidence,
            filtered=self._filtered,
            width=self._camera.width_px,
            height=self._camera.height_px,
            across=self._across,
            is_float=int(is_float),
            weighted=int(weighted),
            depth_scale_m=depth_scale_m,
            low_m=self._grid.depth_min_m,
            high_m=self._grid.depth_max_m,
        )
        return self._filtered

    def weigh(self, pixels: Buffer, first_pixel: int) -> None:
        """Have pixels, packed of what `smooth` returned, count as often as they are worth."""
        focal = self._camera.focal_px.astype(np.float32)
        inverse = (1 / self._camera.focal_px).astype(np.float32)
        centre = self._camera.centre_px.astype(np.float32)
        self._backend.launch(
            "weigh_pixels",
            self._tiles,
            filtered=self._filtered,
            pixels=pixels,
            first_pixel=first_pixel,
            width=self._camera.width_px,
            height=self._camera.height_px,
            across=self._across,
            fx=float(focal[0]),
            fy=float(focal[1]),
            inverse_fx=float(inverse[0]),
            inverse_fy=float(inverse[1]),
            cx=float(centre[0]),
            cy=float(centre[1]),
        )
