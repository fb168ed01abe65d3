"""Tracking with ORB-SLAM3 (Campos et al. 2021), through its Python binding."""

import ctypes
import os
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType

import cv2
import numpy as np
import pyorbslam3
from numpy.typing import NDArray

from mapcast_client.errors import StateError
from slam import vocabulary_file
from slam.camera import Calibration
from slam.frame import Frame, FrameGate
from slam.geometry import Mat4, orthonormal
from slam.imu import ImuSamples
from slam.native_stdout import divert_native_stdout
from slam.orbslam3_clock import Clock
from slam.orbslam3_correction import RecentPoses
from slam.orbslam3_map import MapWatch, SessionMap
from slam.orbslam3_sensors import RgbdSensor, SlamSensor
from slam.tracker import NO_POINTS, TrackedFrame, TrackingState
from slam.turned import Turn, landscape

_KEYFRAMES_PER_POLL = 40
"""Up to so many keyframes are polled at every frame, more of them less often: ≤ 1.5 ms a frame."""

_CAMERA_IS_NEW = ctypes.c_bool.in_dll(
    ctypes.CDLL(pyorbslam3._core.__file__), "_ZN9ORB_SLAM35Frame21mbInitialComputationsE"
)
"""ORB-SLAM3 keeps one camera for all trackers of a process: the first one's, unless this is set."""

_OK = (pyorbslam3.TrackingState.OK, pyorbslam3.TrackingState.OK_KLT)


