"""Senders on WebSockets: the protobuf messages of gRPC, and `/ws/stream` in JSON and images."""

import asyncio
import json
import os
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest
import pytest_asyncio
from processes import workers
from websockets.asyncio.client import ClientConnection
from websockets.asyncio.client import connect as connect_websocket
from websockets.exceptions import ConnectionClosed

from mapcast_client import AsyncClient
from mapcast_client.v1 import ingest_pb2
from mapcast_client.v1.ingest_pb2 import ClientMessage, Control, ServerMessage
from replay.sequence import Sequence
from stream.config import ServerConfig
from stream.server import RunningServer, serve

pytestmark = pytest.mark.asyncio(loop_scope="module")

Frames = list[ingest_pb2.Frame]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def server() -> AsyncIterator[RunningServer]:
    """A server for many short sessions."""
    config = ServerConfig(http_port=0, grpc_port=0, max_sessions=32, keep_warm_worker=True)
    async with serve(config) as running:
        yield running


def websocket_url(server: RunningServer, path: str) -> str:
    return server.http_url.replace("http", "ws") + path


async def posed_session(
    client: AsyncClient, room: Sequence, coarse: ingest_pb2.FusionSettings
) -> str:
    """A session with given poses that nobody sends to."""
    calibration = room.calibration.to_message()
    session = await client.open(calibration, "", "lossless", "given", coarse)
    await session.close()
    async with asyncio.timeout(20):
        while (await client.session(session.id)).state != "waiting":
            await asyncio.sleep(0.02)
    return session.id


async def told(socket: ClientConnection, kind: str) -> list[dict[str, Any]]:
    """What is said up to the first message of a kind."""
    heard = []
    async with asyncio.timeout(60):
        while not heard or heard[-1]["type"] != kind:
            heard.append(json.loads(await socket.recv()))
    return heard


@asynccontextmanager
async def streaming(server: RunningServer, **hello: Any) -> AsyncIterator[ClientConnection]:
    async with connect_websocket(websocket_url(server, "/ws/stream")) as socket:
        await socket.send(json.dumps({"type": "hello", **hello}))
        yield socket


async def test_protobuf_messages_make_the_map_that_grpc_makes(
    server: RunningServer,
    client: AsyncClient,
    room: Sequence,
    posed_frames: Frames,
    coarse: ingest_pb2.FusionSettings,
) -> None:
    calibration = room.calibration.to_message()
    reference = await client.open(calibration, "", "lossless", "given", coarse)
    for frame in posed_frames[:6]:
        await reference.send(frame)
    expected = await reference.finish()

    session = await posed_session(client, room, coarse)
    url = websocket_url(server, f"/v1/sessions/{session}/ingest")
    messages = [ClientMessage(open=ingest_pb2.OpenSession())]
    messages += [ClientMessage(frame=frame) for frame in posed_frames[:6]]
    messages.append(ClientMessage(control=Control(action=Control.ACTION_FINISH)))
    answers = []
    async with connect_websocket(url) as socket, asyncio.timeout(60):
        for message in messages:
            await socket.send(message.SerializeToString())
        async for data in socket:  # ends with the server's 1000
            assert isinstance(data, bytes)
            answers.append(ServerMessage.FromString(data))
    kinds = [answer.WhichOneof("message") for answer in answers]
    assert "corrections" in kinds[:-1]
    kinds = [kind for kind in kinds if kind != "corrections"]
    assert kinds == ["opened"] + ["result"] * 6 + ["finished"]
    assert answers[0].opened.session == session
    assert answers[-1].finished.map_hash == expected.map_hash != 0


