"""The rendered room seen by a shaken camera with an IMU beside it: poses and samples are exact."""

from collections.abc import Iterator

import numpy as np
from scipy.interpolate import make_interp_spline
from scipy.spatial.transform import Rotation, RotationSpline

from replay.room.room import Room
from slam.camera import Calibration, Camera, ImuCalibration
from slam.frame import Frame
from slam.geometry import Mat4, rigid
from slam.imu import ImuSamples

FRAME_RATE_HZ = 20
_IMU_RATE_HZ = 200
_GRAVITY = 9.81
_CAMERA_FROM_IMU = rigid(
    Rotation.from_euler("xyz", [90, 5, -88], degrees=True).as_matrix(),
    np.array([0.03, -0.01, 0.02]),
)
_IMU = ImuCalibration(_CAMERA_FROM_IMU, _IMU_RATE_HZ, 2e-4, 2e-3, 2e-5, 3e-3)

LANDSCAPE = Calibration(
    Camera(320, 240, 262.5, 262.5, 159.5, 119.5), frame_rate_hz=FRAME_RATE_HZ, imu=_IMU
)
PORTRAIT = Calibration(
    Camera(220, 400, 262.5, 260.0, 105.0, 203.0), frame_rate_hz=FRAME_RATE_HZ, imu=_IMU
)
"""So tall that ORB-SLAM3 crashes on it."""


def world_from_camera(times_s: np.ndarray) -> np.ndarray:
    """(N, 4, 4) of a camera that is shaken by a decimetre about once a second, and sweeps."""
    t = times_s[:, None]
    centre = np.array([0.9, -0.6, 1.4]) + np.array([0.16, 0.14, 0.12]) * np.sin(
        2 * np.pi * np.array([0.83, 0.61, 1.07]) * t + np.array([0.0, 1.0, 2.0])
    )
    angles = np.radians([-100.0, 0.0, 130.0]) + np.radians([3.0, 3.0, 12.0]) * np.sin(
        2 * np.pi * np.array([0.47, 0.39, 0.21]) * t + np.array([0.5, 1.5, 2.5])
    )
    transforms = np.tile(np.eye(4), (len(times_s), 1, 1))
    transforms[:, :3, :3] = Rotation.from_euler("xyz", angles).as_matrix()
    transforms[:, :3, 3] = centre
    return transforms


def imu_samples(duration_s: float, rng: np.random.Generator) -> ImuSamples:
    """What the IMU measures from time 0 on, with the calibration's noise and constant biases."""
    knots_s = np.arange(-0.1, duration_s + 0.1, 1e-3)
    world_from_imu = world_from_camera(knots_s) @ _CAMERA_FROM_IMU
    rotation = RotationSpline(knots_s, Rotation.from_matrix(world_from_imu[:, :3, :3]))
    position = make_interp_spline(knots_s, world_from_imu[:, :3, 3], 5)
    times_s = np.arange(0, duration_s, 1 / _IMU_RATE_HZ)
    specific_force = position(times_s, 2) + np.array([0.0, 0.0, _GRAVITY])
    values = np.hstack([rotation(times_s, 1), rotation(times_s).inv().apply(specific_force)])
    densities = [_IMU.gyroscope_noise] * 3 + [_IMU.accelerometer_noise] * 3
    values += np.array([0.002, -0.003, 0.001, 0.05, -0.03, 0.04])
    values += rng.normal(size=values.shape) * np.array(densities) * np.sqrt(_IMU_RATE_HZ)
    return ImuSamples(np.rint(times_s * 1e9).astype(np.int64), values)


def frames(camera: Camera, duration_s: float) -> Iterator[tuple[Frame, Mat4]]:
    """The frames of a camera with their true poses."""
    times_s = np.arange(0, duration_s, 1 / FRAME_RATE_HZ)
    room = Room.of(0)
    for index, pose in enumerate(world_from_camera(times_s)):
        view = room.render(camera, pose)
        depth_m = view.depth_m.astype(np.float32)
        yield Frame(index, round(times_s[index] * 1e9), view.color, depth_m), pose
