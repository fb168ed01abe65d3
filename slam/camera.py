"""The camera's model and what a session must know to use its images."""

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from mapcast_client.errors import InputError
from mapcast_client.v1 import ingest_pb2
from slam.geometry import Mat4, from_pose_vector, pose_vector, require_rigid

MAX_SIDE_PX = 8192
IMU_RATE_MIN_HZ, IMU_RATE_MAX_HZ = 20.0, 10_000.0
"""Slower ones cannot follow a hand between two frames."""


@dataclass(frozen=True, slots=True)
class Camera:
    """Pinhole with Brown-Conrady distortion; the centre of the first pixel is (0, 0).

    u = fx · x/z + cx, v = fy · y/z + cy for a point (x, y, z) in the optical frame
    (+X right, +Y down, +Z forward).
    """

    width_px: int
    height_px: int
    fx_px: float
    fy_px: float
    cx_px: float
    cy_px: float
    distortion: tuple[float, ...] = ()
    """k1 k2 p1 p2 [k3]; empty: none."""

    def __post_init__(self) -> None:
        for name in ("width_px", "height_px"):
            if not 1 <= getattr(self, name) <= MAX_SIDE_PX:
                raise InputError(
                    f"camera {name} is {getattr(self, name)}, must be 1 to {MAX_SIDE_PX}"
                )
        for name in ("fx_px", "fy_px"):
            if not (np.isfinite(getattr(self, name)) and getattr(self, name) > 0):
                raise InputError(f"camera {name} is {getattr(self, name)}, must be positive")
        if not np.isfinite([self.cx_px, self.cy_px, *self.distortion]).all():
            raise InputError("camera principal point or distortion is not finite")
        if len(self.distortion) not in (0, 4, 5):
            raise InputError(f"camera has {len(self.distortion)} distortion terms, must be 0, 4, 5")

    @property
    def matrix(self) -> NDArray[np.float64]:
        """(3, 3) pixels from normalised camera coordinates."""
        return np.array(
            [[self.fx_px, 0, self.cx_px], [0, self.fy_px, self.cy_px], [0, 0, 1]], np.float64
        )

    def frustum_corners(self, depth_m: float) -> NDArray[np.float64]:
        """(5, 3) the apex and the far corners of what it sees up to a depth, in its frame."""
        pixels = [(u, v, 1) for u in (-1, self.width_px) for v in (-1, self.height_px)]
        far = np.array(pixels, np.float64) @ np.linalg.inv(self.matrix).T * depth_m
        return np.vstack([np.zeros(3), far])

    @classmethod
    def from_message(cls, message: ingest_pb2.Camera) -> Self:
        """Read the wire's camera. Raises InputError."""
        return cls(
            message.width_px,
            message.height_px,
            message.fx_px,
            message.fy_px,
            message.cx_px,
            message.cy_px,
            tuple(message.distortion),
        )

    def to_message(self) -> ingest_pb2.Camera:
        """Write the wire's camera."""
        return ingest_pb2.Camera(
            width_px=self.width_px,
            height_px=self.height_px,
            fx_px=self.fx_px,
            fy_px=self.fy_px,
            cx_px=self.cx_px,
            cy_px=self.cy_px,
            distortion=self.distortion,
        )


