"""Stereo matching of a rectified pair on the CPU: `device/stereo.c`, bit for bit.

Census words of 32 neighbours, their Hamming distances along the row, smoothed along eight paths by
`gpu.kernels.semi_global`, and the best disparity of each pixel with its fraction. All in integers,
so that every device finds the same.
"""

import cv2
import numpy as np
from numba import int32, njit, prange, uint8, uint16, uint32
from numpy.typing import NDArray

from gpu.kernels import JIT
from gpu.kernels.bits import bit_count
from gpu.kernels.census import census_words

# The 5 × 5, and the 7 × 7's corners and middles, each word in rows from the top.
_OFFSETS = np.array(
    [
        *((-3, -3), (-3, 0), (-3, 3)),
        *((-2, -2), (-2, -1), (-2, 0), (-2, 1), (-2, 2)),
        *((-1, -2), (-1, -1), (-1, 0), (-1, 1), (-1, 2)),
        *((0, -3), (0, -2), (0, -1), (0, 1), (0, 2), (0, 3)),
        *((1, -2), (1, -1), (1, 0), (1, 1), (1, 2)),
        *((2, -2), (2, -1), (2, 0), (2, 1), (2, 2)),
        *((3, -3), (3, 0), (3, 3)),
    ]
)  # fmt: skip
_REACH_PX = 3
_DEAD_ZONE = 2
STEPS_PER_PX = 256
"""Disparities are integers of 1/256 pixel."""


def stereo_words(gray: NDArray[np.uint8]) -> NDArray[np.uint32]:
    """(2, H, W) census words of an image's pixels; beyond its edge it goes on as at its edge."""
    sides = (_REACH_PX,) * 4
    padded = cv2.copyMakeBorder(gray, *sides, cv2.BORDER_REPLICATE).astype(np.uint8, copy=False)
    words = np.zeros((2, *gray.shape), np.uint32)
    census_words(padded, _OFFSETS[:16], _REACH_PX, _DEAD_ZONE, words[0])
    census_words(padded, _OFFSETS[16:], _REACH_PX, _DEAD_ZONE, words[1])
    return words


# One work-item = one row; SIMD along the disparities of a pixel. `left`, `right` (2, H, W) uint32.
# Writes `costs` (H, W, D) uint8: how many bits differ between pixel u of the left row and u − d of
# the right one; left of the image, the right one's first pixel stands in. Races: none.
@njit(parallel=True, **JIT)
def match_costs(left, right, costs):
    """Compare every pixel with those that could show the same."""
    height, width, disparities = costs.shape
    for v in prange(height):
        # Turned around and led on: along the disparities, reads go forward.
        turned = np.empty((2, width + disparities), np.uint32)
        for k in range(2):
            turned[k, :width] = right[k, v, ::-1]
            turned[k, width:] = right[k, v, 0]
        for u in range(width):
            low, high = left[0, v, u], left[1, v, u]
            start = width - 1 - u
            lows = turned[0, start : start + disparities]
            highs = turned[1, start : start + disparities]
            row = costs[v, u]
            for d in range(disparities):
                row[d] = uint8(
                    bit_count(uint32(low ^ lows[d])) + bit_count(uint32(high ^ highs[d]))
                )


# One work-item = one row. `totals` (H, W, D) uint16. Writes `disparity` (H, W) int32: the best in
# 1/256 px, the lowest of equal ones; `least` (H, W) uint16, its total; `margin` (H, W) uint16, by
# how much the least total beyond its neighbours exceeds that; `difference` (H, W) int32, by how
# many pixels the right image's best differs at the place this one leads to, D outside. Races: none.
@njit(parallel=True, **JIT)
def choose_disparities(totals, disparity, least, margin, difference):
    """Find the best disparity of each pixel, and what speaks for it."""
    height, width, disparities = totals.shape
    for v in prange(height):
        # A total and its disparity in one number: the least is the best, and of those the lowest.
        rights = np.full(width + disparities, 0xFFFFFFFF, np.uint32)
        winners = np.empty(width, np.int32)
        for u in range(width):
            total = totals[v, u]
            turned = rights[u : u + disparities][::-1]
            best = uint32(0xFFFFFFFF)
            for d in range(disparities):
                key = uint32(uint32(uint32(total[d]) << uint32(8)) | uint32(d))
                best = min(best, key)
                turned[d] = min(turned[d], key)
            winner = int32(best & uint32(0xFF))
            other = uint16(0xFFFF)
            for d in range(disparities):
                away = (d < winner - 1) | (d > winner + 1)
                other = min(other, total[d] if away else uint16(0xFFFF))
            winners[u] = winner
            least[v, u] = total[winner]
            margin[v, u] = uint16(other - total[winner])
            disparity[v, u] = winner * int32(STEPS_PER_PX) + _fraction(total, winner)
        for u in range(width):
            seen = u - winners[u]
            if seen >= 0:
                there = int32(rights[seen + disparities - 1] & uint32(0xFF))
                difference[v, u] = abs(there - winners[u])
            else:
                difference[v, u] = disparities


# One call = one pixel: where, within half a pixel of the winner, the totals have their least, in
# 1/256 px to the nearest. Hamming distances grow evenly: so the equiangular fit (Shimizu & Okutomi
# 2001), not a parabola.
@njit(inline="always")
def _fraction(total, winner):
    if winner == 0 or winner == total.size - 1:
        return int32(0)
    left, middle, right = (
        int32(total[winner - 1]),
        int32(total[winner]),
        int32(total[winner + 1]),
    )
    steepest = max(left, right) - middle
    if steepest == 0:
        return int32(0)
    size = int32((abs(left - right) * int32(STEPS_PER_PX // 2) + steepest // 2) // steepest)
    return size if left > right else int32(-size)


# One work-item = one row of `disparity` (H, W) int32, 0 = none. A hole is at most `widest_px` wide
# and has a disparity on at least one side; it takes the lower one of its sides, for what only one
# camera sees lies behind. Races: none.
@njit(parallel=True, **JIT)
def fill_holes(disparity, widest_px):
    """Give the holes of each row the disparity of what lies behind, in place."""
    height, width = disparity.shape
    for v in prange(height):
        row = disparity[v]
        before, start = int32(0), 0
        for u in range(width + 1):
            after = row[u] if u < width else int32(0)
            if u < width and after == 0:
                continue
            behind = min(before, after) if before > 0 and after > 0 else max(before, after)
            if u - start <= widest_px:
                row[start:u] = behind
            before, start = after, u + 1