@pytest.mark.parametrize(
    ("data", "code", "words"),
    [
        (b"\xff\xff\xff", 4400, "no ClientMessage"),
        (ClientMessage(frame=ingest_pb2.Frame()).SerializeToString(), 4400, "open"),
        (ClientMessage(open={"session": "other"}).SerializeToString(), 4400, "other"),
        (ClientMessage(open={}).SerializeToString(), 4404, "nobody"),
    ],
)
async def test_protobuf_that_does_not_do_is_answered_and_ends(
    server: RunningServer, data: bytes, code: int, words: str
) -> None:
    async with connect_websocket(websocket_url(server, "/v1/sessions/nobody/ingest")) as socket:
        await socket.send(data)
        answer = await socket.recv()
        assert isinstance(answer, bytes)
        error = ServerMessage.FromString(answer).error
        assert error.fatal
        assert words in error.message
        with pytest.raises(ConnectionClosed):
            await socket.recv()
        assert socket.close_code == code


async def test_images_are_answered_one_by_one_with_a_summary_of_ten_and_of_all(
    server: RunningServer, http: httpx.AsyncClient, room: Sequence, posed_frames: Frames
) -> None:
    """Of a monocular session; whatever becomes of its map, each image has its answer."""
    async with streaming(server, name="browser", policy="lossless", voxel_size_m=0.05) as socket:
        (opened,) = await told(socket, "opened")
        info = (await http.get(f"/v1/sessions/{opened['session']}")).json()
        assert (info["name"], info["sensor"], info["state"]) == ("browser", "mono", "active")
        heard = []
        for frame in posed_frames[:10]:
            said = {"type": "frame", "capture_ns": frame.capture_ns, "index": frame.index}
            await socket.send(json.dumps(said))
            await socket.send(frame.color.data)
            heard += await told(socket, "progress")
        heard += await told(socket, "partial_result")
        await socket.send(json.dumps({"type": "finish"}))
        heard += await told(socket, "final_result")
        with pytest.raises(ConnectionClosed):
            await socket.recv()
        assert socket.close_code == 1000
    kinds = [message["type"] for message in heard]
    assert kinds == ["progress"] * 10 + ["partial_result", "final_result"]
    assert [message["index"] for message in heard[:10]] == [f.index for f in posed_frames[:10]]
    allowed = {"fused", "tracked", "not_fused"}
    assert {message["status"] for message in heard[:10]} <= allowed, heard
    partial, final = heard[-2:]
    assert partial["frames"] == final["frames"] == 10
    assert partial["dropped"] == final["dropped"] == 0
    info = (await http.get(f"/v1/sessions/{opened['session']}")).json()
    assert info["state"] == "finished"
    assert final["map_hash"] == info["map_hash"]
    for kind in ("ply", "obj", "glb", "trajectory"):
        assert (await http.get(final["links"][kind])).status_code == 200, kind
    assert final["links"]["viewer"] == opened["viewer_path"] == f"/?session={opened['session']}"


async def test_a_session_with_depth_joined_in_json_rejects_each_image_and_goes_on(
    server: RunningServer,
    client: AsyncClient,
    room: Sequence,
    posed_frames: Frames,
    coarse: ingest_pb2.FusionSettings,
) -> None:
    session = await posed_session(client, room, coarse)
    async with streaming(server, session=session) as socket:
        await told(socket, "opened")
        await socket.send(posed_frames[0].color.data)
        (progress,) = await told(socket, "progress")
        assert progress["status"] == "rejected"
        assert "depth" in progress["reason"]
        assert progress["pose"] is None
    async with asyncio.timeout(20):  # a joined session is not this socket's to finish
        while (await client.session(session)).state != "waiting":
            await asyncio.sleep(0.02)
    again = await client.open(room.calibration.to_message(), session=session)
    await again.send(posed_frames[0])
    assert (await again.finish()).fused == 1


async def test_a_session_that_a_socket_opened_is_finished_when_it_leaves(
    server: RunningServer, client: AsyncClient, posed_frames: Frames
) -> None:
    async with streaming(server) as socket:
        (opened,) = await told(socket, "opened")
        await socket.send(posed_frames[0].color.data)
        await told(socket, "progress")
    async with asyncio.timeout(20):
        while (await client.session(opened["session"])).state != "finished":
            await asyncio.sleep(0.02)


