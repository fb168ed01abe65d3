"""Whoever says nothing over gRPC, or is out of reach, does not stay."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import grpc
import pytest
from google.protobuf.message import Message

from mapcast_client.v1 import ingest_pb2_grpc, maps_pb2, maps_pb2_grpc
from mapcast_client.v1.ingest_pb2 import ClientMessage
from stream import ingest
from stream import server as stream_server
from stream.config import ServerConfig
from stream.server import serve

CONFIG = ServerConfig(http_port=0, grpc_port=0, keep_warm_worker=False)
TIMEOUT_S = 20


async def test_a_subscriber_that_says_nothing_does_not_stay(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(ingest, "FIRST_MESSAGE_TIMEOUT_S", 0.1)
    async with (
        asyncio.timeout(TIMEOUT_S),
        serve(CONFIG) as running,
        grpc.aio.insecure_channel(running.grpc_address) as channel,
    ):
        call = maps_pb2_grpc.MapsStub(channel).Subscribe(silence(maps_pb2.SubscribeRequest))
        with pytest.raises(grpc.aio.AioRpcError, match="no message came within") as refusal:
            await call.read()
        assert refusal.value.code() == grpc.StatusCode.DEADLINE_EXCEEDED


async def silence(kind: type[Message]) -> AsyncIterator[Message]:
    await asyncio.Event().wait()
    yield kind()


class Road:
    """TCP to a server, until it is cut: then nothing passes, and no end of the line is told."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._is_cut = False
        self.given_up = asyncio.Event()
        """The server has closed its end."""

    async def take(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        up_reader, up_writer = await asyncio.open_connection("127.0.0.1", self._port)
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._pass(reader, up_writer))
            with suppress(ConnectionResetError):
                await self._pass(up_reader, writer)
            self.given_up.set()
            writer.close()
            up_writer.close()

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(1 << 16):
            if not self._is_cut:
                writer.write(data)

    def cut(self) -> None:
        self._is_cut = True


@asynccontextmanager
async def road_to(address: str) -> AsyncIterator[tuple[Road, str]]:
    road = Road(int(address.rpartition(":")[2]))
    async with await asyncio.start_server(road.take, "127.0.0.1", 0) as listener:
        yield road, f"127.0.0.1:{listener.sockets[0].getsockname()[1]}"


async def test_a_sender_that_vanishes_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    usual = dict(stream_server.GRPC_OPTIONS)
    names = ("grpc.keepalive_time_ms", "grpc.http2.ping_timeout_ms")
    assert sum(usual[name] for name in names) <= 60_000
    hasty = usual | {name: usual[name] // 50 for name in names}
    monkeypatch.setattr(stream_server, "GRPC_OPTIONS", list(hasty.items()))
    async with (
        asyncio.timeout(TIMEOUT_S),
        serve(CONFIG) as running,
        road_to(running.grpc_address) as (road, address),
        grpc.aio.insecure_channel(address) as channel,
    ):
        call = ingest_pb2_grpc.IngestStub(channel).Stream()
        await call.write(ClientMessage())
        answer = await call.read()
        assert answer.error.fatal
        waiting = ingest_pb2_grpc.IngestStub(channel).Stream(silence(ClientMessage))
        await waiting.wait_for_connection()
        assert not road.given_up.is_set()
        road.cut()
        await road.given_up.wait()
