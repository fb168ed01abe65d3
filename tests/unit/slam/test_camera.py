import math
from typing import Any

import numpy as np
import pytest

from mapcast_client.errors import InputError
from mapcast_client.v1 import ingest_pb2
from slam.camera import Calibration, Camera, ImuCalibration
from slam.geometry import rigid

CAMERA = Camera(640, 480, 585.0, 586.0, 320.0, 240.0, (0.1, -0.2, 0.001, 0.002, 0.05))


def test_a_calibration_survives_the_wire() -> None:
    calibration = Calibration(CAMERA, 0.0002, 65535, 60.0)
    assert Calibration.from_message(calibration.to_message()) == calibration


def test_unset_wire_fields_get_their_defaults() -> None:
    message = ingest_pb2.Calibration(camera=CAMERA.to_message())
    assert Calibration.from_message(message) == Calibration(CAMERA, 0.001, 0, 30.0)


def test_a_calibration_without_camera_is_refused() -> None:
    with pytest.raises(InputError, match="no camera: width, height, fx, fy, cx, cy are needed"):
        Calibration.from_message(ingest_pb2.Calibration())


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((0, 480, 1, 1, 0, 0), "width_px is 0, must be 1 to 8192"),
        ((640, 100_000, 1, 1, 0, 0), "height_px is 100000"),
        ((640, 480, 0, 1, 0, 0), "fx_px is 0, must be positive"),
        ((640, 480, 1, math.nan, 0, 0), "fy_px is nan"),
        ((640, 480, 1, 1, math.inf, 0), "principal point"),
        ((640, 480, 1, 1, 0, 0, (0.1, 0.2)), "2 distortion terms, must be 0, 4, 5"),
        ((640, 480, 1, 1, 0, 0, (0.1, math.nan, 0, 0)), "not finite"),
    ],
)
def test_a_camera_names_the_bad_value(arguments: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        Camera(*arguments)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((0.0,), "depth_scale_m is 0.0"),
        ((math.inf,), "depth_scale_m is inf"),
        ((0.001, 70_000), "depth_invalid is 70000, must be 0 to 65535"),
        ((0.001, 0, 0.0), "frame_rate_hz is 0.0"),
    ],
)
def test_a_calibration_names_the_bad_value(arguments: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        Calibration(CAMERA, *arguments)


TURNED = rigid(np.array([[0.0, -1, 0], [1, 0, 0], [0, 0, 1]]), np.array([0.1, 0.2, 0.3]))
IMU = ImuCalibration(TURNED, 200.0, 1e-3, 1e-2, 1e-5, 1e-4)


def test_an_imu_survives_the_wire() -> None:
    sent = Calibration(CAMERA, imu=IMU).to_message()
    imu = Calibration.from_message(sent).imu
    assert imu is not None
    np.testing.assert_allclose(imu.camera_from_imu, TURNED, atol=1e-12)
    assert (imu.rate_hz, imu.gyroscope_noise, imu.accelerometer_noise) == (200.0, 1e-3, 1e-2)
    assert (imu.gyroscope_walk, imu.accelerometer_walk) == (1e-5, 1e-4)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((np.diag([2.0, 2, 2, 1]), 200, 1, 1, 1, 1), "camera_from_imu: not a rigid transform"),
        ((TURNED, 10, 1, 1, 1, 1), "IMU rate_hz is 10, must be 20.0 to 10000.0"),
        ((TURNED, math.nan, 1, 1, 1, 1), "IMU rate_hz is nan"),
        ((TURNED, 200, 0, 1, 1, 1), "IMU gyroscope_noise is 0, must be positive"),
        ((TURNED, 200, 1, math.inf, 1, 1), "IMU accelerometer_noise is inf"),
        ((TURNED, 200, 1, 1, -1, 1), "IMU gyroscope_walk is -1"),
        ((TURNED, 200, 1, 1, 1, math.nan), "IMU accelerometer_walk is nan"),
    ],
)
def test_an_imu_names_the_bad_value(arguments: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        ImuCalibration(*arguments)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({}, "no camera_from_imu"),
        ({"camera_from_imu": ingest_pb2.Pose()}, "camera_from_imu is no pose"),
        ({"camera_from_imu": ingest_pb2.Pose(tx=math.nan, qw=1)}, "camera_from_imu is no pose"),
    ],
)
def test_an_imu_without_a_place_is_refused(change: Any, said: str) -> None:
    with pytest.raises(InputError, match=said):
        ImuCalibration.from_message(ingest_pb2.ImuCalibration(rate_hz=200, **change))
