from dataclasses import replace
from pathlib import Path

import pytest

from clients.cli.monocular import MonocularOptions
from clients.cli.offered_camera import OfferedCamera, camera_option
from mapcast_client.errors import InputError
from mapcast_client.v1 import ingest_pb2, maps_pb2
from replay.intrinsics import Intrinsics
from replay.recording_writer import RecordingWriter
from slam.camera import Calibration, Camera

GIVEN = Camera(32, 24, 30.0, 31.0, 15.5, 11.5)
FOUND = replace(GIVEN, fx_px=30.9, fy_px=32.012345678, distortion=(0.1, -0.02, 0.0, 1e-4))
OFFER = ingest_pb2.CalibrationOffer(camera=FOUND.to_message(), keyframes=24, reprojection_px=0.4)


def test_it_reads_as_the_option_takes_it() -> None:
    parsed = Intrinsics.parse(camera_option(OFFER.camera)).camera((32, 24), (32, 24))

    assert replace(parsed, fy_px=FOUND.fy_px) == FOUND
    assert parsed.fy_px == pytest.approx(FOUND.fy_px, rel=1e-6)


def test_it_is_in_words_where_there_is_one() -> None:
    offered = OfferedCamera.of(maps_pb2.SessionInfo(calibration_offer=OFFER))

    assert offered is not None
    assert offered.words == (
        "30.9,32.01235,15.5,11.5,0.1,-0.02,0,0.0001 fits better (24 keyframes, 0.40 px)"
    )
    assert OfferedCamera.of(maps_pb2.SessionInfo()) is None


@pytest.mark.parametrize("sensor", [ingest_pb2.SENSOR_RGBD, ingest_pb2.SENSOR_MONO])
def test_a_recorded_session_is_replayed_with_it(tmp_path: Path, sensor: int) -> None:
    record(tmp_path, sensor, [OFFER])

    sequence = MonocularOptions(camera="offered").open(str(tmp_path), None)
    given = MonocularOptions().open(str(tmp_path), None)

    assert sequence.calibration == Calibration(FOUND, depth_scale_m=0.0002, frame_rate_hz=15)
    assert given.calibration == replace(sequence.calibration, camera=GIVEN)


def test_or_with_any_other_camera(tmp_path: Path) -> None:
    record(tmp_path, ingest_pb2.SENSOR_RGBD, [])

    sequence = MonocularOptions(camera="40,41,15,11").open(str(tmp_path), None)

    assert sequence.calibration is not None
    assert sequence.calibration.camera == Camera(32, 24, 40.0, 41.0, 15.0, 11.0)


def test_without_an_offer_there_is_none_to_take(tmp_path: Path) -> None:
    record(tmp_path, ingest_pb2.SENSOR_RGBD, [])

    with pytest.raises(InputError, match="no camera was offered in it"):
        MonocularOptions(camera="offered").open(str(tmp_path), None)


@pytest.mark.parametrize("name", ["", "nowhere"])
def test_only_recorded_sessions_have_one(tmp_path: Path, name: str) -> None:
    path = tmp_path / name

    with pytest.raises(InputError, match=f"{path}: no recorded session is there"):
        MonocularOptions(camera="offered").open(str(path), None)


def record(folder: Path, sensor: int, offers: list[ingest_pb2.CalibrationOffer]) -> None:
    """A session of one frame and some offers."""
    calibration = Calibration(GIVEN, depth_scale_m=0.0002, frame_rate_hz=15)
    opening = ingest_pb2.OpenSession(sensor=sensor, calibration=calibration.to_message())
    rgb8 = ingest_pb2.IMAGE_ENCODING_RGB8
    color = ingest_pb2.Image(encoding=rgb8, width_px=32, height_px=24, data=bytes(32 * 24 * 3))
    with RecordingWriter(folder, opening) as writer:
        writer.write(ingest_pb2.Frame(capture_ns=5, color=color))
        for offer in offers:
            writer.write(offer)
