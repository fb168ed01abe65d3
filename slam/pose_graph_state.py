"""A pose graph as arrays, to be kept on disk."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mapcast_client.errors import InputError

Arrays = Mapping[str, NDArray[Any]]


def joined(parts: Mapping[str, Arrays]) -> dict[str, NDArray[Any]]:
    """The arrays of several parts, as `part.name`."""
    return {
        f"{part}.{name}": array for part, arrays in parts.items() for name, array in arrays.items()
    }


def part(state: Arrays, name: str) -> dict[str, NDArray[Any]]:
    """The arrays of one part, by their own names."""
    prefix = f"{name}."
    return {
        key.removeprefix(prefix): array for key, array in state.items() if key.startswith(prefix)
    }


def checked(state: Arrays, name: str, shape: tuple[int, ...], kind: type) -> NDArray[Any]:
    """An array of the state; -1 in `shape` is any length.

    Raises InputError if it is missing, or of another shape or kind.
    """
    array = state.get(name)
    if array is None:
        raise InputError(f"the pose graph's state lacks {name}")
    fits = len(array.shape) == len(shape) and all(
        want in (-1, have) for have, want in zip(array.shape, shape, strict=True)
    )
    if not fits or array.dtype != np.dtype(kind):
        raise InputError(f"{name} is {array.dtype}{array.shape}, must be {kind.__name__}{shape}")
    return array
