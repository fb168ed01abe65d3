"""What a torch network says of a picture, on the device that it runs on."""

from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fusion.depth.align import Alignment
from fusion.depth.description import Quantity
from fusion.depth.known import KnownDepth
from fusion.depth.prediction import EDGE_RATIO, Placement


class TorchPrediction:
    """Implements `Prediction`: what `HostPrediction` does, by torch.

    Only values at single pixels and the finished depth come to main memory.
    """

    def __init__(self, torch: ModuleType, output: Any, placement: Placement) -> None:
        """Take a network's (h', w') float32 tensor."""
        self._torch = torch
        scale_u, scale_v = placement.scale(*output.shape)
        rows = self._along(output.shape[0], placement.height_px, scale_v, output)
        columns = self._along(output.shape[1], placement.width_px, scale_u, output)
        grid = torch.stack(torch.meshgrid(columns, rows, indexing="xy"), dim=-1)
        self._image = torch.nn.functional.grid_sample(
            output[None, None], grid[None], padding_mode="border", align_corners=False
        )[0, 0]

    def image(self) -> NDArray[np.float32]:
        """(h, w) in main memory."""
        return _host(self._image)

    def at(self, known: KnownDepth) -> NDArray[np.float32]:
        """(N,) at some pixels."""
        v_px, u_px = (
            self._torch.from_numpy(each).to(self._image.device) for each in (known.v_px, known.u_px)
        )
        return _host(self._image[v_px, u_px])

    def depth(self, alignment: Alignment) -> tuple[NDArray[np.float32], Any]:
        """(h, w) depth in the map's unit, in main memory and as a tensor: see `Prediction`."""
        aligned = alignment.scale * self._image + alignment.shift
        if alignment.quantity is Quantity.INVERSE:
            aligned = 1 / aligned
        believed = (aligned >= alignment.nearest_m) & (aligned <= alignment.farthest_m)
        depth_m = self._without_edges(self._where(believed, aligned)).contiguous()
        return _host(depth_m), depth_m

    def _without_edges(self, depth_m: Any) -> Any:
        far = self._highest(depth_m)
        near = -self._highest(-self._torch.where(depth_m > 0, depth_m, far.max()))
        return self._where(far <= EDGE_RATIO * near, depth_m)

    def _highest(self, image: Any) -> Any:
        """Of 3 × 3 pixels each."""
        return self._torch.nn.functional.max_pool2d(image[None], 3, stride=1, padding=1)[0]

    def _where(self, condition: Any, image: Any) -> Any:
        return self._torch.where(condition, image, self._torch.zeros_like(image))

    def _along(self, output_px: int, image_px: int, scale: float, output: Any) -> Any:
        """Where an image's pixels lie on one side of the output, in grid_sample's −1 to 1."""
        centres = (np.arange(image_px) + 0.5) * scale
        unit = (2 * centres / output_px - 1).astype(np.float32)
        return self._torch.from_numpy(unit).to(output.device)


def _host(tensor: Any) -> NDArray[np.float32]:
    array: NDArray[np.float32] = tensor.cpu().numpy()
    return array
