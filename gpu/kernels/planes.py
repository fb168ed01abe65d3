"""Images from the byte planes of left differences: see slam/plane_codec.py."""

import numpy as np
from numba import njit
from numpy.typing import NDArray

from gpu.kernels import JIT


@njit(**JIT)
def join_u16(planes: NDArray[np.uint8], out: NDArray[np.uint16]) -> None:
    """Undo the coding of 16-bit values.

    planes (2, N), low bytes first, of zigzagged differences; out (N,). One after the other: each
    value needs the one before it.
    """
    value = np.int32(0)
    for i in range(out.size):
        zigzag = np.int32(planes[0, i]) | np.int32(planes[1, i]) << 8
        value += (zigzag >> 1) ^ -(zigzag & 1)
        out[i] = np.uint16(value & 0xFFFF)


@njit(**JIT)
def join_u32(planes: NDArray[np.uint8], out: NDArray[np.uint32]) -> None:
    """Undo the coding of 32-bit values; planes (4, N), out (N,), else as `join_u16`."""
    value = np.int64(0)
    for i in range(out.size):
        zigzag = np.int64(planes[0, i]) | np.int64(planes[1, i]) << 8
        zigzag |= np.int64(planes[2, i]) << 16 | np.int64(planes[3, i]) << 24
        value += (zigzag >> 1) ^ -(zigzag & 1)
        out[i] = np.uint32(value & 0xFFFFFFFF)


@njit(**JIT)
def join_rgb8(planes: NDArray[np.uint8], out: NDArray[np.uint8]) -> None:
    """Undo the coding of colour.

    planes (3, N) differences, modulo 256, of red less green, green, blue less green; out (N, 3).
    """
    red = green = blue = np.int32(0)
    for i in range(out.shape[0]):
        red += np.int32(planes[0, i])
        green += np.int32(planes[1, i])
        blue += np.int32(planes[2, i])
        out[i, 0] = np.uint8((red + green) & 0xFF)
        out[i, 1] = np.uint8(green & 0xFF)
        out[i, 2] = np.uint8((blue + green) & 0xFF)


@njit(**JIT)
def join_u8(plane: NDArray[np.uint8], out: NDArray[np.uint8]) -> None:
    """Undo the coding of gray; plane (N,) differences modulo 256, out (N,)."""
    value = np.int32(0)
    for i in range(out.size):
        value += np.int32(plane[i])
        out[i] = np.uint8(value & 0xFF)
