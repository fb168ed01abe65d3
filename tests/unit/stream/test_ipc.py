"""Messages on the worker's pipe, whole and broken."""

import asyncio
import socket
import struct
import threading

import pytest

from mapcast_client.errors import ProtocolError
from mapcast_client.v1 import ingest_pb2
from stream import ipc
from stream.worker_pb2 import FromWorker, Ready, ToWorker


def test_a_message_arrives_whole_in_pieces() -> None:
    frame = ToWorker(frame=ingest_pb2.Frame(index=7, color=ingest_pb2.Image(data=bytes(300_000))))
    ours, theirs = socket.socketpair()
    with ours, theirs:
        sending = threading.Thread(target=ours.sendall, args=(ipc.pack(frame),))
        sending.start()
        assert ipc.receive_blocking(theirs) == frame
        sending.join()


def test_the_servers_end_is_no_message() -> None:
    ours, theirs = socket.socketpair()
    with theirs:
        with ours:
            ours.sendall(ipc.pack(ToWorker())[:2])
        assert ipc.receive_blocking(theirs) is None


async def test_the_workers_message_and_its_end() -> None:
    reader = asyncio.StreamReader()
    message = FromWorker(ready=Ready())
    reader.feed_data(ipc.pack(message))
    reader.feed_eof()
    assert await ipc.receive(reader) == message
    with pytest.raises(asyncio.IncompleteReadError):
        await ipc.receive(reader)


async def test_an_absurd_length_is_refused() -> None:
    reader = asyncio.StreamReader()
    reader.feed_data(struct.pack("<I", ipc.MAX_MESSAGE_BYTES + 1))
    with pytest.raises(ProtocolError, match="limit"):
        await ipc.receive(reader)
