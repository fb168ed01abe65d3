"""Where the messages of one MCAP file lie, as far as it is written yet.

The `mcap` library's readers want a finished file, or read it in one go; this one goes on where a
growing file ended before, and reads no more than headers until it is asked for a message. The
format: https://mcap.dev/spec.
"""

import logging
import os
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from io import BytesIO
from pathlib import Path
from typing import Self

from mcap.data_stream import ReadDataStream
from mcap.exceptions import McapError
from mcap.opcode import Opcode
from mcap.records import Chunk
from mcap.stream_reader import get_chunk_data_stream
from zstandard import ZstdError

from mapcast_client.errors import InputError

logger = logging.getLogger(__name__)

MAGIC = b"\x89MCAP0\r\n"
_RECORD = struct.Struct("<BQ")
"""Opcode, and length of what follows."""
_CHUNK_COMPRESSION = struct.Struct("<28xI")
"""After times, size and CRC: the length of the compression's name. Then the data's length."""
_LENGTH = struct.Struct("<Q")
_CHANNEL = struct.Struct("<HHI")
"""Channel, schema, length of the topic."""
_MESSAGE = struct.Struct("<HIQQ")
"""Channel, sequence, log time, publish time."""
_WINDOW_BYTES = 2048


@dataclass(frozen=True, slots=True)
class Located:
    """Where a message is."""

    topic: str
    log_time_ns: int
    chunk: int
    """Where the record of its chunk begins in the file; 0: it is in none."""
    offset: int
    """Where its data begins, in its chunk's or in the file."""
    length: int


Read = Callable[[int, int], bytes]
"""(offset, length) → bytes."""


class McapFile:
    """One file, read by one thread at a time."""

    def __init__(self, path: Path) -> None:
        """Raises InputError if it cannot be opened."""
        self._path = path
        try:
            self._descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        except OSError as error:
            raise InputError(f"{path}: {error.strerror}") from None
        self._scanned = 0
        self._is_over = False
        self._topics: dict[int, str] = {}
        self._window_at, self._window = 0, b""
        self._newest_chunk: tuple[int, bytes] = (0, b"")

    def close(self) -> None:
        """Let go of the file."""
        os.close(self._descriptor)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def scan(self) -> Iterator[Located]:
        """The messages that were written since the last call, in their order.

        A record that is not whole ends it: there the writer is, or was when its process ended. So
        does one that is damaged, as a power cut may leave it. Raises InputError for a file that is
        not MCAP.
        """
        size = os.fstat(self._descriptor).st_size
        if self._scanned == 0 and size >= len(MAGIC):
            magic = self._read(0, len(MAGIC))
            self._is_over = not any(magic)  # zeros in place of it all, as after a power cut
            if magic != MAGIC and not self._is_over:
                raise InputError(f"{self._path}: not an MCAP file")
            self._scanned = len(MAGIC)
        while self._scanned and not self._is_over and self._scanned + _RECORD.size <= size:
            opcode, length = _RECORD.unpack(self._read(self._scanned, _RECORD.size))
            end = self._scanned + _RECORD.size + length
            if opcode in (0, Opcode.DATA_END, Opcode.FOOTER):  # 0: zeros in place of the tail
                self._is_over = True
            elif end > size:
                return
            else:
                yield from self._scan_whole(opcode, self._scanned, end)
            self._scanned = end

    def read(self, at: Located) -> bytes:
        """A message's data. Raises InputError if its chunk is damaged."""
        if not at.chunk:
            return os.pread(self._descriptor, at.length, at.offset)
        if self._newest_chunk[0] != at.chunk:
            self._newest_chunk = (at.chunk, self._chunk_data(at.chunk))
        return self._newest_chunk[1][at.offset : at.offset + at.length]

    def _read(self, offset: int, length: int) -> bytes:
        """A few bytes; what follows is read along, because the next header is near."""
        at = offset - self._window_at
        if at < 0 or at + length > len(self._window):
            self._window_at, at = offset, 0
            self._window = os.pread(self._descriptor, max(length, _WINDOW_BYTES), offset)
        return self._window[at : at + length]

    def _scan_whole(self, opcode: int, at: int, end: int) -> Iterator[Located]:
        """The messages of one record."""
        try:
            if opcode == Opcode.CHUNK:
                yield from self._scan_chunk(at, end)
            else:
                yield from self._scan_record(self._read, at, opcode, end - at - _RECORD.size)
        except (InputError, struct.error) as error:
            logger.warning("%s ends at byte %d, where it is damaged: %s", self._path, at, error)
            self._is_over = True

    def _scan_chunk(self, chunk: int, end: int) -> Iterator[Located]:
        """The messages of the chunk whose record begins at `chunk`."""
        body = chunk + _RECORD.size
        (name_bytes,) = _CHUNK_COMPRESSION.unpack(self._read(body, _CHUNK_COMPRESSION.size))
        if name_bytes:
            data = self._chunk_data(chunk)
            yield from self._scan_records(lambda at, n: data[at : at + n], chunk, len(data))
        else:  # it lies there as it is: headers will do
            begin = body + _CHUNK_COMPRESSION.size + _LENGTH.size
            yield from self._scan_records(
                lambda at, n: self._read(begin + at, n), chunk, end - begin
            )

    def _scan_records(self, read: Read, chunk: int, size: int) -> Iterator[Located]:
        at = 0
        while at < size:
            opcode, length = _RECORD.unpack(read(at, _RECORD.size))
            if not opcode or at + _RECORD.size + length > size:
                raise InputError(f"{self._path}: the chunk at byte {chunk} is damaged")
            for found in self._scan_record(read, at, opcode, length):
                yield replace(found, chunk=chunk)
            at += _RECORD.size + length

    def _scan_record(self, read: Read, at: int, opcode: int, length: int) -> Iterator[Located]:
        """The message, if that is what a record is; a channel is noted."""
        body = at + _RECORD.size
        if opcode == Opcode.CHANNEL:
            channel, _, name_bytes = _CHANNEL.unpack(read(body, _CHANNEL.size))
            self._topics[channel] = read(body + _CHANNEL.size, name_bytes).decode(errors="replace")
        elif opcode == Opcode.MESSAGE:
            channel, _, log_time_ns, _ = _MESSAGE.unpack(read(body, _MESSAGE.size))
            topic = self._topics.get(channel, "")
            begin, rest = body + _MESSAGE.size, length - _MESSAGE.size
            yield Located(topic, log_time_ns, 0, begin, rest)

    def _chunk_data(self, chunk: int) -> bytes:
        _, length = _RECORD.unpack(self._read(chunk, _RECORD.size))
        record = os.pread(self._descriptor, length, chunk + _RECORD.size)
        try:
            stream, size = get_chunk_data_stream(
                Chunk.read(ReadDataStream(BytesIO(record))), validate_crc=True
            )
            return stream.read(size)
        except (McapError, ValueError, struct.error, ZstdError) as error:
            raise InputError(f"{self._path}: the chunk at byte {chunk}: {error}") from None
