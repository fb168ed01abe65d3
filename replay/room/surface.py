"""How far points are from the solids' surfaces, hidden parts of them included."""

import numba
import numpy as np
from numpy.typing import NDArray

from gpu.kernels import JIT
from replay.room.scene import Kind

_CYLINDER, _ELLIPSOID = int(Kind.CYLINDER), int(Kind.ELLIPSOID)


@numba.njit(**JIT)
def _signed_distance(kind: int, x: float, y: float, z: float, half: NDArray[np.float64]) -> float:
    """Distance to a solid's surface, in its own axes, negative inside (Quilez 2008)."""
    if kind == _ELLIPSOID:
        u, v, w = x / half[0], y / half[1], z / half[2]
        near = np.sqrt(u * u + v * v + w * w)
        u, v, w = u / half[0], v / half[1], w / half[2]
        return near * (near - 1.0) / max(np.sqrt(u * u + v * v + w * w), 1e-12)
    dx, dy, dz = abs(x) - half[0], abs(y) - half[1], abs(z) - half[2]
    if kind == _CYLINDER:
        dx, dy = np.sqrt(x * x + y * y) - half[0], -1e30
    ox, oy, oz = max(dx, 0.0), max(dy, 0.0), max(dz, 0.0)
    return np.sqrt(ox * ox + oy * oy + oz * oz) + min(max(dx, max(dy, dz)), 0.0)


@numba.njit(**JIT, parallel=True)
def surface_distances(
    points: NDArray[np.float64], kind: NDArray[np.int64], center: NDArray[np.float64],
    half: NDArray[np.float64], turn: NDArray[np.float64],
) -> NDArray[np.float64]:  # fmt: skip
    """(N,) unsigned distances of (N, 3) world points. One work-item = one point."""
    nearest = np.empty(len(points))
    for n in numba.prange(len(points)):
        best = np.inf
        for i in range(len(kind)):
            dx, dy = points[n, 0] - center[i, 0], points[n, 1] - center[i, 1]
            x = turn[i, 0] * dx + turn[i, 1] * dy
            y = turn[i, 0] * dy - turn[i, 1] * dx
            z = points[n, 2] - center[i, 2]
            best = min(best, abs(_signed_distance(kind[i], x, y, z, half[i])))
        nearest[n] = best
    return nearest
