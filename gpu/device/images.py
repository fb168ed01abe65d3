"""The views that come next, on a device."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gpu.backend import Backend, BackendError, Buffer
from gpu.device.depth_filter import DeviceDepthFilter
from gpu.grid import MAX_IMAGES, FusionGrid, Pinhole

_TURNS = 2
"""Buffers of an image: the next view goes into one while the one before is integrated."""
_QUAD = 4
"""Pixels that a kernel packs at a time."""
_GROUP_QUADS = 256
_PIXEL_BYTES = 8


@dataclass(frozen=True, slots=True)
class _Staged:
    """A view's images as they are uploaded."""

    depth: Buffer
    confidence: Buffer
    rgb: Buffer


class DeviceImages:
    """Pixels of the loaded views: two words each, see `pack_pixels`. One thread calls it.

    Their colours, which the search for blocks does not need, follow on `complete`: so the host
    copies them while a device that does at once what it is asked, as CUDA's, searches.
    """

    def __init__(self, backend: Backend, grid: FusionGrid, camera: Pinhole) -> None:
        """Make room. Raises DeviceMemoryError."""
        self._backend, self._grid = backend, grid
        self._quads = -(-camera.width_px * camera.height_px // _QUAD)
        self._pixels_each = self._quads * _QUAD
        self.pixels = backend.alloc(MAX_IMAGES * _TURNS * self._pixels_each * _PIXEL_BYTES)
        self._staged = [
            _Staged(
                depth=backend.alloc(4 * self._pixels_each),
                confidence=backend.alloc(self._pixels_each),
                rgb=backend.alloc(3 * self._pixels_each),
            )
            for _ in range(_TURNS)
        ]
        self._filter = DeviceDepthFilter(backend, grid, camera) if grid.depth_filter else None
        self._loads = 0
        self._turns = [0] * MAX_IMAGES
        self._colors: dict[int, tuple[Buffer, NDArray[np.uint8]]] = {}
        """Of images whose colours are to follow, and where they go first."""

    def load(
        self,
        depth: NDArray[np.uint16] | NDArray[np.float32],
        depth_scale_m: float,
        color: NDArray[np.uint8],
        confidence: NDArray[np.uint8] | None,
        image: int,
        depth_tensor: Any = None,
    ) -> None:
        """Take the images of a view, as `CpuBlocks.load`; `color` must stay until `complete`."""
        self._loads += 1
        self._turns[image] ^= 1
        staged = self._staged[self._loads % _TURNS]
        if depth_tensor is None or not self._borrowed(depth_tensor, depth, staged.depth):
            self._upload(staged.depth, depth, self._pixels_each)
        if confidence is not None:
            self._upload(staged.confidence, confidence, self._pixels_each)
        self._colors[image] = (staged.rgb, color)
        is_float, weighted = depth.dtype == np.float32, confidence is not None
        if self._filter is None:
            self._pack(staged, image, is_float, weighted, float(depth_scale_m))
            return
        filtered = self._filter.smooth(
            staged.depth, staged.confidence, is_float, weighted, float(depth_scale_m)
        )
        self._pack(replace(staged, depth=filtered), image, True, weighted, 1.0)
        self._filter.weigh(self.pixels, self.first_pixel(image))

    def complete(self, image: int) -> None:
        """Give a loaded view its colours, unless it has them."""
        if image not in self._colors:
            return
        rgb, color = self._colors.pop(image)
        self._upload(rgb, color, 3 * self._pixels_each)
        self._backend.launch(
            "color_pixels",
            -(-self._quads // _GROUP_QUADS),
            rgb=rgb,
            pixels=self.pixels,
            first_pixel=self.first_pixel(image),
            count=self._quads,
        )

    def _pack(
        self,
        staged: _Staged,
        image: int,
        is_float: bool,
        weighted: bool,
        depth_scale_m: float,
    ) -> None:
        self._backend.launch(
            "pack_pixels",
            -(-self._quads // _GROUP_QUADS),
            depth=staged.depth,
            confidence=staged.confidence,
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

    def _borrowed(self, tensor: Any, depth: NDArray[Any], buffer: Buffer) -> bool:
        """Copy from where another library has it on this device; False if it is elsewhere."""
        borrowed = self._backend.borrow(tensor)
        if borrowed is None:
            return False
        try:
            if borrowed.size_bytes != depth.nbytes:
                raise BackendError(
                    f"a depth tensor has {borrowed.size_bytes} bytes, its image {depth.nbytes}"
                )
            self._backend.copy(borrowed, buffer, borrowed.size_bytes)
        finally:
            self._backend.free(borrowed)
        return True

    def _upload(self, buffer: Buffer, array: NDArray[Any], numbers: int) -> None:
        flat = np.ascontiguousarray(array).ravel()
        if flat.size != numbers:
            flat = np.pad(flat, (0, numbers - flat.size))
        self._backend.upload(buffer, flat)
