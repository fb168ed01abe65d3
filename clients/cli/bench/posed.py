"""A short recording as an endless stream at given poses: the map stops growing, frames do not."""

from collections.abc import Iterator
from itertools import chain, cycle

from mapcast_client.errors import InputError
from mapcast_client.poses import pose_message
from mapcast_client.v1 import ingest_pb2
from replay.sequence import RgbdSequence


def back_and_forth(sequence: RgbdSequence, count: int) -> Iterator[ingest_pb2.Frame]:
    """The first `count` frames at their true poses, there and back again, without end.

    Indices and instants go on at the camera's rate. Raises InputError without ground truth.
    """
    if sequence.ground_truth is None:
        raise InputError(f"{sequence.name} has no ground truth: its frames have no poses to give")
    frames = list(sequence.frames(count))
    for frame, pose in zip(frames, sequence.ground_truth.world_from_camera, strict=False):
        frame.world_from_camera.CopyFrom(pose_message(pose))
    return _renumbered(
        chain.from_iterable(cycle([frames, frames[::-1]])),
        round(1e9 / sequence.calibration.frame_rate_hz),
    )


def _renumbered(frames: Iterator[ingest_pb2.Frame], period_ns: int) -> Iterator[ingest_pb2.Frame]:
    for index, frame in enumerate(frames):
        copy = ingest_pb2.Frame()
        copy.CopyFrom(frame)
        copy.index, copy.capture_ns = index, index * period_ns
        yield copy
