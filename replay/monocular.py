"""A recording with depth, seen by a camera that has none."""

from collections.abc import Iterator

from mapcast_client.v1 import ingest_pb2
from replay.intrinsics import Intrinsics
from replay.sequence import MONO, RgbdSequence, Sensor
from slam.camera import Calibration


class Monocular:
    """The colour of an RGB-D recording; its true path stays known."""

    sensor: Sensor = MONO

    def __init__(self, sequence: RgbdSequence, intrinsics: Intrinsics | None = None) -> None:
        """`intrinsics`: of the colour camera, where its depth camera's do not fit it."""
        self.name = f"{sequence.name}, colour only"
        self.recording = sequence
        self.ground_truth = sequence.ground_truth
        self.frame_rate_hz = sequence.frame_rate_hz
        camera = sequence.calibration.camera
        if intrinsics is not None:
            size_px = camera.width_px, camera.height_px
            camera = intrinsics.camera(size_px, size_px)
        self.calibration = Calibration(camera, frame_rate_hz=self.frame_rate_hz)

    def __len__(self) -> int:
        return len(self.recording)

    def frames(self, limit: int | None = None, start: int = 0) -> Iterator[ingest_pb2.Frame]:
        """The recording's frames without their depth."""
        return _without_depth(self.recording.frames(limit, start))


def _without_depth(frames: Iterator[ingest_pb2.Frame]) -> Iterator[ingest_pb2.Frame]:
    for frame in frames:
        frame.ClearField("depth")
        yield frame
