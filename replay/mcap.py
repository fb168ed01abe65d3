"""A recorded session as a sequence: to be replayed, or turned into another format."""

from collections.abc import Iterator
from pathlib import Path

from mapcast_client.errors import InputError
from mapcast_client.poses import pose_message
from mapcast_client.v1 import ingest_pb2
from replay.intrinsics import Intrinsics
from replay.recording import CONTROL, IMU, OFFER, RESET, is_recording, log_time_ns
from replay.recording_reader import RecordingReader
from replay.recording_writer import Segment
from replay.sequence import (
    MONO,
    MONO_IMU,
    RGBD,
    Sensor,
    Sequence,
    frame_range,
    has_imu,
    median_rate_hz,
    read_ahead,
)
from slam.camera import Calibration, Camera
from slam.images import color_size
from slam.recorded_images import recorded_frame
from slam.trajectory import Trajectory

_SENSORS: dict[ingest_pb2.Sensor, Sensor] = {
    ingest_pb2.SENSOR_RGBD: RGBD,
    ingest_pb2.SENSOR_MONO: MONO,
    ingest_pb2.SENSOR_MONO_IMU: MONO_IMU,
}


class McapSequence:
    """One MCAP file, or the folder of a session's segments, as `mapcast serve` records them.

    Its frames are those since the last reset: what was before made another map. Frames that were
    recorded with poses bring them.
    """

    ground_truth: Trajectory | None = None

    def __init__(self, path: Path, intrinsics: Intrinsics | None = None) -> None:
        """`intrinsics`: of a camera in place of the one that the session was opened with.

        Raises InputError for what is no recorded session, and for one without frames.
        """
        self._path = path
        with RecordingReader(path) as recording:
            if recording.opening is None or len(recording.capture_ns) == 0:
                raise InputError(f"{path}: no frames of a mapcast session are recorded in it")
            self.settings = recording.opening
            """What the session was opened with."""
            self._capture_ns = recording.capture_ns
            if intrinsics is not None:
                size_px = _size_px(path, recording)
                camera = intrinsics.camera(size_px, size_px)
                self.settings.calibration.camera.CopyFrom(camera.to_message())
        if self.settings.sensor not in _SENSORS:
            raise InputError(f"{path}: its sensor is {self.settings.sensor}, which is not known")
        self.name = self.settings.name or path.stem
        self.sensor = _SENSORS[self.settings.sensor]
        calibration = self.settings.calibration
        self.calibration = (
            Calibration.from_message(calibration) if calibration.HasField("camera") else None
        )
        self.frame_rate_hz = calibration.frame_rate_hz or median_rate_hz(self._capture_ns)

    @staticmethod
    def recognises(path: Path) -> bool:
        """Whether it is a file named so, or a folder of segments."""
        return is_recording(path)

    def __len__(self) -> int:
        return len(self._capture_ns)

    def frames(self, limit: int | None = None, start: int = 0) -> Iterator[ingest_pb2.Frame]:
        """Read at most `limit` frames from `start`, a few ahead in one thread."""
        return read_ahead(self._frames(frame_range(len(self), limit, start)))

    def _frames(self, indices: range) -> Iterator[ingest_pb2.Frame]:
        with RecordingReader(self._path) as recording:
            for index in indices:
                frame = recording.frame(int(self._capture_ns[index]))
                if frame is None:
                    raise InputError(
                        f"{self._path}: frame {index} ({self._capture_ns[index]} ns) is damaged, "
                        "or was removed since"
                    )
                frame.index = index
                yield frame

    def imu(self) -> Iterator[ingest_pb2.ImuBatch]:
        """The IMU samples that were recorded since the last reset, in their order."""
        with RecordingReader(self._path) as recording:
            controls = recording.messages([CONTROL])
            resets = sum(recorded.message == RESET for recorded in controls)
            for recorded in recording.messages([IMU, CONTROL]):
                resets -= recorded.message == RESET
                batch = recorded.message
                if resets == 0 and isinstance(batch, ingest_pb2.ImuBatch) and batch.samples:
                    yield batch


def offered_intrinsics(path: Path) -> Intrinsics:
    """The newest camera that a recorded session was offered. Raises InputError if none was."""
    if not is_recording(path):
        raise InputError(f"{path}: no recorded session is there, and only such are offered cameras")
    offer: ingest_pb2.CalibrationOffer | None = None
    with RecordingReader(path) as recording:
        for recorded in recording.messages([OFFER]):
            if isinstance(recorded.message, ingest_pb2.CalibrationOffer):
                offer = recorded.message
    if offer is None:
        raise InputError(
            f"{path}: no camera was offered in it; sessions with free intrinsics are, once "
            "refinement found a better one than theirs"
        )
    camera = Camera.from_message(offer.camera)
    pinhole = camera.fx_px, camera.fy_px, camera.cx_px, camera.cy_px
    return Intrinsics(*pinhole, camera.distortion, (camera.width_px, camera.height_px))


def _size_px(path: Path, recording: RecordingReader) -> tuple[int, int]:
    """Width and height of the newest frame. Raises InputError for one that is damaged."""
    frame = recording.frame(int(recording.capture_ns[-1]))
    if frame is None:
        raise InputError(f"{path}: its newest frame, at {recording.newest_ns} ns, is damaged")
    return color_size(frame)


def write_mcap(sequence: Sequence, path: Path, limit: int | None = None) -> int:
    """Write a sequence as one MCAP file, its true poses with the frames; returns their number.

    A recorded session's settings, and IMU samples, come along. Raises InputError for a frame that
    cannot be read, OSError.
    """
    opening = _opening(sequence)
    truth = sequence.ground_truth
    poses = {}
    if truth is not None:
        poses = dict(zip(truth.capture_ns.tolist(), truth.world_from_camera, strict=True))
    path.unlink(missing_ok=True)
    batches = sequence.imu() if has_imu(sequence) else iter(())
    batch = next(batches, None)
    segment = Segment(path)
    count = 0
    try:
        for frame in sequence.frames(limit):
            if count == 0:
                segment.append(opening, frame.capture_ns)
            while batch is not None and batch.samples[0].capture_ns <= frame.capture_ns:
                segment.append(batch, log_time_ns(batch, 0))
                batch = next(batches, None)
            if frame.capture_ns in poses:
                frame.world_from_camera.CopyFrom(pose_message(poses[frame.capture_ns]))
            segment.append(recorded_frame(frame), frame.capture_ns)
            count += 1
    finally:
        segment.close()
    return count


def _opening(sequence: Sequence) -> ingest_pb2.OpenSession:
    """What a session that sends the sequence is opened with."""
    opening = ingest_pb2.OpenSession()
    if isinstance(sequence, McapSequence):
        opening.CopyFrom(sequence.settings)
        opening.session = ""
    opening.name = sequence.name
    opening.sensor = {known: number for number, known in _SENSORS.items()}[sequence.sensor]
    if sequence.calibration is not None:
        opening.calibration.CopyFrom(sequence.calibration.to_message())
    opening.calibration.frame_rate_hz = sequence.frame_rate_hz
    return opening
