"""What ORB-SLAM3 is given of a frame: with depth, alone, or with IMU samples."""

from abc import ABC, abstractmethod
from typing import ClassVar

import numpy as np
import pyorbslam3
from numpy.typing import NDArray

from mapcast_client.errors import InputError
from slam.camera import Calibration
from slam.frame import Frame
from slam.geometry import Mat4, inverse
from slam.imu import ImuBuffer, ImuSamples
from slam.orbslam3_settings import settings_yaml
from slam.pose_graph import UPRIGHT
from slam.tracker import NO_POINTS
from slam.turned import Turn

_ADJUSTMENT_US = 500_000
"""ORB-SLAM3 calls the IMU initialised, and then adjusts the map: poses jump by decimetres."""

Gray = NDArray[np.uint8]


class SlamSensor(ABC):
    """One of ORB-SLAM3's sensors: how it is fed, and what its map means."""

    kind: ClassVar[pyorbslam3.Sensor]
    features: ClassVar[int]
    """ORB features per image that serve it best."""
    needs_depth: ClassVar[bool] = False
    is_inertial: ClassVar[bool] = False
    """The map is scaled and turned, gravity along -Z: before it is fit to be used, and after."""
    young_s: ClassVar[float] = 0.0
    """ORB-SLAM3 discards a map that spans less time whenever it loses track in it."""

    def __init__(self, calibration: Calibration, turn: Turn) -> None:
        self._calibration = calibration
        self._turn = turn

    def settings(self) -> str:
        """ORB-SLAM3's settings file. Raises InputError where it would crash."""
        rate_hz = self._calibration.frame_rate_hz
        return settings_yaml(self._turn.camera, rate_hz, self.features)

    @property
    def tracker_from_slam(self) -> Mat4:
        """ORB-SLAM3's coordinates are those of the first, turned, camera; ours of it as it is."""
        return inverse(self._turn.turned_from_camera)

    @property
    def world_from_tracker(self) -> Mat4:
        """The first camera is taken to stand upright."""
        return UPRIGHT

    @abstractmethod
    def track(
        self, slam: pyorbslam3.Slam, gray: Gray, frame: Frame, time_us: int
    ) -> pyorbslam3.TrackResult:
        """Feed one frame, whose image is `gray`. Raises FrameError if something is missing."""

    def may_begin(self, slam: pyorbslam3.Slam) -> bool:
        """Whether ORB-SLAM3's active map is fit to be the session's."""
        return True

    def points(self, slam: pyorbslam3.Slam) -> NDArray[np.float32]:
        """(N, 3) map points that the last frame saw, where depth is to be estimated from them."""
        return NO_POINTS

    def add_imu(self, samples: ImuSamples) -> None:
        """Take samples up to the next frame; only an inertial sensor uses them."""
        return


class RgbdSensor(SlamSensor):
    """Colour and depth: metric from the first frame on."""

    kind = pyorbslam3.Sensor.RGBD
    features = 800
    needs_depth = True

    def __init__(self, calibration: Calibration, turn: Turn) -> None:
        super().__init__(calibration, turn)
        camera = calibration.camera
        self._depth_m = np.empty((camera.height_px, camera.width_px), np.float32)

    def track(
        self, slam: pyorbslam3.Slam, gray: Gray, frame: Frame, time_us: int
    ) -> pyorbslam3.TrackResult:
        """Feed the image and its depth in metres."""
        assert frame.depth is not None, "the gate admitted it"
        np.multiply(frame.depth, np.float32(frame.depth_scale_m), out=self._depth_m)
        return slam.track_rgbd(gray, self._turn.image(self._depth_m), time_us / 1e6)


class MonocularSensor(SlamSensor):
    """Colour alone: ORB-SLAM3's unit is the median depth of the points it began with."""

    kind = pyorbslam3.Sensor.MONOCULAR
    features = 1500

    def track(
        self, slam: pyorbslam3.Slam, gray: Gray, frame: Frame, time_us: int
    ) -> pyorbslam3.TrackResult:
        """Feed the image."""
        return slam.track_monocular(gray, time_us / 1e6)

    def points(self, slam: pyorbslam3.Slam) -> NDArray[np.float32]:
        """(N, 3) map points that the last frame saw: a copy, 20 µs for 400."""
        points: NDArray[np.float32] = slam.tracked_map_points()
        return points


class MonocularInertialSensor(MonocularSensor):
    """Colour and an IMU: metric once the IMU is initialised, two seconds of motion or more."""

    kind = pyorbslam3.Sensor.IMU_MONOCULAR
    is_inertial = True
    young_s = 20.0
    """Its second inertial adjustment is due 15 s after the IMU was initialised."""

    def __init__(self, calibration: Calibration, turn: Turn) -> None:
        """Raises InputError if the calibration says nothing of the IMU."""
        super().__init__(calibration, turn)
        if calibration.imu is None:
            raise InputError("calibration has no imu, which monocular-inertial tracking needs")
        self._imu = calibration.imu
        self._buffer = ImuBuffer(calibration.imu.rate_hz)
        self._last_us = 0
        self._initialized_us: int | None = None

    def settings(self) -> str:
        """ORB-SLAM3's settings file, with the IMU. Raises InputError where it would crash."""
        rate_hz, imu = self._calibration.frame_rate_hz, self._turn.imu(self._imu)
        return settings_yaml(self._turn.camera, rate_hz, self.features, imu)

    @property
    def tracker_from_slam(self) -> Mat4:
        """ORB-SLAM3 turns its coordinates so that gravity is along -Z: they are the world's."""
        return np.eye(4)

    @property
    def world_from_tracker(self) -> Mat4:
        """They are the same."""
        return np.eye(4)

    def track(
        self, slam: pyorbslam3.Slam, gray: Gray, frame: Frame, time_us: int
    ) -> pyorbslam3.TrackResult:
        """Feed the image and the samples since the last one."""
        fractions, values = self._buffer.until(frame.capture_ns, frame.index)
        times_us = self._last_us + fractions * (time_us - self._last_us)
        self._last_us = time_us
        samples = np.column_stack([times_us / 1e6, values])
        result = slam.track_monocular(gray, time_us / 1e6, imu=samples)
        if not slam.imu_initialized():
            self._initialized_us = None
        elif self._initialized_us is None:
            self._initialized_us = time_us
        return result

    def may_begin(self, slam: pyorbslam3.Slam) -> bool:
        """Whether scale and gravity are known, and the adjustment that follows at once is over."""
        if self._initialized_us is None:
            return False
        return self._last_us - self._initialized_us >= _ADJUSTMENT_US

    def add_imu(self, samples: ImuSamples) -> None:
        """Take samples up to the next frame."""
        self._buffer.add(samples)
