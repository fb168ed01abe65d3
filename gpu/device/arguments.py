"""Cameras, blocks and matrices as the kernels of a device take them."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from gpu.kernels import BLOCK_VOX


def block_at(position_m: NDArray[np.float64], voxel_size_m: float) -> NDArray[np.int64]:
    """(3,) the block that a camera is in: points near it are told from there."""
    return np.floor(position_m / (BLOCK_VOX * voxel_size_m)).astype(np.int64)


def named_base(base: NDArray[np.int64]) -> dict[str, int]:
    """A block's coordinates, as kernels call them."""
    return {f"base_{axis}": int(each) for axis, each in zip("xyz", base, strict=True)}


def named_rows(
    rows: Sequence[str], matrix: NDArray[np.float64], columns: str = "xyz1"
) -> dict[str, float]:
    """A matrix's numbers, as kernels call them: by row, then by column."""
    return {
        f"{row}{column}": float(number)
        for row, numbers in zip(rows, matrix, strict=True)
        for column, number in zip(columns, numbers, strict=True)
    }


def matrix_arguments(target_from_source: NDArray[np.float64]) -> dict[str, float]:
    """A (3, 4) matrix as kernels of views take it: m00 .. m22, t0 .. t2."""
    turn, shift = target_from_source[:, :3], target_from_source[None, :, 3]
    return named_rows(("m0", "m1", "m2"), turn, "012") | named_rows("t", shift, "012")
