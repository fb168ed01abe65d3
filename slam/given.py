"""Poses that the sender brings: a tracker that only checks them."""

import math
from collections.abc import Mapping
from types import MappingProxyType

import numpy as np

from mapcast_client.errors import FrameError, InputError, StateError
from slam.camera import Calibration
from slam.frame import Frame, FrameGate
from slam.geometry import Mat4, require_rigid
from slam.imu import ImuSamples
from slam.tracker import TrackedFrame, TrackingState

_FRAMES_PER_KEYFRAME = 10
_LIMIT_M = 100_000.0
"""Beyond any walk or flight; float64 poses within it are exact to nanometres."""


class GivenPoseTracker:
    """Takes each frame's own world_from_camera as its pose. Implements `Tracker`.

    tracker coordinates are the sender's world. Every tenth frame is a keyframe, the first one too;
    keyframes never move.
    """

    def __init__(self, calibration: Calibration) -> None:
        self._gate = FrameGate(calibration.camera, needs_depth=False)
        self._frames = 0
        self._keyframes: Mapping[int, Mat4] = MappingProxyType({})
        self._closed = False

    @property
    def world_from_tracker(self) -> Mat4:
        """The sender's world is ours."""
        return np.eye(4)

    def add_imu(self, samples: ImuSamples) -> None:
        """Ignore them: the poses are given."""

    def track(self, frame: Frame) -> TrackedFrame:
        """Check one frame and its pose. `inliers` stays 0.

        Raises FrameError if the frame does not fit the calibration, goes back in time, or brings
        no pose, one that is not rigid or one beyond 100 km; StateError after `close`.
        """
        if self._closed:
            raise StateError("the tracker is closed")
        world_from_camera = _checked_pose(frame)
        self._gate.admit(frame)
        is_keyframe = self._frames % _FRAMES_PER_KEYFRAME == 0
        self._frames += 1
        if is_keyframe:
            self._keyframes = MappingProxyType(
                {**self._keyframes, frame.capture_ns: world_from_camera}
            )
        return TrackedFrame(
            TrackingState.TRACKING,
            world_from_camera,
            is_keyframe=is_keyframe,
            keyframes=self._keyframes,
        )

    def resume(self, keyframes: Mapping[int, Mat4], frames: int, newest_ns: int) -> None:
        """Go on where another one ended after so many frames, the last one of `newest_ns`."""
        self._gate.admit_after(newest_ns)
        self._keyframes, self._frames = MappingProxyType(dict(keyframes)), frames

    def close(self) -> None:
        """Refuse frames from now on."""
        self._closed = True


def _checked_pose(frame: Frame) -> Mat4:
    if frame.world_from_camera is None:
        raise FrameError(
            f"frame {frame.index}: brings no world_from_camera, which given poses need"
        )
    name = f"frame {frame.index}: world_from_camera"
    try:
        world_from_camera = require_rigid(frame.world_from_camera, name)
    except InputError as error:
        raise FrameError(str(error)) from None
    distance_m = math.hypot(*world_from_camera[:3, 3])
    if not distance_m <= _LIMIT_M:
        raise FrameError(
            f"{name} leads {distance_m:.6g} m from the origin, must be at most {_LIMIT_M:.6g} m"
        )
    return world_from_camera
