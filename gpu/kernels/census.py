"""The census transform: what a pixel's neighbourhood looks like, whatever the exposure.

Zabih & Woodfill 1994, with a dead zone: a neighbour is brighter, darker or about the same, so that
on a white wall noise does not look like texture.
"""

import cv2
import numpy as np
from numba import int32, njit, prange, uint32
from numpy.typing import NDArray

from gpu.kernels import JIT

# Sixteen neighbours, two bits each, in one word: the 5 × 5 without its corners' neighbours.
_OFFSETS = np.array(
    [
        *((-2, -2), (-2, 0), (-2, 2), (-1, -1), (-1, 0), (-1, 1), (0, -2), (0, -1)),
        *((0, 1), (0, 2), (1, -1), (1, 0), (1, 1), (2, -2), (2, 0), (2, 2)),
    ]
)  # fmt: skip
REACH_PX = 2
DEAD_ZONE = 3
"""Gray levels: the noise of a decoded JPEG."""
WORD_BITS = 32


def census(gray: NDArray[np.uint8]) -> NDArray[np.uint32]:
    """(H, W) words of an image's pixels."""
    return _census(gray, 1)


def fine_census(gray: NDArray[np.uint8]) -> NDArray[np.uint32]:
    """(2H, 2W) words at half-pixel steps: element i along an axis lies at pixel (i − ½) / 2.

    All lie a quarter pixel off the pixel grid, so that interpolation smooths them alike.
    """
    height, width = gray.shape
    fine = cv2.resize(gray, (2 * width, 2 * height), interpolation=cv2.INTER_CUBIC)
    return _census(fine.astype(np.uint8, copy=False), 2)


def _census(gray: NDArray[np.uint8], spacing_px: int) -> NDArray[np.uint32]:
    border = REACH_PX * spacing_px
    padded = cv2.copyMakeBorder(gray, border, border, border, border, cv2.BORDER_REPLICATE)
    words = np.zeros(gray.shape, np.uint32)
    census_words(padded, _OFFSETS * spacing_px, border, DEAD_ZONE, words)
    return words


# One work-item = one row of `words` (H, W) uint32, zero before. `padded` uint8 has `border` more
# pixels on each side. `offsets` (K ≤ 16, 2) are the neighbours' rows and columns from a pixel. Bit
# 2k: neighbour k is brighter by more than `dead_zone`; 2k + 1: it is darker. Races: none.
@njit(parallel=True, **JIT)
def census_words(padded, offsets, border, dead_zone, words):
    """Compare each pixel with up to sixteen neighbours."""
    height, width = words.shape
    above, below = int32(dead_zone), int32(-dead_zone)
    for v in prange(height):
        centre, row_words = padded[v + border, border : border + width], words[v]
        for k in range(offsets.shape[0]):
            shift = offsets[k, 1] + border
            neighbour = padded[v + border + offsets[k, 0], shift : shift + width]
            bit = uint32(2 * k)
            for u in range(width):
                difference = int32(int32(neighbour[u]) - int32(centre[u]))
                brighter = uint32(1) if difference > above else uint32(0)
                darker = uint32(2) if difference < below else uint32(0)
                row_words[u] = uint32(row_words[u] | uint32(uint32(brighter | darker) << bit))
