"""What runs a network's weights; the libraries that do so are loaded when they are needed."""

import importlib
import math
from types import ModuleType
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from fusion.depth.description import NetworkDescription
from fusion.depth.prediction import Placement, Prediction
from mapcast_client.errors import DependencyError, InputError

THREADS = 2
"""For one network on the CPU: the tracker runs beside it."""


class Network(Protocol):
    """Loaded weights."""

    def predict(self, tensor: NDArray[np.float32], placement: Placement) -> Prediction:
        """What the network says of one input tensor.

        Raises InputError if the network does not take the tensor, or gives no image.
        """


def image_sides(output_shape: tuple[int, ...], where: str) -> tuple[int, int]:
    """The (h, w) of an output (1, 1, h, w), (1, h, w, 1) or the like. Raises InputError."""
    sides = output_shape[:-1] if output_shape[-1:] == (1,) else output_shape
    if len(sides) < 2 or math.prod(output_shape) != sides[-2] * sides[-1]:
        raise InputError(f"{where} gives an array of shape {output_shape}, must be one image")
    return sides[-2], sides[-1]


def require_library(name: str, extra: str, description: NetworkDescription) -> ModuleType:
    """Import a library. Raises DependencyError that names the extra which brings it."""
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise DependencyError(
            f"depth network {description.name} needs {name} ({error}): "
            f"pip install 'mapcast[{extra}]'"
        ) from None
