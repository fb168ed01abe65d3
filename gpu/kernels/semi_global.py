"""Semi-global aggregation of matching costs: smooth surfaces, sharp edges. Hirschmüller 2008."""

import numpy as np
from numba import float32, int32, njit, prange, uint16

from gpu.kernels import JIT

_BEYOND = 50000
"""Path cost of planes that do not exist; what is added to it must fit 16 bits."""


# One call = the D planes of a pixel on one path, SIMD: L(d) = C(d) - least + min(L'(d),
# L'(d ± 1) + small, least + large), eq. 13. `before` (D + 2,) uint16: L' of the pixel before,
# _BEYOND at both ends; `least` its minimum. Writes L to `after`, in the same layout, and returns
# its minimum.
@njit(inline="always")
def _step(cost, before, least, small, large, after):
    planes = cost.size
    jump = uint16(least + large)
    lowest = uint16(_BEYOND)
    for d in range(planes):
        value = min(before[d + 1], jump)
        value = min(value, uint16(min(before[d], before[d + 2]) + small))
        value = uint16(uint16(value - least) + uint16(cost[d]))
        after[d + 1] = value
        lowest = min(lowest, value)
    return lowest


# One call = the image, serial: four of the eight paths, those that arrive from where the scan has
# been. `costs` (H, W, D) uint8, `gray` (H, W) uint8. `large_by_step` (256,) uint16: the penalty of
# a jump by the gray step along the path, so that depth jumps where the picture does. `step` is 1
# (scan from the first pixel) or -1 (from the last). Adds the paths' costs to `totals` (H, W, D)
# uint16.
@njit(**JIT)
def aggregate_paths(costs, gray, small, large_by_step, step, totals):
    """Add the smoothed costs of four paths."""
    height, width, planes = costs.shape
    penalty = uint16(small)
    # Columns one beyond both sides stay zero: a path that begins has no past.
    rows = np.zeros((2, 3, width + 2, planes + 2), np.uint16)
    leasts = np.zeros((2, 3, width + 2), np.uint16)
    beside = np.zeros((2, planes + 2), np.uint16)
    rows[:, :, :, 0] = rows[:, :, :, planes + 1] = uint16(_BEYOND)
    beside[:, 0] = beside[:, planes + 1] = uint16(_BEYOND)
    for line in range(height):
        v = line if step > 0 else height - 1 - line
        v_before = min(max(v - step, 0), height - 1)
        now, old = line & 1, (line & 1) ^ 1
        beside[:, 1:-1] = 0
        least_beside = uint16(0)
        for column in range(width):
            u = column if step > 0 else width - 1 - column
            cost = costs[v, u]
            level = int32(gray[v, u])
            for path in range(3):
                u_before = u + path - 1
                level_before = int32(gray[v_before, min(max(u_before, 0), width - 1)])
                leasts[now, path, u + 1] = _step(
                    cost,
                    rows[old, path, u_before + 1],
                    leasts[old, path, u_before + 1],
                    penalty,
                    large_by_step[abs(level - level_before)],
                    rows[now, path, u + 1],
                )
            level_before = int32(gray[v, min(max(u - step, 0), width - 1)])
            least_beside = _step(
                cost,
                beside[column & 1],
                least_beside,
                penalty,
                large_by_step[abs(level - level_before)],
                beside[(column & 1) ^ 1],
            )
            total = totals[v, u]
            first, second, third = rows[now, 0, u + 1], rows[now, 1, u + 1], rows[now, 2, u + 1]
            fourth = beside[(column & 1) ^ 1]
            for d in range(planes):
                total[d] = uint16(
                    uint16(total[d] + first[d + 1])
                    + uint16(uint16(second[d + 1] + third[d + 1]) + fourth[d + 1])
                )


# One work-item = one row. `totals` (H, W, D) uint16. Writes the winning plane with its fraction to
# `plane` (H, W) float32, its cost to `least` (H, W) uint16, and by how much the least cost beyond
# its neighbours exceeds that to `margin` (H, W) uint16. Races: none.
@njit(parallel=True, **JIT)
def choose_planes(totals, plane, margin, least):
    """Find the best plane of each pixel, and where between planes it lies."""
    height, width, planes = totals.shape
    for v in prange(height):
        for u in range(width):
            total = totals[v, u]
            lowest = uint16(0xFFFF)
            for d in range(planes):
                lowest = min(lowest, total[d])
            winner = 0
            while total[winner] != lowest:
                winner += 1
            other = uint16(0xFFFF)
            for d in range(planes):
                away = (d < winner - 1) | (d > winner + 1)
                other = min(other, total[d] if away else uint16(0xFFFF))
            least[v, u] = lowest
            margin[v, u] = uint16(other - lowest)
            plane[v, u] = float32(winner) + _vertex(total, winner)


# One call = one pixel. Where, within half a plane of the winner, the costs have their least.
# Hamming distances grow evenly: so the equiangular fit (Shimizu & Okutomi 2001), not a parabola.
@njit(inline="always")
def _vertex(total, winner):
    if winner == 0 or winner == total.size - 1:
        return float32(0)
    left, middle = float32(total[winner - 1]), float32(total[winner])
    right = float32(total[winner + 1])
    steepest = max(left, right) - middle
    return float32(0.5) * (left - right) / steepest if steepest > float32(0) else float32(0)
