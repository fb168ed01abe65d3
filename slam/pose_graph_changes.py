"""What a pose graph tells others about its keyframes and frames."""

from collections.abc import Mapping
from dataclasses import dataclass

from slam.geometry import Mat4


@dataclass(frozen=True, slots=True)
class KeyframePose:
    """Where a keyframe is now."""

    world_from_keyframe: Mat4
    scale: float = 1.0
    """What lengths seen from it are multiplied by; 1 unless the map is monocular."""


@dataclass(frozen=True, slots=True)
class FrameHang:
    """What a frame hangs on.

    With world_from_keyframe = (R_w, t_w) and the keyframe's scale s, world_from_camera is
    (R_w · R, t_w + s · R_w · t), where (R, t) is keyframe_from_camera.
    """

    keyframe_ns: int
    keyframe_from_camera: Mat4


@dataclass(frozen=True, slots=True)
class GraphChanges:
    """What somebody who knew the graph at an earlier revision has to be told."""

    revision: int
    """What to ask for the next time."""
    keyframes: Mapping[int, KeyframePose]
    """capture_ns → pose of those that are new or moved; culled ones too: frames hang on them."""
    frames: Mapping[int, FrameHang]
    """capture_ns → hang of those that hang on another keyframe now."""
