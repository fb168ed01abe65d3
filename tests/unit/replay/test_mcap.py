from pathlib import Path

import pytest
from recordings import write_seven_scenes

from mapcast_client.errors import InputError
from mapcast_client.poses import pose_message
from mapcast_client.v1 import ingest_pb2
from replay.mcap import McapSequence, write_mcap
from replay.opening import open_rgbd_sequence, open_sequence
from replay.recording_writer import RecordingWriter
from replay.sequence import MONO, MONO_IMU, RGBD, has_imu
from slam.camera import Calibration, Camera

CALIBRATION = Calibration(Camera(32, 24, 30.0, 31.0, 16.0, 12.0), 0.0002, 65535, 15.0)
OPENING = ingest_pb2.OpenSession(
    name="kitchen",
    sensor=ingest_pb2.SENSOR_RGBD,
    calibration=CALIBRATION.to_message(),
    fusion=ingest_pb2.FusionSettings(voxel_size_m=0.02),
)
RESET = ingest_pb2.Control(action=ingest_pb2.Control.ACTION_RESET)


def frame(capture_ns: int, index: int = 7) -> ingest_pb2.Frame:
    return ingest_pb2.Frame(
        index=index, capture_ns=capture_ns, color=ingest_pb2.Image(data=b"%d" % capture_ns)
    )


def imu(capture_ns: int) -> ingest_pb2.ImuBatch:
    return ingest_pb2.ImuBatch(samples=[ingest_pb2.ImuSample(capture_ns=capture_ns)])


def test_a_session_s_folder_is_a_sequence(tmp_path: Path) -> None:
    with RecordingWriter(tmp_path, OPENING, segment_bytes=1) as writer:
        for number in range(6):
            writer.write(frame(100 * number))
    sequence = open_rgbd_sequence(tmp_path)
    assert isinstance(sequence, McapSequence)
    assert (sequence.name, sequence.sensor, sequence.frame_rate_hz) == ("kitchen", RGBD, 15.0)
    assert sequence.calibration == CALIBRATION
    assert sequence.settings.fusion.voxel_size_m == 0.02
    assert sequence.ground_truth is None
    assert len(sequence) == 6
    assert list(sequence.frames()) == [frame(100 * number, number) for number in range(6)]
    assert list(sequence.frames(2, start=3)) == [frame(300, 3), frame(400, 4)]


def test_one_file_of_it_is_one_too(tmp_path: Path) -> None:
    with RecordingWriter(tmp_path, OPENING, segment_bytes=1) as writer:
        writer.write(frame(1))
        writer.write(frame(2))
    sequence = open_sequence(tmp_path / "000002.mcap")
    assert list(sequence.frames()) == [frame(2, 0)]


def test_what_was_before_a_reset_is_another_map(tmp_path: Path) -> None:
    with RecordingWriter(tmp_path, OPENING) as writer:
        for message in (frame(1), frame(2), RESET, frame(1), frame(5)):
            writer.write(message)
    assert [frame.capture_ns for frame in McapSequence(tmp_path).frames()] == [1, 5]


def test_a_phone_without_calibration(tmp_path: Path) -> None:
    with RecordingWriter(tmp_path, ingest_pb2.OpenSession(sensor=ingest_pb2.SENSOR_MONO)) as writer:
        for number in range(4):
            writer.write(frame(50_000_000 * number))
    sequence = open_sequence(tmp_path)
    assert sequence.sensor == MONO
    assert sequence.calibration is None
    assert sequence.frame_rate_hz == pytest.approx(20)
    assert sequence.name == tmp_path.name
    assert not has_imu(sequence)


def test_imu_samples_come_along(tmp_path: Path) -> None:
    opening = ingest_pb2.OpenSession(sensor=ingest_pb2.SENSOR_MONO_IMU)
    with RecordingWriter(tmp_path, opening) as writer:
        for message in (imu(1), imu(2), frame(3), imu(4), frame(5)):
            writer.write(message)
    sequence = open_sequence(tmp_path)
    assert sequence.sensor == MONO_IMU
    assert has_imu(sequence)
    assert list(sequence.imu()) == [imu(1), imu(2), imu(4)]


def test_imu_samples_from_before_a_reset_are_of_another_map(tmp_path: Path) -> None:
    opening = ingest_pb2.OpenSession(sensor=ingest_pb2.SENSOR_MONO_IMU)
    with RecordingWriter(tmp_path, opening) as writer:
        for message in (imu(1), frame(2), imu(90), RESET, imu(3), frame(4)):
            writer.write(message)
    assert list(McapSequence(tmp_path).imu()) == [imu(3)]


def test_a_session_becomes_one_file_with_all_that_it_takes_to_replay_it(tmp_path: Path) -> None:
    opening = ingest_pb2.OpenSession()
    opening.CopyFrom(OPENING)
    opening.session, opening.sensor = "abcd", ingest_pb2.SENSOR_MONO_IMU
    with RecordingWriter(tmp_path / "abcd", opening) as writer:
        for message in (imu(1), imu(2), frame(3), imu(4), frame(5), imu(6)):
            writer.write(message)
    session = McapSequence(tmp_path / "abcd")
    assert write_mcap(session, tmp_path / "one.mcap") == 2
    copy = McapSequence(tmp_path / "one.mcap")
    opening.session = ""
    assert copy.settings == opening
    assert list(copy.imu()) == [imu(1), imu(2), imu(4)]
    assert list(copy.frames()) == list(session.frames())


@pytest.mark.parametrize("messages", [[], [RESET]], ids=["nothing", "no frames"])
def test_a_recording_without_frames_is_refused(
    tmp_path: Path, messages: list[ingest_pb2.Control]
) -> None:
    with RecordingWriter(tmp_path, OPENING) as writer:
        for message in messages:
            writer.write(message)
    with pytest.raises(InputError, match="no frames of a mapcast session"):
        McapSequence(tmp_path)


def test_a_frame_that_went_meanwhile_is_said(tmp_path: Path) -> None:
    with RecordingWriter(tmp_path, OPENING, segment_bytes=1) as writer:
        writer.write(frame(1))
        writer.write(frame(2))
    sequence = McapSequence(tmp_path)
    (tmp_path / "000002.mcap").unlink()
    frames = sequence.frames()
    assert next(frames).capture_ns == 1
    with pytest.raises(InputError, match=r"frame 1 \(2 ns\) is damaged, or was removed"):
        next(frames)


def test_any_sequence_is_written_as_one_file(tmp_path: Path) -> None:
    scene = open_rgbd_sequence(write_seven_scenes(tmp_path / "scene", 3))
    path = tmp_path / "scene.mcap"
    path.write_bytes(b"an older file")
    assert write_mcap(scene, path, limit=2) == 2
    copy = open_rgbd_sequence(path)
    assert copy.calibration == scene.calibration
    assert (copy.name, copy.frame_rate_hz) == (scene.name, scene.frame_rate_hz)
    assert scene.ground_truth is not None
    for index, (before, after) in enumerate(zip(scene.frames(2), copy.frames(), strict=True)):
        truth = scene.ground_truth.world_from_camera[index]
        assert after.world_from_camera == pose_message(truth)
        assert (after.color, after.depth) == (before.color, before.depth)