@dataclass(frozen=True, slots=True, eq=False)
class ImuCalibration:
    """Where the IMU is and how noisy: densities in continuous time, as Kalibr gives them."""

    camera_from_imu: Mat4
    rate_hz: float
    gyroscope_noise: float
    """rad/s/√Hz"""
    accelerometer_noise: float
    """m/s²/√Hz"""
    gyroscope_walk: float
    """rad/s²/√Hz"""
    accelerometer_walk: float
    """m/s³/√Hz"""

    def __post_init__(self) -> None:
        require_rigid(self.camera_from_imu, "camera_from_imu")
        if not IMU_RATE_MIN_HZ <= self.rate_hz <= IMU_RATE_MAX_HZ:
            raise InputError(
                f"IMU rate_hz is {self.rate_hz}, must be {IMU_RATE_MIN_HZ} to {IMU_RATE_MAX_HZ}"
            )
        for name in (
            "gyroscope_noise",
            "accelerometer_noise",
            "gyroscope_walk",
            "accelerometer_walk",
        ):
            if not (np.isfinite(getattr(self, name)) and getattr(self, name) > 0):
                raise InputError(f"IMU {name} is {getattr(self, name)}, must be positive")

    @classmethod
    def from_message(cls, message: ingest_pb2.ImuCalibration) -> Self:
        """Read the wire's IMU calibration. Raises InputError, too when no pose is in it."""
        if not message.HasField("camera_from_imu"):
            raise InputError("IMU calibration has no camera_from_imu")
        pose = message.camera_from_imu
        vector = np.array([pose.tx, pose.ty, pose.tz, pose.qx, pose.qy, pose.qz, pose.qw])
        if not (np.isfinite(vector).all() and vector[3:].any()):
            raise InputError(f"camera_from_imu is no pose: {vector.tolist()}")
        return cls(
            from_pose_vector(vector),
            message.rate_hz,
            message.gyroscope_noise,
            message.accelerometer_noise,
            message.gyroscope_walk,
            message.accelerometer_walk,
        )

    def to_message(self) -> ingest_pb2.ImuCalibration:
        """Write the wire's IMU calibration."""
        tx, ty, tz, qx, qy, qz, qw = pose_vector(self.camera_from_imu)
        return ingest_pb2.ImuCalibration(
            camera_from_imu=ingest_pb2.Pose(tx=tx, ty=ty, tz=tz, qx=qx, qy=qy, qz=qz, qw=qw),
            rate_hz=self.rate_hz,
            gyroscope_noise=self.gyroscope_noise,
            accelerometer_noise=self.accelerometer_noise,
            gyroscope_walk=self.gyroscope_walk,
            accelerometer_walk=self.accelerometer_walk,
        )


@dataclass(frozen=True, slots=True)
class Calibration:
    """What a session knows of its sensor; colour and depth, if any, share one pixel grid."""

    camera: Camera
    depth_scale_m: float = 0.001
    """Metres per unit of a 16-bit depth image."""
    depth_invalid: int = 0
    """A 16-bit value that means "no depth", beside 0."""
    frame_rate_hz: float = 30.0
    imu: ImuCalibration | None = None

    def __post_init__(self) -> None:
        if not (np.isfinite(self.depth_scale_m) and self.depth_scale_m > 0):
            raise InputError(f"depth_scale_m is {self.depth_scale_m}, must be positive")
        if not 0 <= self.depth_invalid <= 0xFFFF:
            raise InputError(f"depth_invalid is {self.depth_invalid}, must be 0 to 65535")
        if not 0 < self.frame_rate_hz <= 1000:
            raise InputError(f"frame_rate_hz is {self.frame_rate_hz}, must be in (0, 1000]")

    @classmethod
    def from_message(cls, message: ingest_pb2.Calibration) -> Self:
        """Read the wire's calibration. Raises InputError, too when there is no camera in it."""
        if not message.HasField("camera"):
            raise InputError("calibration has no camera: width, height, fx, fy, cx, cy are needed")
        return cls(
            Camera.from_message(message.camera),
            message.depth_scale_m or 0.001,
            message.depth_invalid,
            message.frame_rate_hz or 30.0,
            ImuCalibration.from_message(message.imu) if message.HasField("imu") else None,
        )

    def to_message(self) -> ingest_pb2.Calibration:
        """Write the wire's calibration."""
        return ingest_pb2.Calibration(
            camera=self.camera.to_message(),
            depth_scale_m=self.depth_scale_m,
            depth_invalid=self.depth_invalid,
            frame_rate_hz=self.frame_rate_hz,
            imu=None if self.imu is None else self.imu.to_message(),
        )
