import pytest

from clients.cli.map_frame import MapFrame
from mapcast_client.v1 import ingest_pb2, maps_pb2


def info(**changes: object) -> maps_pb2.SessionInfo:
    """A phone's session: portrait pictures, a guessed camera, no scale."""
    camera = ingest_pb2.Camera(width_px=364, height_px=674, fx_px=529, fy_px=529)
    values = {
        "units": "unscaled",
        "scale_source": "none",
        "depth_source": "motion_stereo",
        "camera": camera,
        "camera_guessed": True,
    }
    return maps_pb2.SessionInfo(**(values | changes))


def test_a_guess_and_a_missing_scale_are_said() -> None:
    frame = MapFrame.of(info())
    assert frame.calibration_words.startswith("guessed from 364×674 (field of view 65°")
    assert frame.scale_words.startswith("unknown: map units")
    assert frame.depth_words == "motion stereo"


@pytest.mark.parametrize(
    ("source", "words"),
    [("network", "guessed by the depth network"), ("declared", "declared"), ("imu", "IMU")],
)
def test_metres_say_from_where(source: str, words: str) -> None:
    frame = MapFrame.of(info(units="m", scale_source=source, camera_guessed=False))
    assert words in frame.scale_words
    assert frame.calibration_words == "364×674, as given"


def test_a_server_that_says_nothing_means_metres_of_a_sensor() -> None:
    frame = MapFrame.of(maps_pb2.SessionInfo())
    assert frame == MapFrame()
    assert frame.calibration_words.startswith("not known")


def test_a_source_that_is_new_is_named() -> None:
    assert MapFrame.of(info(units="m", scale_source="marker")).scale_words == "metres (marker)"
    assert MapFrame.of(info(depth_source="lidar")).depth_words == "lidar"
