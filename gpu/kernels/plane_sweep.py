"""Plane sweep: how well a view matches others if the scene lay on each of a set of planes.

Collins 1996. The planes face the reference camera and are uniform in inverse depth, so that they
are uniform along the epipolar lines, too.
"""

import numpy as np
from numba import float32, int32, njit, prange, uint8, uint32

from gpu.kernels import JIT
from gpu.kernels.bits import bit_count

MAX_VIEWS = 4
MISMATCH = 9
"""Bits of 32 from which on more do not matter: a view sees something else there, or does not see
so far. A random word differs in 13 from one of a textured place."""
_NEAREST_Z = 1e-3


# One call = the planes of a pixel, SIMD. Writes where in a view each puts it, or -1 outside.
@njit(inline="always")
def _project(x, y, z, ex, ey, ez, inverse_depths, limit_u, limit_v, stride, at):
    for d in range(at.size):
        w = inverse_depths[d]
        depth = z + ez * w
        scale = float32(1) / depth
        u, v = (x + ex * w) * scale, (y + ey * w) * scale
        inside = (
            (depth > float32(_NEAREST_Z))
            & (u >= float32(0))
            & (v >= float32(0))
            & (u < limit_u)
            & (v < limit_v)
        )
        place = int32(int32(int32(v) * stride) + int32(u))
        at[d] = place if inside else int32(-1)


# One call = the planes of a pixel, SIMD. `seen` (D,) uint32 are the view's words; keeps the two
# lowest distances of all views.
@njit(inline="always")
def _compare(word, seen, at, best, second):
    for d in range(at.size):
        distance = bit_count(uint32(seen[d] ^ word))
        cost = distance if at[d] >= int32(0) else uint32(MISMATCH)
        second[d] = min(second[d], max(best[d], cost))
        best[d] = min(best[d], cost)


# One work-item = one row of the reference; SIMD along the planes of a pixel. `words` (H, W) uint32:
# census of the reference. `view_words` (V, 2H', 2W') uint32: fine census of V ≥ 1 views.
# `rotations` (V, 3, 3) and `epipoles` (V, 3) float32: a reference pixel (u, v) at inverse depth w
# lies at rotation · (u, v, 1) + w · epipole in a view, homogeneous, in elements of its fine census
# plus ½, so that truncation finds the nearest. `inverse_depths` (D,) float32. Writes `costs`
# (H, W, D) uint8: the sum of the two lowest of the views' Hamming distances, each at most MISMATCH
# (of one view: twice that one), for what one view sees others may not. Races: none.
@njit(parallel=True, **JIT)
def sweep_planes(words, view_words, rotations, epipoles, inverse_depths, costs):
    """Compare every pixel of the reference with the views along its ray."""
    height, width = words.shape
    views, fine_height, fine_width = view_words.shape
    planes = inverse_depths.size
    flat = view_words.ravel()
    stride = int32(fine_width)
    limit_u, limit_v = float32(fine_width), float32(fine_height)
    for v in prange(height):
        best = np.empty(planes, np.uint32)
        second = np.empty(planes, np.uint32)
        at = np.empty(planes, np.int32)
        seen = np.empty(planes, np.uint32)
        for u in range(width):
            word = words[v, u]
            best[:] = uint32(MISMATCH)
            second[:] = uint32(MISMATCH)
            for view in range(views):
                r, e = rotations[view], epipoles[view]
                x = r[0, 0] * float32(u) + r[0, 1] * float32(v) + r[0, 2]
                y = r[1, 0] * float32(u) + r[1, 1] * float32(v) + r[1, 2]
                z = r[2, 0] * float32(u) + r[2, 1] * float32(v) + r[2, 2]
                base = int32(view * fine_height * fine_width)
                _project(x, y, z, e[0], e[1], e[2], inverse_depths, limit_u, limit_v, stride, at)
                for d in range(planes):
                    seen[d] = flat[uint32(base + max(at[d], int32(0)))]
                _compare(word, seen, at, best, second)
            row = costs[v, u]
            if views == 1:
                for d in range(planes):
                    row[d] = uint8(uint32(2) * best[d])
            else:
                for d in range(planes):
                    row[d] = uint8(best[d] + second[d])


# One work-item = one row. `depth` (H, W) float32, 0 = none; `rotations`, `epipoles` as for
# `sweep_planes`, of views whose fine census is `fine_height` × `fine_width`. Writes `seeing`
# (H, W) uint8: the views in whose image a pixel's point lies. Races: none.
@njit(parallel=True, **JIT)
def count_views(depth, rotations, epipoles, fine_height, fine_width, seeing):
    """Count the views that see what each pixel of the reference shows."""
    height, width = depth.shape
    for v in prange(height):
        for u in range(width):
            count = 0
            if depth[v, u] > float32(0):
                w = float32(1) / depth[v, u]
                for view in range(rotations.shape[0]):
                    r, e = rotations[view], epipoles[view]
                    x = r[0, 0] * float32(u) + r[0, 1] * float32(v) + r[0, 2] + w * e[0]
                    y = r[1, 0] * float32(u) + r[1, 1] * float32(v) + r[1, 2] + w * e[1]
                    z = r[2, 0] * float32(u) + r[2, 1] * float32(v) + r[2, 2] + w * e[2]
                    if (
                        z > float32(_NEAREST_Z)
                        and float32(0) <= x < float32(fine_width) * z
                        and float32(0) <= y < float32(fine_height) * z
                    ):
                        count += 1
            seeing[v, u] = count
