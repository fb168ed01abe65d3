import math
from typing import Any

import pytest

from mapcast_client.errors import InputError
from mapcast_client.v1 import ingest_pb2
from slam.camera import Calibration, Camera

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
