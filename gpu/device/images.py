"""The views that come next, on a device."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from gpu.backend import Backend, Buffer
from gpu.device.depth_filter import DeviceDepthFilter
from gpu.grid import MAX_IMAGES, FusionGrid, Pinhole

_TURNS = 2
"""Buffers of an image: the next view goes into one while the one before is integrated."""
_QUAD = 4
"""Pixels that a kernel packs at a time."""
_GROUP_QUADS = 256
_PIXEL_BYTES = 8


class DeviceImages:
    """Pixels of the loaded views: two words each, see `pack_pixels`. One thread calls it."""

    def __init__(self, backend: Backend, grid: FusionGrid, camera: Pinhole) -> None:
        """Make room. Raises DeviceMemoryError."""
        self._backend, self._grid = backend, grid
        self._quads = -(-camera.width_px * camera.height_px // _QUAD)
        self._pixels_each = self._quads * _QUAD
        self.pixels = backend.alloc(MAX_IMAGES * _TURNS * self._pixels_each * _PIXEL_BYTES)
        self._staged = [
            {
                "depth": backend.alloc(4 * self._pixels_each),
                "rgb": backend.alloc(3 * self._pixels_each),
                "confidence": backend.alloc(self._pixels_each),
            }
            for _ in range(_TURNS)
        ]
        self._filter = DeviceDepthFilter(backend, grid, camera) if grid.depth_filter else None
        self._loads = 0
        self._turns = [0] * MAX_IMAGES

    def load(
        self,
        depth: NDArray[np.uint16] | NDArray[np.float32],
        depth_scale_m: float,
        color: NDArray[np.uint8],
        confidence: NDArray[np.uint8] | None,
        image: int,
        depth_tensor: Any = None,
    ) -> None:
        """Take the images of a view, as `CpuBlocks.load`."""
        self._loads += 1
        self._turns[image] ^= 1
        staged = self._staged[self._loads % _TURNS]
        if depth_tensor is None or not self._borrowed(staged["depth"], depth_tensor):
            self._upload(staged["depth"], depth, self._pixels_each)
        self._upload(staged["rgb"], color, 3 * self._pixels_each)
        if confidence is not None:
            self._upload(staged["confidence"], confidence, self._pixels_each)
        is_float, weighted = depth.dtype == np.float32, confidence is not None
        if self._filter is None:
            self._pack(staged, image, is_float, weighted, float(depth_scale_m))
            return
        filtered = self._filter.smooth(
            staged["depth"], staged["confidence"], is_float, weighted, float(depth_scale_m)
        )
        self._pack({**staged, "depth": filtered}, image, True, weighted, 1.0)
        self._filter.weigh(self.pixels, self.first_pixel(image))

    def _pack(
        self,
        staged: dict[str, Buffer],
        image: int,
        is_float: bool,
        weighted: bool,
        depth_scale_m: float,
    ) -> None:
        self._backend.launch(
            "pack_pixels",
            -(-self._quads // _GROUP_QUADS),
            **staged,
            pixels=self.pixels,
            first_pixel=self.first_pixel(image),
            count=self._quads,
            is_float=int(is_float),
            weighted=int(weighted),
            depth_scale_m=depth_scale_m,
            low_m=self._grid.depth_min_m,
            high_m=self._grid.depth_max_m,
        )

    def first_pixel(self, image: int) -> int:
        """Where a loaded image begins in `pixels`."""
        return (image * _TURNS + self._turns[image]) * self._pixels_each

    def _borrowed(self, buffer: Buffer, tensor: Any) -> bool:
        """Copy from where another library has it on this device; False if it is elsewhere."""
        borrowed = self._backend.borrow(tensor)
        if borrowed is None:
            return False
        try:
            self._backend.copy(borrowed, buffer, borrowed.size_bytes)
        finally:
            self._backend.free(borrowed)
        return True

    def _upload(self, buffer: Buffer, array: NDArray[Any], numbers: int) -> None:
        flat = np.ascontiguousarray(array).ravel()
        if flat.size != numbers:
            flat = np.pad(flat, (0, numbers - flat.size))
        self._backend.upload(buffer, flat)
