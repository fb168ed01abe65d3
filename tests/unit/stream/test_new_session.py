"""Sessions asked for in JSON or a query string."""

from typing import Any

import pytest

from mapcast_client.errors import InputError
from mapcast_client.v1 import ingest_pb2
from stream.new_session import NewSession

CAMERA = {"width_px": 640, "height_px": 480, "fx_px": 500, "fy_px": 510, "cx_px": 320, "cy_px": 240}
IMU = {
    "camera_from_imu": [0.1, 0, 0, 0, 0, 0, 1],
    "rate_hz": 200,
    "gyroscope_noise": 1e-3,
    "accelerometer_noise": 1e-2,
    "gyroscope_walk": 1e-5,
    "accelerometer_walk": 1e-4,
}


def test_nothing_said_is_a_live_monocular_camera_that_nobody_calibrated() -> None:
    message = NewSession.parse({}).to_message()
    assert message.sensor == ingest_pb2.SENSOR_MONO
    assert message.policy == ingest_pb2.POLICY_LIVE
    assert not message.HasField("calibration")
    assert message.depth.source == ingest_pb2.DepthSettings.SOURCE_UNSPECIFIED
    assert message.fusion.voxel_size_m == message.scene_depth_m == 0
    assert not message.HasField("refine")


def test_everything_said_reaches_the_wire() -> None:
    message = NewSession.parse(
        {
            "name": "desk",
            "sensor": "mono_imu",
            "policy": "lossless",
            "voxel_size_m": "0.02",  # as a query string has it
            "depth": "fused",
            "model": "small",
            "scene_depth_m": 2.5,
            "free_intrinsics": True,
            "calibration": CAMERA | {"distortion": [0.1, 0, 0, 0], "frame_rate_hz": 30, "imu": IMU},
        }
    ).to_message()
    assert (message.name, message.sensor) == ("desk", ingest_pb2.SENSOR_MONO_IMU)
    assert message.policy == ingest_pb2.POLICY_LOSSLESS
    assert message.fusion.voxel_size_m == 0.02
    assert message.depth == ingest_pb2.DepthSettings(
        source=ingest_pb2.DepthSettings.SOURCE_FUSED, model="small"
    )
    assert message.scene_depth_m == 2.5
    assert message.refine == ingest_pb2.RefineSettings(free_intrinsics=True)
    assert message.calibration.camera == ingest_pb2.Camera(**CAMERA, distortion=[0.1, 0, 0, 0])
    assert message.calibration.frame_rate_hz == 30
    assert message.calibration.imu.camera_from_imu == ingest_pb2.Pose(tx=0.1, qw=1)
    assert message.calibration.imu.rate_hz == 200


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"voxel_size": 0.02}, "voxel_size"),
        ({"sensor": "lidar"}, "sensor: .*mono"),
        ({"voxel_size_m": -1}, "voxel_size_m"),
        ({"voxel_size_m": float("nan")}, "voxel_size_m"),
        ({"scene_depth_m": float("inf")}, "scene_depth_m"),
        ({"calibration": CAMERA | {"width_px": 0}}, "calibration.width_px"),
        ({"calibration": {"width_px": 640}}, "calibration.fx_px"),
        ({"calibration": CAMERA | {"imu": IMU | {"camera_from_imu": [0]}}}, "camera_from_imu"),
        ({"name": ["a"]}, "name"),
    ],
)
def test_what_cannot_be_is_named(values: dict[str, Any], words: str) -> None:
    with pytest.raises(InputError, match=words):
        NewSession.parse(values)


def test_what_was_sent_is_not_repeated() -> None:
    with pytest.raises(InputError) as refusal:
        NewSession.parse({"token": "a-secret-in-the-wrong-place"})
    assert "secret" not in str(refusal.value)
