"""Repeatable randomness for kernels: a hash of lattice points, and value noise on top of it."""

import numba
import numpy as np

from gpu.kernels import JIT

_K1 = np.uint64(0x9E3779B97F4A7C15)
_K2 = np.uint64(0xC2B2AE3D27D4EB4F)
_K3 = np.uint64(0x165667B19E3779F9)
_K4 = np.uint64(0xD6E8FEB86659FD93)
_S29 = np.uint64(29)
_S32 = np.uint64(32)
_S40 = np.uint64(40)


@numba.njit(**JIT)
def mix(x: int, y: int, seed: int) -> np.uint64:
    """64 well-mixed bits of three integers (multiply-xorshift)."""
    h = (np.uint64(x) * _K1) ^ (np.uint64(y) * _K2 + np.uint64(seed) * _K3)
    h = (h ^ (h >> _S29)) * _K4
    h = (h ^ (h >> _S32)) * _K1
    return h ^ (h >> _S29)


@numba.njit(**JIT)
def random01(x: int, y: int, seed: int) -> float:
    """Uniform in [0, 1), the same for the same three integers everywhere."""
    return np.float64(mix(x, y, seed) >> _S40) * 5.9604644775390625e-08


@numba.njit(**JIT)
def value_noise(x: float, y: float, seed: int) -> float:
    """Smooth noise in [0, 1) with features of size 1."""
    ix, iy = int(np.floor(x)), int(np.floor(y))
    fx, fy = x - ix, y - iy
    fx, fy = fx * fx * (3.0 - 2.0 * fx), fy * fy * (3.0 - 2.0 * fy)
    low = random01(ix, iy, seed) * (1.0 - fx) + random01(ix + 1, iy, seed) * fx
    high = random01(ix, iy + 1, seed) * (1.0 - fx) + random01(ix + 1, iy + 1, seed) * fx
    return low * (1.0 - fy) + high * fy


@numba.njit(**JIT)
def octaves(x: float, y: float, seed: int, count: int) -> float:
    """Fractal noise in [0, 1): `count` octaves of value noise, each half as strong and large."""
    total, weight, norm = 0.0, 0.5, 0.0
    for i in range(count):
        total += weight * value_noise(x, y, seed + i)
        norm += weight
        weight *= 0.5
        x, y = x * 2.03 + 11.7, y * 2.03 + 5.3
    return total / norm
