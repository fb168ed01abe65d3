"""Whether a bundle adjustment is to be believed, and the camera that it found."""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from slam.camera import Camera
from slam.geometry import Mat4, inverse
from slam.refine_messages import CameraOffer

_FEWEST_OBSERVATIONS = 200
_MAX_ERROR_PX = 3.0
_BEHIND_PX = 100.0
"""Off by so much counts what is behind its camera, and has no place in the picture."""
_MAX_DEPTH_ERROR = 0.04
_MAX_LOG_SCALE = 0.05
_MAX_JUMP = 0.05
"""Against its neighbours, over the scene's depth."""
_MAX_TURN_DEG = 3.0
_FEWEST_KEYFRAMES = 10
"""For a camera: it is the same in all keyframes, so that it asks for more of them than a pose."""
_MAX_FOCAL_CHANGE = 0.2


@dataclass(frozen=True, slots=True)
class Adjustment:
    """What is known of a bundle adjustment."""

    before: Mapping[int, Mat4]
    """world_from_keyframe by capture_ns."""
    after: Mapping[int, Mat4]
    reprojection_px: tuple[float, float]
    """Mean, before and after."""
    observations: int
    depth_error: float
    """Median of the points' depths over the sensor's, minus 1."""
    scene_depth: float


def errors_px(residuals_px: NDArray[np.float64]) -> NDArray[np.float64]:
    """(N,) lengths of (N, 2) residuals; of a point that came to lie behind its camera: much."""
    errors = np.linalg.norm(residuals_px, axis=1)
    return np.where(np.isfinite(errors), errors, _BEHIND_PX)


def why_rejected(adjustment: Adjustment) -> str:
    """The reason, with the value and the limit; empty: it is accepted."""
    return _why_no_better(adjustment) or _why_implausible(adjustment)


def _why_no_better(adjustment: Adjustment) -> str:
    """Whether it came to an end that fits the pictures better, and the depths."""
    before_px, after_px = adjustment.reprojection_px
    poses = np.array(list(adjustment.after.values()))
    if adjustment.observations < _FEWEST_OBSERVATIONS:
        return f"{adjustment.observations} observations, at least {_FEWEST_OBSERVATIONS} are needed"
    if not (np.isfinite(poses).all() and np.isfinite(after_px)):
        return "the adjustment diverged"
    if after_px >= before_px or after_px > _MAX_ERROR_PX:
        return (
            f"the reprojection error went from {before_px:.2f} to {after_px:.2f} px, "
            f"must fall, to {_MAX_ERROR_PX} at most"
        )
    if abs(adjustment.depth_error) > _MAX_DEPTH_ERROR:
        return f"depths are {adjustment.depth_error:+.1%} off, at most {_MAX_DEPTH_ERROR:.0%}"
    return ""


def why_not_offered(
    offer: CameraOffer, given: Camera, adjustment: Adjustment, fewest_keyframes: int = 0
) -> str:
    """The reason against the camera of an adjustment; empty: it may be offered.

    Keyframes may move as it likes: nobody is told where. `fewest_keyframes`: that it must rest on
    to replace an earlier offer.
    """
    camera = offer.camera
    fewest_keyframes = max(fewest_keyframes, _FEWEST_KEYFRAMES)
    if reason := _why_no_better(adjustment):
        return reason
    if offer.keyframes < fewest_keyframes:
        return f"it rests on {offer.keyframes} keyframes, at least {fewest_keyframes} are needed"
    changes = camera.fx_px / given.fx_px - 1, camera.fy_px / given.fy_px - 1
    if max(map(abs, changes)) > _MAX_FOCAL_CHANGE:
        return (
            f"its focal lengths are {changes[0]:+.0%} and {changes[1]:+.0%} off the given ones, "
            f"at most {_MAX_FOCAL_CHANGE:.0%}"
        )
    return ""


def _why_implausible(adjustment: Adjustment) -> str:
    """Scale, and each keyframe's motion against those before and after it."""
    keys = sorted(adjustment.before)
    steps = [
        (inverse(poses[first]) @ poses[second])
        for poses in (adjustment.before, adjustment.after)
        for first, second in pairwise(keys)
    ]
    before, after = np.array(steps).reshape(2, -1, 4, 4)
    log_scale = _log_scale(adjustment)
    if not abs(log_scale) <= _MAX_LOG_SCALE:
        return f"the scale changed by {np.expm1(log_scale):+.1%}, at most {_MAX_LOG_SCALE:.0%}"
    jump = np.linalg.norm(after[:, :3, 3] - before[:, :3, 3], axis=1) / adjustment.scene_depth
    turned = before[:, :3, :3].transpose(0, 2, 1) @ after[:, :3, :3]
    turn_deg = np.degrees(np.arccos(np.clip((np.trace(turned, axis1=1, axis2=2) - 1) / 2, -1, 1)))
    worst = int(np.argmax(np.maximum(jump / _MAX_JUMP, turn_deg / _MAX_TURN_DEG)))
    if jump[worst] > _MAX_JUMP or turn_deg[worst] > _MAX_TURN_DEG:
        return (
            f"keyframe {keys[worst + 1]} jumps by {jump[worst]:.1%} of the scene's depth and "
            f"{turn_deg[worst]:.1f}° against the one before, at most {_MAX_JUMP:.0%} and "
            f"{_MAX_TURN_DEG}°"
        )
    return ""


def _log_scale(adjustment: Adjustment) -> float:
    """Of how far the keyframes spread, after over before; 0 where they hardly do."""
    before = spread(adjustment.before)
    if before < _MAX_JUMP * adjustment.scene_depth:
        return 0.0
    return float(np.log(max(spread(adjustment.after), 1e-9) / before))


def spread(world_from_keyframe: Mapping[int, Mat4]) -> float:
    """RMS distance of keyframes from their middle: their scale, which noise hardly changes."""
    centres = np.array([pose[:3, 3] for pose in world_from_keyframe.values()])
    return float(np.sqrt(((centres - centres.mean(axis=0)) ** 2).sum(axis=1).mean()))
