"""What a recording is, and how its frames are read ahead."""

import queue
import threading
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Literal, Protocol, TypeGuard, TypeVar

import numpy as np
from numpy.typing import NDArray

from mapcast_client.errors import InputError
from mapcast_client.v1 import ingest_pb2
from slam.camera import Calibration
from slam.trajectory import Trajectory

READ_AHEAD_FRAMES = 4

_Item = TypeVar("_Item")

Sensor = Literal["rgbd", "mono", "mono_imu"]
RGBD: Sensor = "rgbd"
MONO: Sensor = "mono"
MONO_IMU: Sensor = "mono_imu"


class Sequence(Protocol):
    """A recording of one camera. Its frames come as they travel: encoded, or as raw planes."""

    @property
    def name(self) -> str:
        """For people."""

    @property
    def sensor(self) -> Sensor:
        """`mono` and `mono_imu`: its frames have no depth. The latter is an InertialSequence."""

    @property
    def calibration(self) -> Calibration | None:
        """The camera that all frames share; None: not known, the server guesses it."""

    @property
    def frame_rate_hz(self) -> float:
        """How often a frame comes, about."""

    @property
    def ground_truth(self) -> Trajectory | None:
        """The camera's true path where it is known; instants are those of the frames."""

    def __len__(self) -> int:
        """Count the frames."""

    def frames(self, limit: int | None = None, start: int = 0) -> Iterator[ingest_pb2.Frame]:
        """At most `limit` frames from `start`, in order, a few read ahead by one thread.

        Closing the iterator ends the thread. Raises InputError that names the file, when it is
        reached, if a frame cannot be read.
        """


class RgbdSequence(Sequence, Protocol):
    """A recording with depth; its camera is known."""

    @property
    def calibration(self) -> Calibration:
        """The camera that all frames share."""


class InertialSequence(Sequence, Protocol):
    """A recording with IMU samples; its calibration has their noise."""

    def imu(self) -> Iterator[ingest_pb2.ImuBatch]:
        """All samples, in the order of time."""


def has_imu(sequence: Sequence) -> TypeGuard[InertialSequence]:
    """Whether a recording has IMU samples."""
    return sequence.sensor == MONO_IMU


def frame_range(length: int, limit: int | None, start: int) -> range:
    """Indices that `frames(limit, start)` yields. Raises InputError for negative arguments."""
    if start < 0 or (limit is not None and limit < 0):
        raise InputError(f"start is {start}, limit is {limit}: neither may be negative")
    return range(start, length if limit is None else min(length, start + limit))


def median_rate_hz(capture_ns: NDArray[np.int64]) -> float:
    """Frames per second: of the median interval, 30 for a single frame."""
    if len(capture_ns) < 2:
        return 30.0
    return float(np.clip(1e9 / np.median(np.diff(capture_ns)), 1.0, 1000.0))


def read_image_file(path: Path) -> ingest_pb2.Image:
    """One image as its file's bytes; size in pixels is left for the decoder to find.

    Raises InputError when the file is missing, empty or neither JPEG, PNG nor WebP.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}") from None
    if data.startswith(b"\xff\xd8\xff"):
        return ingest_pb2.Image(encoding=ingest_pb2.IMAGE_ENCODING_JPEG, data=data)
    if data.startswith(b"\x89PNG\r\n\x1a\n"):
        return ingest_pb2.Image(encoding=ingest_pb2.IMAGE_ENCODING_PNG, data=data)
    if data.startswith(b"RIFF") and data[8:12] == b"WEBP":
        return ingest_pb2.Image(encoding=ingest_pb2.IMAGE_ENCODING_WEBP, data=data)
    raise InputError(f"{path}: neither JPEG, PNG nor WebP ({len(data)} bytes)")


def read_ahead(items: Iterable[_Item], depth: int = READ_AHEAD_FRAMES) -> Iterator[_Item]:
    """Yield items that one background thread makes, at most `depth` ahead.

    What making them raises is raised here in its place in the order. Closing the iterator stops
    the thread after the item it is making.
    """
    ready: queue.Queue[_Item | BaseException | None] = queue.Queue(depth)
    stopped = threading.Event()
    thread = threading.Thread(
        target=_make_into, args=(ready, stopped, items), name="read-ahead", daemon=True
    )
    thread.start()
    try:
        while (item := ready.get()) is not None:
            if isinstance(item, BaseException):
                raise item
            yield item
    finally:
        stopped.set()
        while thread.is_alive():
            # The thread may wait for room in the queue: make some.
            while not ready.empty():
                ready.get_nowait()
            thread.join(timeout=0.01)


def _make_into(
    ready: "queue.Queue[_Item | BaseException | None]",
    stopped: threading.Event,
    items: Iterable[_Item],
) -> None:
    """The background thread's work: items, then the error or None as the end."""
    try:
        for item in items:
            ready.put(item)
            if stopped.is_set():
                return
        ready.put(None)
    except BaseException as error:  # it belongs to the consumer, whatever it is
        ready.put(error)
