"""Reads a session's recording, while it is written or after, however it ended."""

import logging
from array import array
from bisect import bisect_left
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Self

import numpy as np
from google.protobuf.message import DecodeError
from numpy.typing import NDArray

from mapcast_client.errors import InputError
from mapcast_client.v1 import ingest_pb2
from replay.mcap_file import Located, McapFile
from replay.recording import (
    CONTROL,
    FRAME,
    FUSED,
    MESSAGES,
    OPEN,
    RESET,
    Message,
    Recorded,
    segments,
)

logger = logging.getLogger(__name__)

ALL_TOPICS = frozenset(MESSAGES)
OPEN_FILES = 8


class RecordingReader:
    """The messages of a session's folder, or of one MCAP file.

    Any process may read while another one writes; `refresh` finds what was written since. It keeps
    36 bytes for each frame. Of one thread.
    """

    def __init__(self, source: Path) -> None:
        """A folder may be empty, or not there yet. Raises InputError for a file that is no MCAP."""
        self._source = source
        self._newest_segment = -1
        self._files: dict[int, McapFile] = {}
        self._frames = _Index(FRAME)
        self._fused = _Index(FUSED)
        self.opening: ingest_pb2.OpenSession | None = None
        """The session's settings; None: nothing is recorded yet."""
        try:
            self.refresh()
        except InputError:
            self.close()
            raise

    def refresh(self) -> None:
        """Find what was written since the last call. Raises InputError for what is no MCAP."""
        # A segment that another one follows in this list is finished, whatever its end looks like.
        for number, path in _numbered(self._source):
            if number >= self._newest_segment:
                self._newest_segment = number
                if (file := self._file(number, path)) is not None:
                    for found in file.scan():
                        self._note(file, number, found)

    def messages(
        self, topics: Collection[str] = ALL_TOPICS, after_ns: int | None = None
    ) -> Iterator[Recorded]:
        """What is recorded by now, in the order it was written.

        `after_ns`: only what is filed under a later instant. Where a segment is damaged it goes on
        with the next one. Raises InputError for what is no MCAP.
        """
        for _, path in _numbered(self._source):
            file = _opened(path)
            if file is not None:
                with file:
                    yield from _messages(file, topics, after_ns)

    @property
    def capture_ns(self) -> NDArray[np.int64]:
        """(N,) instants of the frames since the last reset that are stored, in their order."""
        return np.array(self._frames.capture_ns, np.int64)

    @property
    def newest_ns(self) -> int | None:
        """The last of these instants; None: there is none."""
        return self._frames.capture_ns[-1] if self._frames.capture_ns else None

    def frame(self, capture_ns: int) -> ingest_pb2.Frame | None:
        """The frame of an instant since the last reset; None: it is not stored (any more)."""
        message = self._get(self._frames, capture_ns)
        return message if isinstance(message, ingest_pb2.Frame) else None

    def fused_view(self, capture_ns: int) -> ingest_pb2.FusedView | None:
        """The newest view of an instant since the last reset, as fused; None: none is stored."""
        message = self._get(self._fused, capture_ns)
        return message if isinstance(message, ingest_pb2.FusedView) else None

    def close(self) -> None:
        """Let go of the files."""
        for file in self._files.values():
            file.close()
        self._files.clear()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def _note(self, file: McapFile, segment: int, found: Located) -> None:
        if found.topic == FRAME:
            self._frames.add(segment, found)
        elif found.topic == FUSED:
            self._fused.add(segment, found)
        elif found.topic == CONTROL or (found.topic == OPEN and self.opening is None):
            message = _parsed(file, found)
            if isinstance(message, ingest_pb2.OpenSession):
                self.opening = message
            elif message == RESET:
                self._frames.clear()
                self._fused.clear()

    def _get(self, index: "_Index", capture_ns: int) -> Message | None:
        place = index.find(capture_ns)
        if place is None:
            return None
        segment, found = place
        file = self._files.get(segment)
        if file is None:
            path = dict(_numbered(self._source)).get(segment)
            if path is None:
                return None  # retention took it
            file = self._file(segment, path)
        return None if file is None else _parsed(file, found)

    def _file(self, segment: int, path: Path) -> McapFile | None:
        """A segment, one of few that are open; None if it is gone."""
        file = self._files.get(segment)
        if file is None and (file := _opened(path)) is not None:
            while len(self._files) >= OPEN_FILES:
                self._files.pop(min(self._files)).close()
            self._files[segment] = file
        return file


class _Index:
    """Where the messages of one topic are, by their instants."""

    def __init__(self, topic: str) -> None:
        self._topic = topic
        self.clear()

    def clear(self) -> None:
        self.capture_ns = array("q")
        self._segment = array("i")
        self._chunk = array("q")
        self._offset = array("q")
        self._length = array("q")

    def add(self, segment: int, found: Located) -> None:
        """Note a message: instead of the one of its instant, if there is one."""
        row = bisect_left(self.capture_ns, found.log_time_ns)
        columns = (self.capture_ns, self._segment, self._chunk, self._offset, self._length)
        values = (found.log_time_ns, segment, found.chunk, found.offset, found.length)
        is_known = row < len(self.capture_ns) and self.capture_ns[row] == found.log_time_ns
        for column, value in zip(columns, values, strict=True):
            if is_known:
                column[row] = value
            else:
                column.insert(row, value)  # at the end, but for what a map at another scale has

    def find(self, capture_ns: int) -> tuple[int, Located] | None:
        """(segment, place) of the message of an instant."""
        row = bisect_left(self.capture_ns, capture_ns)
        if row == len(self.capture_ns) or self.capture_ns[row] != capture_ns:
            return None
        place = (self._chunk[row], self._offset[row], self._length[row])
        return self._segment[row], Located(self._topic, capture_ns, *place)


def _numbered(source: Path) -> list[tuple[int, Path]]:
    """The files with their numbers, oldest first."""
    if source.is_file():
        return [(0, source)]
    return [(int(path.stem), path) for path in segments(source)]


def _opened(path: Path) -> McapFile | None:
    """A file; None if retention has taken it. Raises InputError if it cannot be opened."""
    try:
        return McapFile(path)
    except InputError:
        if path.exists():
            raise
        return None


def _messages(file: McapFile, topics: Collection[str], after_ns: int | None) -> Iterator[Recorded]:
    for found in file.scan():
        if found.topic in topics and (after_ns is None or found.log_time_ns > after_ns):
            message = _parsed(file, found)
            if message is None:
                return
            yield Recorded(found.topic, found.log_time_ns, message)


def _parsed(file: McapFile, found: Located) -> Message | None:
    """The message; None, and a word in the log, if it is damaged."""
    try:
        return MESSAGES[found.topic].FromString(file.read(found))
    except (InputError, DecodeError) as error:
        logger.warning("%s", error)
        return None
