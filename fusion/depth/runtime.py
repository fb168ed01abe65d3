"""What runs a network's weights; the libraries that do so are loaded when they are needed."""

import importlib
from types import ModuleType
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from fusion.depth.description import NetworkDescription
from mapcast_client.errors import DependencyError

THREADS = 2
"""For one network on the CPU: the tracker runs beside it."""


class Network(Protocol):
    """Loaded weights."""

    def run(self, tensor: NDArray[np.float32]) -> NDArray[np.float32]:
        """One input tensor → the output as the network gives it.

        Raises InputError if the network does not take the tensor.
        """


def require_library(name: str, extra: str, description: NetworkDescription) -> ModuleType:
    """Import a library. Raises DependencyError that names the extra which brings it."""
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise DependencyError(
            f"depth network {description.name} needs {name} ({error}): "
            f"pip install 'mapcast[{extra}]'"
        ) from None
