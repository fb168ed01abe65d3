"""What a tracker is: frames in, poses relative to its own map out."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Protocol

from slam.frame import Frame
from slam.geometry import Mat4


class TrackingState(Enum):
    """Where the tracker stands after a frame. Values are the wire's names."""

    INITIALIZING = "initializing"
    TRACKING = "tracking"
    LOST = "lost"
    RELOCALIZED = "relocalized"
    """The first frame with a pose after LOST or RESET."""
    RESET = "reset"
    """The tracker began a map that is not connected to the session's: its poses are not used."""


@dataclass(frozen=True, slots=True)
class TrackedFrame:
    """A tracker's answer to one frame."""

    state: TrackingState
    tracker_from_camera: Mat4 | None = None
    """None when there is no usable pose."""
    inliers: int = 0
    is_keyframe: bool = False
    keyframes: Mapping[int, Mat4] = field(default_factory=dict)
    """capture_ns of each keyframe → tracker_from_keyframe as it stands now."""


class Tracker(Protocol):
    """Finds where the camera is. One thread calls it."""

    def track(self, frame: Frame) -> TrackedFrame:
        """Track one frame. Lost tracking is a state, never an error.

        Raises FrameError if the frame does not fit the calibration or goes back in time.
        """

    def close(self) -> None:
        """Release the tracker; later calls are errors."""
