"""A structured-light depth sensor's errors, after the first Kinect.

Axial noise σ(z) = 1.2 mm + 1.9 mm/m² (z − 0.4 m)² and lateral noise of about half a pixel follow
Nguyen, Izadi & Lovell 2012; depth is measured as disparity in eighths of a pixel; points that the
projector cannot see, grazing surfaces and ranges outside 0.4–4.5 m have no depth.
"""

import numba
import numpy as np
from numpy.typing import NDArray

from gpu.kernels import JIT
from replay.room.noise import mix

NEAREST_M, FARTHEST_M = 0.4, 4.5
_BASELINE_M = 0.075
_SUBPIXELS = 8
_LATERAL_PX = 0.45
_GRAZING_SLOPE = 6.0
"""Depth change over image distance (at that depth) from which a surface returns nothing."""


def sense(depth_m: NDArray[np.float32], fx_px: float, seed: int) -> NDArray[np.float32]:
    """What the sensor reports of an exact depth image (H, W); 0 where it has none.

    The same depth and seed give the same result.
    """
    noisy = np.zeros_like(depth_m)
    _sense(depth_m, fx_px, seed, noisy)
    return noisy


@numba.njit(**JIT)
def _gauss(u: int, v: int, seed: int) -> tuple[float, float]:
    """Two nearly normal numbers: sums of two 16-bit uniforms each, variance 1."""
    bits = mix(u, v, seed)
    low = np.int64(bits & np.uint64(0xFFFF)) + np.int64((bits >> np.uint64(16)) & np.uint64(0xFFFF))
    high = np.int64((bits >> np.uint64(32)) & np.uint64(0xFFFF)) + np.int64(bits >> np.uint64(48))
    return (low / 65536.0 - 1.0) * 2.449, (high / 65536.0 - 1.0) * 2.449


@numba.njit(**JIT, parallel=True)
def _sense(
    depth_m: NDArray[np.float32], fx_px: float, seed: int, noisy: NDArray[np.float32]
) -> None:
    """One work-item = one row; it writes its own pixels only."""
    height, width = depth_m.shape
    disparity_of = fx_px * _BASELINE_M
    for v in numba.prange(height):
        # The projector sits to the right: its ray of pixel u leaves it at column u − d, and of
        # the points on one such ray only the nearest is lit.
        lit_until = 1e9
        for u in range(width - 1, -1, -1):
            z = np.float64(depth_m[v, u])
            column = u - disparity_of / z
            if column >= lit_until + 0.5:
                continue
            lit_until = min(lit_until, column)
            side, axial = _gauss(u, v, seed)
            rise, _ = _gauss(u, v, seed + 1)
            su = min(max(u + int(np.rint(side * _LATERAL_PX)), 0), width - 1)
            sv = min(max(v + int(np.rint(rise * _LATERAL_PX)), 0), height - 1)
            z = np.float64(depth_m[sv, su])
            if not NEAREST_M <= z <= FARTHEST_M:
                continue
            su0, su1 = max(su - 1, 0), min(su + 1, width - 1)
            sv0, sv1 = max(sv - 1, 0), min(sv + 1, height - 1)
            slope_u = abs(np.float64(depth_m[sv, su1]) - depth_m[sv, su0]) / (su1 - su0)
            slope_v = abs(np.float64(depth_m[sv1, su]) - depth_m[sv0, su]) / (sv1 - sv0)
            if max(slope_u, slope_v) * fx_px / z > _GRAZING_SLOPE:
                continue
            sigma = 0.0012 + 0.0019 * (z - 0.4) ** 2
            measured = disparity_of / (z + sigma * axial)
            noisy[v, u] = disparity_of / (np.rint(measured * _SUBPIXELS) / _SUBPIXELS)
