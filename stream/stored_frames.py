"""What was fused, read back from the session's recording. Both classes implement `FrameStore`."""

import logging
import threading
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from mapcast_client.errors import FrameError
from mapcast_client.v1 import ingest_pb2
from replay.recording_reader import RecordingReader
from slam.frame import Frame
from slam.fused_view import decode_view, encode_view

logger = logging.getLogger(__name__)

UNWRITTEN_VIEWS = 32
"""Views that are kept until the recording has them; more, and it has stopped taking any."""


class RecordedFrames:
    """Views that are the sender's frames: recorded before they were fused, decoded again."""

    def __init__(self, recording: Path, decode: Callable[[ingest_pb2.Frame], Frame]) -> None:
        """`decode` makes of a message the frame that was fused; any thread may call it."""
        self._recording = RecordingReader(recording)
        self._decode = decode
        self._reading = threading.Lock()

    def arrived(self, message: ingest_pb2.Frame) -> None:
        """Find it in the recording, if another of its instant may be known from before a reset."""
        with self._reading:
            newest_ns = self._recording.newest_ns
            if newest_ns is not None and message.capture_ns <= newest_ns:
                self._recording.refresh()

    def put(self, view: Frame) -> None:
        """Do nothing: what arrived is recorded."""

    def get(self, capture_ns: int) -> Frame | None:
        """The view of an instant; None if it is no longer stored."""
        with self._reading:
            message = self._recording.frame(capture_ns)
            if message is None:
                self._recording.refresh()
                message = self._recording.frame(capture_ns)
        return None if message is None else _decoded(self._decode, message)


class RecordedViews:
    """Views whose depth was estimated: sent to be recorded, and read from there."""

    def __init__(self, recording: Path, record: Callable[[ingest_pb2.FusedView], None]) -> None:
        """`record` has a view written, sooner or later."""
        self._recording = RecordingReader(recording)
        self._record = record
        self._reading = threading.Lock()
        self._unwritten: OrderedDict[int, ingest_pb2.FusedView] = OrderedDict()
        self._given_up: dict[int, int] = {}
        """capture_ns → what tells the view that was not kept until it was written from others."""

    def arrived(self, message: ingest_pb2.Frame) -> None:
        """Do nothing: what is fused of it is another thing."""

    def put(self, view: Frame) -> None:
        """Have a view recorded, unless it is."""
        message = encode_view(view)
        with self._reading:
            self._recording.refresh()
            self._given_up.pop(view.capture_ns, None)
            if self._recording.fused_view(view.capture_ns) == message:
                return  # a worker before this one had it recorded
            self._forget_written()
            self._unwritten[view.capture_ns] = message
        self._record(message)

    def get(self, capture_ns: int) -> Frame | None:
        """The view of an instant; None if it is no longer stored."""
        with self._reading:
            message = self._unwritten.get(capture_ns) or self._recorded(capture_ns)
        return None if message is None else _decoded(decode_view, message)

    def _recorded(self, capture_ns: int) -> ingest_pb2.FusedView | None:
        """What is recorded; None where that is another view, of the map at another scale."""
        message = self._recording.fused_view(capture_ns)
        expected = self._given_up.get(capture_ns)
        if message is None or expected is None:
            return message
        return message if _content_hash(message) == expected else None

    def _forget_written(self) -> None:
        for capture_ns, message in list(self._unwritten.items()):
            if self._recording.fused_view(capture_ns) == message:
                del self._unwritten[capture_ns]
        while len(self._unwritten) >= UNWRITTEN_VIEWS:
            capture_ns, message = self._unwritten.popitem(last=False)
            self._given_up[capture_ns] = _content_hash(message)


def _content_hash(message: ingest_pb2.FusedView) -> int:
    return hash(message.SerializeToString(deterministic=True))


_Message = TypeVar("_Message", ingest_pb2.Frame, ingest_pb2.FusedView)


def _decoded(decode: Callable[[_Message], Frame], message: _Message) -> Frame | None:
    try:
        return decode(message)
    except FrameError as error:
        logger.warning("what is recorded of %d ns: %s", message.capture_ns, error)
        return None
