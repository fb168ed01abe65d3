"""What a recording is, and how its frames are read ahead."""

import queue
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Protocol, TypeVar

from mapcast_client.errors import InputError
from mapcast_client.v1 import ingest_pb2
from slam.camera import Calibration
from slam.trajectory import Trajectory

READ_AHEAD_FRAMES = 4

_Item = TypeVar("_Item")


class Sequence(Protocol):
    """A recording of one RGB-D camera. Its frames come as they travel: encoded."""

    @property
    def name(self) -> str:
        """For people."""

    @property
    def calibration(self) -> Calibration:
        """The camera that all frames share."""

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


def frame_range(length: int, limit: int | None, start: int) -> range:
    """Indices that `frames(limit, start)` yields. Raises InputError for negative arguments."""
    if start < 0 or (limit is not None and limit < 0):
        raise InputError(f"start is {start}, limit is {limit}: neither may be negative")
    return range(start, length if limit is None else min(length, start + limit))


def read_image_file(path: Path) -> ingest_pb2.Image:
    """One image as its file's bytes; size in pixels is left for the decoder to find.

    Raises InputError when the file is missing, empty or neither JPEG nor PNG.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}") from None
    if data.startswith(b"\xff\xd8\xff"):
        return ingest_pb2.Image(encoding=ingest_pb2.IMAGE_ENCODING_JPEG, data=data)
    if data.startswith(b"\x89PNG\r\n\x1a\n"):
        return ingest_pb2.Image(encoding=ingest_pb2.IMAGE_ENCODING_PNG, data=data)
    raise InputError(f"{path}: neither JPEG nor PNG ({len(data)} bytes)")


def read_ahead(
    load: Callable[[int], _Item], indices: range, depth: int = READ_AHEAD_FRAMES
) -> Iterator[_Item]:
    """Yield load(i) of each index, loaded by one background thread at most `depth` ahead.

    What `load` raises is raised here in its place in the order. Closing the iterator stops the
    thread after the item it is loading.
    """
    ready: queue.Queue[_Item | BaseException | None] = queue.Queue(depth)
    stopped = threading.Event()
    thread = threading.Thread(
        target=_load_into, args=(ready, stopped, load, indices), name="read-ahead", daemon=True
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


def _load_into(
    ready: "queue.Queue[_Item | BaseException | None]",
    stopped: threading.Event,
    load: Callable[[int], _Item],
    indices: range,
) -> None:
    """The background thread's work: items, then the error or None as the end."""
    try:
        for index in indices:
            if stopped.is_set():
                return
            ready.put(load(index))
        ready.put(None)
    except BaseException as error:  # it belongs to the consumer, whatever it is
        ready.put(error)
