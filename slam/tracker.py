"""What a tracker is: frames in, poses relative to its own map out."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from slam.frame import Frame
from slam.geometry import Mat4
from slam.imu import ImuSamples


class TrackingState(Enum):
    """Where the tracker stands after a frame. Values are the wire's names."""

    INITIALIZING = "initializing"
    TRACKING = "tracking"
    LOST = "lost"
    RELOCALIZED = "relocalized"
    """The first frame with a pose after LOST or RESET."""
    RESET = "reset"
    """The tracker began a map that is not connected to the session's: its poses are not used."""


NO_POINTS: NDArray[np.float32] = np.empty((0, 3), np.float32)
NO_POINTS.flags.writeable = False


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
    points_tracker: NDArray[np.float32] = field(default_factory=lambda: NO_POINTS)
    """(N, 3) map points that a monocular frame sees, in tracker coordinates."""
    map_number: int = 0
    """Grows when the tracker starts over or changes its scale: nothing before it compares."""


class Tracker(Protocol):
    """Finds where the camera is. One thread calls it."""

    @property
    def world_from_tracker(self) -> Mat4:
        """How its coordinates lie in a world whose gravity is along -Z. Constant."""

    def add_imu(self, samples: ImuSamples) -> None:
        """Take samples up to the next frame; a tracker that uses no IMU ignores them."""

    def track(self, frame: Frame) -> TrackedFrame:
        """Track one frame. Lost tracking is a state, never an error.

        Raises FrameError if the frame does not fit the calibration or goes back in time.
        """

    def close(self) -> None:
        """Release the tracker; later calls are errors."""
