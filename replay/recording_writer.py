"""Writes a session's recording, one segment after the other."""

import fcntl
import os
import time
from pathlib import Path
from typing import Self

from mcap.writer import CompressionType, Writer

from mapcast_client.v1 import ingest_pb2
from replay.recording import (
    MESSAGES,
    TOPICS,
    Message,
    log_time_ns,
    schema,
    segment_path,
    segments,
)

SEGMENT_BYTES = 64 << 20
"""A quarter of a minute of RGB-D at 30 Hz: as much as retention takes away at once."""


class RecordingWriter:
    """Appends messages to a session's folder. Of one thread.

    A message that `write` returned from is read by whoever reads the folder, and survives the end
    of this process, however sudden; a power cut may take the last seconds. A folder that has
    segments already is gone on with, in a new one.
    """

    def __init__(
        self,
        folder: Path,
        opening: ingest_pb2.OpenSession,
        segment_bytes: int = SEGMENT_BYTES,
        newest_ns: int = 0,
        offer: ingest_pb2.CalibrationOffer | None = None,
    ) -> None:
        """`opening` and the newest offer go to the start of each segment. Writes nothing yet.

        `newest_ns`: of the newest frame that the folder has; what is of no instant is filed there.
        `offer`: the newest that the folder has, in segments that may be removed.
        """
        self.folder = folder
        self.segments_begun = 0
        self._opening = opening
        self._segment_bytes = segment_bytes
        self._segment: Segment | None = None
        self._newest_ns = newest_ns
        self._offer = offer

    def write(self, message: Message) -> int:
        """Append a message, and begin a segment before it if the last one is full.

        Returns the bytes written. Raises OSError; what a message left that did not fit is not read.
        """
        if self._segment is not None and self._segment.size_bytes >= self._segment_bytes:
            self.close()
        instant_ns = log_time_ns(message, self._newest_ns)
        if isinstance(message, ingest_pb2.Frame):
            self._newest_ns = instant_ns
        written = 0
        if self._segment is None:
            self._segment = self._begin(instant_ns)
            written = self._segment.size_bytes
        if isinstance(message, ingest_pb2.CalibrationOffer):
            self._offer = message
        try:
            return written + self._segment.append(message, instant_ns)
        except OSError:
            self._segment.abandon()
            self._segment = None
            raise

    def _begin(self, instant_ns: int) -> "Segment":
        self.folder.mkdir(0o700, parents=True, exist_ok=True)
        earlier = segments(self.folder)
        number = int(earlier[-1].stem) + 1 if earlier else 1
        segment = Segment(segment_path(self.folder, number))
        self.segments_begun += 1
        try:
            segment.append(self._opening, instant_ns)
            if self._offer is not None:
                segment.append(self._offer, instant_ns)
        except OSError:
            segment.abandon()
            raise
        return segment

    def close(self) -> None:
        """End the last segment with its index. Raises OSError."""
        segment, self._segment = self._segment, None
        if segment is not None:
            segment.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()


class Segment:
    """One MCAP file, locked while it is written so that retention leaves it alone."""

    def __init__(self, path: Path) -> None:
        """Begin a new file. Raises OSError."""
        self._file = _AppendedFile(path)
        self._writer = Writer(
            self._file,  # type: ignore[arg-type] # it needs only `write` and `tell`
            chunk_size=0,  # a chunk ends with its first message
            compression=CompressionType.NONE,
        )
        self._writer.start(library="mapcast")
        schemas = schema(MESSAGES.values())
        self._channels: dict[str, int] = {}
        self._sequence = 0
        for topic, kind in MESSAGES.items():
            name = kind.DESCRIPTOR.full_name
            schema_id = self._writer.register_schema(name, "protobuf", schemas)
            self._channels[topic] = self._writer.register_channel(topic, "protobuf", schema_id)

    @property
    def size_bytes(self) -> int:
        """What is written so far."""
        return self._file.tell()

    def append(self, message: Message, instant_ns: int) -> int:
        """Write a message as a chunk, filed under an instant; returns its bytes. Raises OSError."""
        before = self._file.tell()
        self._sequence += 1
        self._writer.add_message(
            self._channels[TOPICS[type(message)]],
            instant_ns,
            message.SerializeToString(),
            time.time_ns(),
            self._sequence,
        )
        self._file.flush()
        return self._file.tell() - before

    def close(self) -> None:
        """Write the index, then let go of the file. Raises OSError."""
        try:
            self._writer.finish()  # type: ignore[no-untyped-call] # mcap is half typed
            self._file.flush()
        finally:
            self._file.close()

    def abandon(self) -> None:
        """Let go of the file as it is."""
        self._file.close()


class _AppendedFile:
    """A new file whose parts reach the operating system together, at `flush`."""

    def __init__(self, path: Path) -> None:
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
        self._descriptor = os.open(path, flags, 0o644)
        fcntl.flock(self._descriptor, fcntl.LOCK_EX)
        self._parts: list[bytes] = []
        self._size_bytes = 0

    def write(self, data: bytes) -> int:
        self._parts.append(data)
        self._size_bytes += len(data)
        return len(data)

    def tell(self) -> int:
        return self._size_bytes

    def flush(self) -> None:
        """Write what is pending. Raises OSError."""
        data = memoryview(b"".join(self._parts))
        self._parts.clear()
        while data:
            data = data[os.write(self._descriptor, data) :]

    def close(self) -> None:
        os.close(self._descriptor)
