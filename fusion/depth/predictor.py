"""A described network as a function of pictures: brought to its size, normalised, run."""

import cv2
import numpy as np
from numpy.typing import NDArray

from fusion.depth.description import Kind, Layout, NetworkDescription, NetworkInput, Resize
from fusion.depth.onnx_network import OnnxNetwork
from fusion.depth.prediction import Placement, Prediction
from fusion.depth.runtime import Network
from fusion.depth.torch_network import TorchNetwork
from mapcast_client.errors import InputError


def load_network(description: NetworkDescription) -> Network:
    """Load the weights of a described network.

    Raises DependencyError if the library that runs it is not installed, or what torch.hub fetches
    cannot be had; InputError if the weights are missing or are none.
    """
    weights = description.weights
    if weights.kind is not Kind.TORCH_HUB and not weights.file.is_file():
        raise InputError(f"depth network {description.name}: no weights at {weights.file}")
    return (OnnxNetwork if weights.kind is Kind.ONNX else TorchNetwork)(description)


class Predictor:
    """Runs a network on pictures of any size."""

    def __init__(self, description: NetworkDescription) -> None:
        """Load the network. Raises DependencyError, InputError."""
        self.description = description
        self._network = load_network(description)

    def predict(self, color: NDArray[np.uint8], width_px: int, height_px: int) -> Prediction:
        """What the network says of an (H, W, 3) sRGB picture, (height_px, width_px).

        Raises InputError if the network gives no image.
        """
        size = picture_size(self.description.input, color.shape[1], color.shape[0])
        seen_px = tensor_size(self.description.input, size)
        return self._network.predict(
            input_tensor(self.description.input, color, size),
            Placement(width_px, height_px, size[0] / seen_px[0], size[1] / seen_px[1]),
        )


def picture_size(described: NetworkInput, width_px: int, height_px: int) -> tuple[int, int]:
    """(width, height) that a picture is brought to before the network sees it."""
    if described.resize is Resize.STRETCH:
        return described.width_px, described.height_px
    scale = min(described.width_px / width_px, described.height_px / height_px)
    step = described.multiple_of_px or 1
    fitted = [max(step, int(side * scale + 1e-6) // step * step) for side in (width_px, height_px)]
    return fitted[0], fitted[1]


def tensor_size(described: NetworkInput, picture: tuple[int, int]) -> tuple[int, int]:
    """(width, height) of the tensor that holds a picture of that size."""
    if described.multiple_of_px:
        return picture
    return described.width_px, described.height_px


def input_tensor(
    described: NetworkInput, color: NDArray[np.uint8], size: tuple[int, int]
) -> NDArray[np.float32]:
    """(1, 3, h, w) or (1, h, w, 3): the picture of that size, its last pixels repeated."""
    interpolation = cv2.INTER_AREA if size[0] < color.shape[1] else cv2.INTER_LINEAR
    resized = cv2.resize(color, size, interpolation=interpolation)
    width_px, height_px = tensor_size(described, size)
    padded = cv2.copyMakeBorder(
        resized, 0, height_px - size[1], 0, width_px - size[0], cv2.BORDER_REPLICATE
    )
    mean, std = np.array([described.mean, described.std], np.float32)
    normalised = (padded.astype(np.float32) * np.float32(described.scale) - mean) / std
    if described.layout is Layout.NCHW:
        normalised = normalised.transpose(2, 0, 1)
    return np.ascontiguousarray(normalised[None], np.float32)
