"""Bits of a float32 as an integer, and back."""

import numpy as np
from numba import njit

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
