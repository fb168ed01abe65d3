"""Comparing a depth image with earlier ones of the same scene."""

from numba import float32, int32, njit, prange

from gpu.kernels import JIT

_NEAREST_Z = 1e-3


# One work-item = one row of `depth` (H, W) float32, 0 = none. `images_from_pixels` (K, 3, 4)
# float32: (u·z, v·z, z, 1) of a pixel and its depth to (u'·z', v'·z', z') plus half a pixel in an
# earlier image, so that truncation finds the nearest. `others` (K, H, W) float32: the depths of
# these, 0 = none. Depths agree that differ by at most `tolerance` of themselves; where the other
# image sees further than 2 · `tolerance` beyond a point, it contradicts it. Farther points may be
# hidden there. Writes how many images do either to `agreeing`, `contradicting` (H, W) uint8.
# Races: none.
@njit(parallel=True, **JIT)
def compare_depths(depth, images_from_pixels, others, tolerance, agreeing, contradicting):
    """Count the earlier depth images that confirm a depth, and those that see through it."""
    height, width = depth.shape
    near, far = float32(1 - tolerance), float32(1 + tolerance)
    beyond = float32(1 + 2 * tolerance)
    for v in prange(height):
        for u in range(width):
            agrees = contradicts = 0
            z = depth[v, u]
            if z > float32(0):
                x, y = float32(u) * z, float32(v) * z
                for k in range(others.shape[0]):
                    m = images_from_pixels[k]
                    there = m[2, 0] * x + m[2, 1] * y + m[2, 2] * z + m[2, 3]
                    if there > float32(_NEAREST_Z):
                        at_u = (m[0, 0] * x + m[0, 1] * y + m[0, 2] * z + m[0, 3]) / there
                        at_v = (m[1, 0] * x + m[1, 1] * y + m[1, 2] * z + m[1, 3]) / there
                        if float32(0) <= at_u < float32(width) and float32(0) <= at_v < float32(
                            height
                        ):
                            seen = others[k, int32(at_v), int32(at_u)]
                            if seen > float32(0):
                                agrees += near * there <= seen <= far * there
                                contradicts += seen > beyond * there
            agreeing[v, u] = agrees
            contradicting[v, u] = contradicts
