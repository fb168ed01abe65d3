"""What hangs on keyframes that have a scale: Sim(3) as rigid transforms and a scale beside them.

A keyframe's (world_from_keyframe, scale) takes a point p that it sees to R · scale · p + t. All
functions take stacks, too: (..., 4, 4) transforms with (...) scales.
"""

import numpy as np
from numpy.typing import NDArray

from slam.geometry import Mat4

Scales = float | NDArray[np.float64]


def inverses(target_from_source: Mat4) -> Mat4:
    """source_from_target of rigid transforms: [Rᵀ | −Rᵀt]."""
    rotation = np.swapaxes(target_from_source[..., :3, :3], -1, -2)
    inverse = np.zeros_like(target_from_source)
    inverse[..., :3, :3] = rotation
    inverse[..., :3, 3] = -(rotation @ target_from_source[..., :3, 3:])[..., 0]
    inverse[..., 3, 3] = 1.0
    return inverse


def scaled(target_from_source: Mat4, scale: Scales) -> Mat4:
    """The transforms with their translations times `scale`."""
    result = target_from_source.copy()
    result[..., :3, 3] *= np.asarray(scale)[..., None]
    return result


def hung(world_from_keyframe: Mat4, scale: Scales, keyframe_from_source: Mat4) -> Mat4:
    """world_from_source of what hangs on keyframes: (R_w · R, t_w + s · R_w · t)."""
    return np.asarray(world_from_keyframe @ scaled(keyframe_from_source, scale))


def hang(world_from_keyframe: Mat4, scale: Scales, world_from_source: Mat4) -> Mat4:
    """keyframe_from_source, so that `hung` gives world_from_source."""
    keyframe_from_source = inverses(world_from_keyframe) @ world_from_source
    return scaled(keyframe_from_source, 1.0 / np.asarray(scale))


def differ(a: Mat4, b: Mat4, tolerance_m: float, tolerance_rad: float) -> NDArray[np.bool_]:
    """(...) whether rigid transforms differ by more: translations in length, rotations in angle.

    Of a small angle θ between two rotations, ‖R_a − R_b‖ = √2 · θ.
    """
    apart_m = np.linalg.norm(a[..., :3, 3] - b[..., :3, 3], axis=-1)
    apart = np.linalg.norm(a[..., :3, :3] - b[..., :3, :3], axis=(-2, -1))
    return np.asarray((apart_m > tolerance_m) | (apart > np.sqrt(2.0) * tolerance_rad))