async def test_a_pause_drops_and_an_empty_message_finishes(
    server: RunningServer, posed_frames: Frames
) -> None:
    async with streaming(server) as socket:
        await told(socket, "opened")
        await socket.send(json.dumps({"type": "pause"}))
        await socket.send(posed_frames[0].color.data)
        (progress,) = await told(socket, "progress")
        assert (progress["status"], "paused" in progress["reason"]) == ("dropped", True)
        await socket.send(json.dumps({"type": "resume"}))
        await socket.send(json.dumps({"type": "reset"}))
        await socket.send(b"")
        final = (await told(socket, "final_result"))[-1]
        assert (final["frames"], final["dropped"]) == (1, 1)


@pytest.mark.parametrize(
    ("message", "words"),
    [
        ("no json", "not JSON"),
        ('{"type": "dance"}', "type"),
        (b"GIF89a and more", "no JPEG, PNG or WebP"),
    ],
)
async def test_what_means_nothing_is_answered_and_the_stream_goes_on(
    server: RunningServer, message: str | bytes, words: str
) -> None:
    async with streaming(server) as socket:
        await told(socket, "opened")
        await socket.send(message)
        (error,) = await told(socket, "error")
        assert words in error["message"]
        assert not error["fatal"]
        await socket.send(json.dumps({"type": "finish"}))
        assert (await told(socket, "final_result"))[-1]["frames"] == 0


@pytest.mark.parametrize(
    ("hello", "code", "words"),
    [
        (b"\x00", 4400, "binary"),
        ("[]", 4400, "no JSON object"),
        ('{"voxel_size": 1}', 4400, "voxel_size"),
        ('{"session": "nobody"}', 4404, "nobody"),
        ('{"voxel_size_m": 7}', 4400, "voxel_size_m"),
        ('{"sensor": "mono_imu"}', 4400, "imu"),
        ('{"depth": "network"}', 4400, "model"),
    ],
)
async def test_a_hello_that_does_not_do_is_fatal(
    server: RunningServer, hello: str | bytes, code: int, words: str
) -> None:
    async with connect_websocket(websocket_url(server, "/ws/stream")) as socket:
        await socket.send(hello)
        (error,) = await told(socket, "error")
        assert error["fatal"]
        assert words in error["message"]
        with pytest.raises(ConnectionClosed):
            await socket.recv()
        assert socket.close_code == code


async def test_a_message_beyond_the_limit_ends_its_socket_alone(server: RunningServer) -> None:
    async with streaming(server) as socket:
        await told(socket, "opened")
        with pytest.raises(ConnectionClosed):
            await socket.send(b"\xff\xd8\xff" + bytes(17 << 20))
            while True:
                await socket.recv()
        assert socket.close_code == 1009
    async with streaming(server) as socket:
        await told(socket, "opened")


async def test_a_second_sender_is_told_that_there_is_one(server: RunningServer) -> None:
    async with streaming(server) as first:
        (opened,) = await told(first, "opened")
        async with streaming(server, session=opened["session"]) as second:
            (error,) = await told(second, "error")
            assert "sender already" in error["message"]
            with pytest.raises(ConnectionClosed):
                await second.recv()
            assert second.close_code == 1013
        await first.send(json.dumps({"type": "finish"}))
        assert (await told(first, "final_result"))[-1]["frames"] == 0


async def test_a_session_whose_worker_dies_ends_its_socket_with_the_reason(
    server: RunningServer,
) -> None:
    async with streaming(server) as socket:
        await told(socket, "opened")
        for worker in workers():
            os.kill(worker, signal.SIGKILL)
        (error,) = await told(socket, "error")
        assert error["fatal"]
        assert "signal 9" in error["message"]
        with pytest.raises(ConnectionClosed):
            await socket.recv()
        assert socket.close_code == 1011
