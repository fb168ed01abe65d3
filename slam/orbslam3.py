"""RGB-D tracking with ORB-SLAM3 (Campos et al. 2021), through its Python binding."""

import os
import tempfile
from collections import deque
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

import numpy as np
import pyorbslam3

from mapcast_client.errors import StateError
from slam import vocabulary_file
from slam.camera import Calibration
from slam.frame import Frame, FrameGate
from slam.geometry import Mat4, distance, inverse, orthonormal
from slam.native_stdout import divert_native_stdout
from slam.orbslam3_map import SessionMap
from slam.orbslam3_settings import settings_yaml
from slam.tracker import TrackedFrame, TrackingState

_KEYFRAMES_PER_POLL = 40
"""Up to so many keyframes are polled at every frame, more of them less often: ≤ 1.5 ms a frame."""

_CORRECTION_MIN = 0.005
"""Metres plus radians; a smaller jump of the map cannot be told from the camera's own motion."""

_RECENT_FRAMES = 100
"""ORB-SLAM3 files a keyframe some frames after it was taken, seldom more than ten."""

_LONGEST_STEP_US = 3_600_000_000
"""ORB-SLAM3 gives up a map after seconds; longer pauses than an hour make no difference to it."""

_OK = (pyorbslam3.TrackingState.OK, pyorbslam3.TrackingState.OK_KLT)


class OrbSlam3Tracker:
    """Tracks RGB-D frames in the map that ORB-SLAM3 builds of them. Implements `Tracker`.

    tracker_from_camera is relative to the first tracked frame's camera. From the first instance
    on, the process's file descriptor 1 is diverted: see `divert_native_stdout`.
    """

    def __init__(self, calibration: Calibration, vocabulary: Path, features: int = 800) -> None:
        """Load the vocabulary (about a second) and start ORB-SLAM3's threads.

        Raises InputError if the vocabulary is broken or ORB-SLAM3 cannot work on such images.
        """
        settings = settings_yaml(calibration, features)
        vocabulary_file.info(vocabulary)
        divert_native_stdout()
        self._folder = tempfile.TemporaryDirectory(prefix="mapcast-", dir=_memory_backed_folder())
        folder = Path(self._folder.name)
        (folder / "settings.yaml").write_text(settings)
        self._slam: pyorbslam3.Slam | None = pyorbslam3.Slam(
            vocabulary, folder / "settings.yaml", pyorbslam3.Sensor.RGBD
        )
        self._map = SessionMap(self._slam.save_keyframe_trajectory_tum, folder / "keyframes.txt")
        self._gate = FrameGate(calibration.camera)
        self._clock = _Clock()
        camera = calibration.camera
        self._depth_m = np.empty((camera.height_px, camera.width_px), np.float32)
        self._frames_since_poll = 0
        self._last_raw_state: pyorbslam3.TrackingState | None = None
        self._last_state = TrackingState.INITIALIZING
        self._recent: deque[tuple[int, Mat4]] = deque(maxlen=_RECENT_FRAMES)
        self._keyframes: Mapping[int, Mat4] = MappingProxyType({})

    def track(self, frame: Frame) -> TrackedFrame:
        """Track one frame.

        In state RESET there is no pose: those of an unconnected map are never handed out.
        `inliers` counts the map points seen, in whichever map. `is_keyframe` says that the frame
        is known to be a keyframe by now; ORB-SLAM3 decides in a thread of its own, so that it may
        turn up in the `keyframes` of later frames only. The same `keyframes` mapping is returned
        until it changes.

        Raises FrameError if the frame does not fit the calibration or goes back in time,
        StateError after `close`.
        """
        if self._slam is None:
            raise StateError("the tracker is closed")
        self._gate.admit(frame)
        time_us = self._clock.time_us(frame.capture_ns)
        np.multiply(frame.depth, np.float32(frame.depth_scale_m), out=self._depth_m)
        result = self._slam.track_rgbd(frame.color, self._depth_m, time_us / 1e6)

        was_connected = self._map.connected
        correction = self._poll(result.state, self._slam.map_changed(), time_us)
        connected = was_connected and self._map.connected
        self._last_state = self._state(result.state in _OK, connected)
        return TrackedFrame(
            self._last_state,
            self._pose(result, correction, time_us),
            result.num_tracked_points,
            frame.capture_ns in self._keyframes,
            self._keyframes,
        )

    def close(self) -> None:
        """Stop ORB-SLAM3's threads and remove its files. Closing again does nothing."""
        if self._slam is not None:
            self._slam.shutdown()
            self._slam = None
            self._folder.cleanup()

    def _poll(
        self, raw_state: pyorbslam3.TrackingState, map_changed: bool, time_us: int
    ) -> Mat4 | None:
        """Poll the keyframes when due, and return how they moved here since the frame before.

        Local bundle adjustment moves keyframes by millimetres, now and then by centimetres, while
        `map_changed` tells of loop closures only: so it is not enough to poll after these.
        """
        state_changed = raw_state != self._last_raw_state
        self._last_raw_state = raw_state
        self._frames_since_poll += 1
        stride = 1 + self._map.active_keyframes // _KEYFRAMES_PER_POLL
        if not (map_changed or state_changed or self._frames_since_poll >= stride):
            return None
        since_frame_before = map_changed or self._frames_since_poll == 1
        self._frames_since_poll = 0
        before = self._map.keyframes
        self._map.poll()
        after = self._map.keyframes
        if after is not before:
            self._keyframes = MappingProxyType(
                {self._clock.capture_ns(key): pose for key, pose in after.items()}
            )
        if not since_frame_before:
            return None
        return correction_at(time_us, dict(self._recent) | dict(before), after)

    def _state(self, ok: bool, connected: bool) -> TrackingState:
        """The state after a frame; `connected` before *and* after it.

        A frame during which the maps merged may have its pose in either's coordinates: it still
        counts as RESET.
        """
        if not self._map.begun:
            return TrackingState.INITIALIZING
        if not connected:
            return TrackingState.RESET
        if not ok:
            return TrackingState.LOST
        lost = self._last_state in (TrackingState.LOST, TrackingState.RESET)
        return TrackingState.RELOCALIZED if lost else TrackingState.TRACKING

    def _pose(
        self, result: pyorbslam3.TrackResult, correction: Mat4 | None, time_us: int
    ) -> Mat4 | None:
        """ORB-SLAM3's Twc as float64, re-orthonormalised, in the map as it was polled.

        Its float32 rotations drift from SO(3) by 1e-6; fusing thousands of frames shows it.
        """
        if self._last_state not in (TrackingState.TRACKING, TrackingState.RELOCALIZED):
            self._recent.clear()
            return None
        tracker_from_camera = orthonormal(result.pose_wc.astype(np.float64))
        if correction is not None and self._recent:
            poses = [pose for _, pose in self._recent]
            tracker_from_camera = carried(tracker_from_camera, predicted(poses), correction)
            for row, (time_before_us, pose) in enumerate(self._recent):
                self._recent[row] = (time_before_us, correction @ pose)
        self._recent.append((time_us, tracker_from_camera))
        return tracker_from_camera


