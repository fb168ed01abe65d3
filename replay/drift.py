"""A tracker for benches and tests that drifts by a known amount, until it closes its loop."""

from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType

import numpy as np
from scipy.spatial.transform import Rotation

from slam.frame import Frame
from slam.geometry import Mat4, rigid
from slam.imu import ImuSamples
from slam.tracker import TrackedFrame, Tracker

HEADING_RAD_PER_M = 0.5
"""Times the drift's share: 1 % of the path turns the camera by 0.3° per metre."""


class DriftingTracker:
    """Another tracker, as if it gathered errors along its path. Implements `Tracker`.

    From `closes_at_ns` on its poses, and all keyframes, are those of the other tracker: what was
    wrong is put right all along the path, the more the later, as after the closure of a loop.
    """

    def __init__(
        self,
        tracker: Tracker,
        closes_at_ns: int | None,
        drift_share: float = 0.01,
        seed: int = 0,
    ) -> None:
        """Follow `tracker`; at the end it is off by about `drift_share` of the way.

        `closes_at_ns` None: the loop is never closed.
        """
        self._tracker = tracker
        self._closes_at_ns = closes_at_ns
        self._share = drift_share
        self._rng = np.random.default_rng(seed)
        direction = self._rng.normal(size=3)
        self._direction = direction / np.linalg.norm(direction)
        self._last: Mat4 | None = None
        self._drifted_from_tracker = np.eye(4)
        self._drift_at: dict[int, Mat4] = {}
        self._keyframes: Mapping[int, Mat4] = {}
        self._drifted: Mapping[int, Mat4] = MappingProxyType({})
        self._has_closed = False

    @property
    def world_from_tracker(self) -> Mat4:
        """The other tracker's."""
        return self._tracker.world_from_tracker

    def add_imu(self, samples: ImuSamples) -> None:
        """Hand them on."""
        self._tracker.add_imu(samples)

    def track(self, frame: Frame) -> TrackedFrame:
        """Track one frame, and say where it seems to be. Raises as the other tracker does."""
        tracked = self._tracker.track(frame)
        if self._closes_at_ns is not None and frame.capture_ns >= self._closes_at_ns:
            self._has_closed = True
        if self._has_closed:
            return tracked
        if tracked.tracker_from_camera is not None:
            self._go_on(tracked.tracker_from_camera)
            self._drift_at[frame.capture_ns] = self._drifted_from_tracker
            pose = self._drifted_from_tracker @ tracked.tracker_from_camera
            tracked = replace(tracked, tracker_from_camera=pose)
        return replace(tracked, keyframes=self._drifted_keyframes(tracked.keyframes))

    def close(self) -> None:
        """Release the other tracker."""
        self._tracker.close()

    def _go_on(self, tracker_from_camera: Mat4) -> None:
        """Add the error of one step.

        Its direction stays the same in the tracker's axes (a round trip would else undo it), and
        the heading turns about the vertical; a little of it is white.
        """
        last = tracker_from_camera if self._last is None else self._last
        self._last = tracker_from_camera
        length_m = float(np.linalg.norm(tracker_from_camera[:3, 3] - last[:3, 3]))
        off_m = self._share * length_m * (self._direction + 0.2 * self._rng.normal(size=3))
        down = self.world_from_tracker[2, :3]
        turn = Rotation.from_rotvec(self._share * HEADING_RAD_PER_M * length_m * down).as_matrix()
        eye = tracker_from_camera[:3, 3]
        error = rigid(turn, eye - turn @ eye + off_m)  # turns about the camera
        self._drifted_from_tracker = self._drifted_from_tracker @ error

    def _drifted_keyframes(self, keyframes: Mapping[int, Mat4]) -> Mapping[int, Mat4]:
        if keyframes is not self._keyframes:
            self._keyframes = keyframes
            self._drifted = MappingProxyType(
                {
                    instant: self._drift_at.get(instant, np.eye(4)) @ tracker_from_keyframe
                    for instant, tracker_from_keyframe in keyframes.items()
                }
            )
        return self._drifted