class OrbSlam3Tracker:
    """Tracks frames in the map that ORB-SLAM3 builds of them. Implements `Tracker`.

    tracker_from_camera is relative to the first tracked frame's camera; with an IMU, gravity is
    along the tracker's -Z instead. From the first instant on, the process's file descriptor 1 is
    diverted: see `divert_native_stdout`. Trackers that live in a process at the same time must have
    the same camera.
    """

    def __init__(
        self,
        calibration: Calibration,
        vocabulary: Path,
        new_sensor: Callable[[Calibration, Turn], SlamSensor] = RgbdSensor,
    ) -> None:
        """Load the vocabulary (about a second) and start ORB-SLAM3's threads.

        Raises InputError if the vocabulary is broken, ORB-SLAM3 cannot work on such images, or the
        calibration lacks what the sensor needs.
        """
        self._turn = landscape(calibration.camera)
        self._sensor = sensor = new_sensor(calibration, self._turn)
        self._tracker_from_slam = sensor.tracker_from_slam
        settings = sensor.settings()
        vocabulary_file.info(vocabulary)
        divert_native_stdout()
        self._folder = tempfile.TemporaryDirectory(prefix="mapcast-", dir=_memory_backed_folder())
        folder = Path(self._folder.name)
        (folder / "settings.yaml").write_text(settings)
        _CAMERA_IS_NEW.value = True
        self._slam: pyorbslam3.Slam | None = pyorbslam3.Slam(
            vocabulary, folder / "settings.yaml", sensor.kind
        )
        self._map = SessionMap(
            self._slam.save_keyframe_trajectory_tum, folder / "keyframes.txt", sensor.young_s
        )
        self._gate = FrameGate(calibration.camera, sensor.needs_depth)
        self._clock = Clock()
        self._frames_since_poll = 0
        self._last_raw_state: pyorbslam3.TrackingState | None = None
        self._last_state = TrackingState.INITIALIZING
        self._recent = RecentPoses()
        self._watch = MapWatch()
        self._keyframes: Mapping[int, Mat4] = MappingProxyType({})

    @property
    def world_from_tracker(self) -> Mat4:
        """The first camera stands upright, unless an IMU has told which way is down."""
        return self._sensor.world_from_tracker

    def add_imu(self, samples: ImuSamples) -> None:
        """Take IMU samples up to the next frame; without effect where the sensor has no IMU."""
        self._sensor.add_imu(samples)

    def track(self, frame: Frame) -> TrackedFrame:
        """Track one frame.

        In state RESET there is no pose: those of an unconnected map are never handed out. Where
        ORB-SLAM3 has *discarded* the session's map (a young one), its next map takes over, with
        another `map_number`. `inliers` counts the map points seen, in whichever map. `is_keyframe`
        says that the frame is known to be a keyframe by now; ORB-SLAM3 decides in a thread of its
        own, so that it may turn up in the `keyframes` of later frames only. The same `keyframes`
        mapping is returned until it changes.

        Raises FrameError if the frame does not fit the calibration, goes back in time or lacks
        IMU samples that the sensor needs; StateError after `close`.
        """
        if self._slam is None:
            raise StateError("the tracker is closed")
        self._gate.admit(frame)
        gray = cv2.cvtColor(frame.color, cv2.COLOR_RGB2GRAY).astype(np.uint8, copy=False)
        time_us = self._clock.time_us(frame.capture_ns)
        result = self._sensor.track(self._slam, self._turn.image(gray), frame, time_us)

        map_before, was_connected = self._map_id(), self._map.connected
        correction = self._poll(self._slam, result.state, time_us)
        is_new = self._map_id() != map_before
        self._last_state = self._state(result.state in _OK, is_new, was_connected)
        tracker_from_camera = self._pose(result, correction, time_us)
        return TrackedFrame(
            self._last_state,
            tracker_from_camera,
            result.num_tracked_points,
            frame.capture_ns in self._keyframes,
            self._keyframes,
            NO_POINTS if tracker_from_camera is None else self._points(self._slam),
            self._map.number,
        )

    def close(self) -> None:
        """Stop ORB-SLAM3's threads and remove its files. Closing again does nothing."""
        if self._slam is not None:
            self._slam.shutdown()
            self._slam = None
            self._folder.cleanup()

    def _map_id(self) -> tuple[int, bool]:
        """Another one when poses of this frame and the one before are not comparable.

        The first map's very first frame can be trusted, unless the map was scaled to be the first.
        """
        return self._map.number, self._map.begun and self._sensor.is_inertial

    def _poll(
        self, slam: pyorbslam3.Slam, raw_state: pyorbslam3.TrackingState, time_us: int
    ) -> Mat4 | None:
        """Poll the keyframes when due, and return how they moved here since the frame before.

        Local bundle adjustment moves keyframes by millimetres, now and then by centimetres, while
        `map_changed` tells of loop closures only: so it is not enough to poll after these.
        """
        map_changed, state_changed = slam.map_changed(), raw_state != self._last_raw_state
        self._last_raw_state = raw_state
        self._frames_since_poll += 1
        stride = 1 + self._map.active_keyframes // _KEYFRAMES_PER_POLL
        if not (map_changed or state_changed or self._frames_since_poll >= stride):
            return None
        since_frame_before = map_changed or self._frames_since_poll == 1
        self._frames_since_poll = 0
        before, number_before = self._map.keyframes, self._map.number
        self._map.poll(self._sensor.may_begin(slam))
        after = self._map.keyframes
        if after is before:
            return None
        self._keyframes = MappingProxyType(
            {self._clock.capture_ns(key): self._outward(pose) for key, pose in after.items()}
        )
        if self._sensor.is_inertial:
            self._watch_inertial_map(number_before)
        return self._recent.correction(time_us, before, after) if since_frame_before else None

    def _watch_inertial_map(self, number_before: int) -> None:
        """Count the map as another when an inertial adjustment has changed all of it.

        It moves the whole of young maps only; what moves an older one is a loop closure.
        """
        keyframes = self._map.keyframes
        if self._map.number == number_before:
            is_moved = self._map.is_young and self._watch.is_moved(keyframes)
            if not (self._watch.is_rescaled(keyframes) or is_moved):
                return
            self._map.renumber()
        self._watch.restart(keyframes)

    def _state(self, ok: bool, is_new: bool, was_connected: bool) -> TrackingState:
        """The state after a frame.

        A frame during which the maps merged (`was_connected` is false), or the session got
        another one (`is_new`), may have its pose in either's coordinates.
        """
        if not self._map.begun or is_new:
            return TrackingState.INITIALIZING
        if not self._map.connected:
            return TrackingState.INITIALIZING if self._map.is_young else TrackingState.RESET
        if not was_connected:
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
            self._recent.forget()
            return None
        slam_from_turned = orthonormal(result.pose_wc.astype(np.float64))
        return self._outward(self._recent.add(time_us, slam_from_turned, correction))

    def _outward(self, slam_from_turned: Mat4) -> Mat4:
        """tracker_from_camera."""
        return self._tracker_from_slam @ slam_from_turned @ self._turn.turned_from_camera

    def _points(self, slam: pyorbslam3.Slam) -> NDArray[np.float32]:
        """(N, 3) map points, in tracker coordinates, read-only."""
        rotation = self._tracker_from_slam[:3, :3].astype(np.float32)
        points = self._sensor.points(slam) @ rotation.T
        points.flags.writeable = False
        return points


def _memory_backed_folder() -> str | None:
    """Where files cost no disk writes; None, the system's default, if there is no such place."""
    return "/dev/shm" if os.access("/dev/shm", os.W_OK | os.X_OK) else None
