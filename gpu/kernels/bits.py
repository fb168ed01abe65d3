"""Bits of a float32 as an integer, and back; and how many are set."""

import numpy as np
from numba import njit, uint32

from gpu.kernels import JIT


# Functions of their own: numba rejects `.view` of a variable that is assigned twice.
@njit(**JIT)
def bits_of(value):
    """The uint32 with the bits of a float32."""
    return np.float32(value).view(np.uint32)


@njit(**JIT)
def float_of(bits):
    """The float32 with the bits of a uint32."""
    return np.uint32(bits).view(np.float32)


@njit(inline="always")
def bit_count(word):
    """Bits set in 32: summed in parallel, which vectorises everywhere."""
    word = uint32(word - ((word >> uint32(1)) & uint32(0x55555555)))
    word = uint32((word & uint32(0x33333333)) + ((word >> uint32(2)) & uint32(0x33333333)))
    word = uint32((word + (word >> uint32(4))) & uint32(0x0F0F0F0F))
    return uint32(uint32(word * uint32(0x01010101)) >> uint32(24))
