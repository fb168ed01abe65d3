"""Protobuf between the server and its workers, each message after its length (4 bytes, LE)."""

import asyncio
import socket
import struct

from mapcast_client.errors import ProtocolError
from stream.worker_pb2 import FromWorker, ToWorker

MAX_MESSAGE_BYTES = 1 << 30
_LENGTH = struct.Struct("<I")


def pack(message: ToWorker | FromWorker) -> bytes:
    """A message with its length before it."""
    body = message.SerializeToString()
    return _LENGTH.pack(len(body)) + body


def _length(head: bytes) -> int:
    (length,) = _LENGTH.unpack(head)
    if length > MAX_MESSAGE_BYTES:
        raise ProtocolError(
            f"message of {length} bytes on the worker pipe, limit {MAX_MESSAGE_BYTES}"
        )
    return int(length)


async def receive(reader: asyncio.StreamReader) -> FromWorker:
    """The worker's next message. Raises asyncio.IncompleteReadError when the worker is gone."""
    body = await reader.readexactly(_length(await reader.readexactly(_LENGTH.size)))
    return FromWorker.FromString(body)


def receive_blocking(pipe: socket.socket) -> ToWorker | None:
    """The server's next message; None when the server is gone."""
    head = _read(pipe, _LENGTH.size)
    body = _read(pipe, _length(bytes(head))) if head is not None else None
    return None if body is None else ToWorker.FromString(bytes(body))


def _read(pipe: socket.socket, size: int) -> bytearray | None:
    buffer = bytearray(size)
    view, filled = memoryview(buffer), 0
    while filled < size:
        count = pipe.recv_into(view[filled:])
        if count == 0:
            return None
        filled += count
    return buffer