def correction_at(
    time_us: int, before: Mapping[int, Mat4], after: Mapping[int, Mat4]
) -> Mat4 | None:
    """after_from_before of the map at an instant's reference keyframe; None if it hardly moved.

    The reference is the latest keyframe not later than the instant. `before` has the keyframes of
    an earlier poll, and recent frames: a keyframe is filed later than it was tracked.
    """
    reference = max((key for key in after if key <= time_us), default=None)
    if reference is None or reference not in before:
        return None
    if distance(before[reference], after[reference]) <= _CORRECTION_MIN:
        return None
    return after[reference] @ inverse(before[reference])


def predicted(poses: Sequence[Mat4]) -> Mat4:
    """The next pose of a camera that moves on as it did between the last two."""
    if len(poses) < 2:
        return poses[-1]
    return poses[-1] @ inverse(poses[-2]) @ poses[-1]


def carried(tracker_from_camera: Mat4, expected: Mat4, after_from_before: Mat4) -> Mat4:
    """A frame's pose in the corrected map, when it may have been tracked just before or after.

    ORB-SLAM3's mapping thread corrects the map between two of our calls, and nothing says on
    which side of the frame; `expected`, in the map before, decides.
    """
    before = distance(expected, tracker_from_camera)
    after = distance(after_from_before @ expected, tracker_from_camera)
    return after_from_before @ tracker_from_camera if before < after else tracker_from_camera


class _Clock:
    """Instants as ORB-SLAM3 gets them: microseconds since the first frame.

    Its files have six decimals, and its float64 seconds would not hold nanoseconds since 1970.
    """

    def __init__(self) -> None:
        self._last_us = 0
        self._last_ns: int | None = None
        self._capture_ns: dict[int, int] = {}

    def time_us(self, capture_ns: int) -> int:
        """The next instant, strictly later than the one before."""
        if self._last_ns is not None:
            step_us = (capture_ns - self._last_ns + 500) // 1000
            self._last_us += min(max(step_us, 1), _LONGEST_STEP_US)
        self._last_ns = capture_ns
        self._capture_ns[self._last_us] = capture_ns
        return self._last_us

    def capture_ns(self, time_us: int) -> int:
        """The frame's capture_ns of an instant that `time_us` returned."""
        return self._capture_ns[time_us]


def _memory_backed_folder() -> str | None:
    """Where files cost no disk writes; None, the system's default, if there is no such place."""
    return "/dev/shm" if os.access("/dev/shm", os.W_OK | os.X_OK) else None
