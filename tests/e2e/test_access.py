"""A closed server lets in who has the token for what they want, over every transport."""

import asyncio
import json
import os
import re
import sys
from asyncio.subprocess import PIPE
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from urllib.parse import quote, urlsplit

import httpx
import numpy as np
import psutil
import pytest
import pytest_asyncio
from websockets.asyncio.client import connect as connect_websocket
from websockets.exceptions import ConnectionClosed

from mapcast_client import AsyncClient, Map, connect, follow_websocket
from mapcast_client.errors import MapcastError, SessionError
from mapcast_client.v1 import ingest_pb2
from replay.sequence import Sequence
from stream.config import ServerConfig
from stream.server import RunningServer, serve

pytestmark = pytest.mark.asyncio(loop_scope="module")

API_TOKEN = "the.api-token_of~this+test"
WRONG_TOKEN = "a-token-that-nobody-gave-out"
Frames = list[ingest_pb2.Frame]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def server() -> AsyncIterator[RunningServer]:
    """A closed server on free ports."""
    config = ServerConfig(
        http_port=0, grpc_port=0, access="closed", api_token=API_TOKEN, keep_warm_worker=False
    )
    async with serve(config) as running:
        yield running


@dataclass(frozen=True)
class Opened:
    """A session and what its sender was given."""

    session: str
    tokens: dict[str, str]

    def rest(self) -> dict[str, tuple[str, str]]:
        """What can be asked of it, and the least token that may."""
        path = f"/v1/sessions/{self.session}"
        return {
            "list": ("GET /v1/sessions", "server"),
            "create": ("POST /v1/sessions", "server"),
            "metrics": ("GET /metrics", "server"),
            "info": (f"GET {path}", "watch"),
            "export": (f"GET {path}/map.ply", "watch"),
            "trajectory": (f"GET {path}/trajectory.tum", "watch"),
            "pause": (f"POST {path}/pause", "publish"),
            "resume": (f"POST {path}/resume", "publish"),
            "reset": (f"POST {path}/reset", "publish"),
            "finish": (f"POST {path}/finish", "publish"),
        }


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def opened(
    server: RunningServer, room: Sequence, coarse: ingest_pb2.FusionSettings
) -> AsyncIterator[Opened]:
    """A session whose sender has left."""
    calibration = room.calibration.to_message()
    async with connect(server.grpc_address, token=API_TOKEN) as client:
        session = await client.open(calibration, "", "lossless", "given", coarse)
        tokens = {
            "none": "",
            "wrong": WRONG_TOKEN,
            "watch": session.watch_token,
            "publish": session.publish_token,
            "server": API_TOKEN,
        }
        await session.close()
        yield Opened(session.id, tokens)


RANKS = ("watch", "publish", "server")


@pytest.mark.parametrize("bearer", ["none", "wrong", *RANKS])
async def test_rest_asks_for_the_least_token_that_may(
    http: httpx.AsyncClient, opened: Opened, bearer: str
) -> None:
    token = opened.tokens[bearer]
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    for name, (request, needed) in opened.rest().items():
        method, path = request.split()
        body = {"json": {"sensor": "rgbd"}} if name == "create" else {}
        answer = await http.request(method, path, headers=headers, **body)
        if bearer == "none":
            assert answer.status_code == 401, name
            assert answer.headers["www-authenticate"] == "Bearer"
            assert f"needs the {'server' if needed == 'server' else 'session'}'s" in answer.text
        elif bearer == "wrong" or RANKS.index(bearer) < RANKS.index(needed):
            assert answer.status_code == 403, name
            assert needed in answer.json()["error"], name
            assert token not in answer.text
        elif name == "create":
            assert (answer.status_code, "calibration" in answer.text) == (400, True)
        else:  # the second reset comes after the first finish
            is_late = (name, bearer) == ("reset", "server")
            assert answer.status_code == (409 if is_late else 200), (name, answer.text)


async def test_a_query_token_opens_what_cannot_set_headers(
    http: httpx.AsyncClient, opened: Opened
) -> None:
    path = f"/v1/sessions/{opened.session}"
    watch = opened.tokens["watch"]
    assert (await http.get(f"{path}/map.ply?token={watch}")).status_code == 200
    assert (await http.get(f"{path}?a=1&token={WRONG_TOKEN}")).status_code == 403
    strong = {"Authorization": f"Bearer {API_TOKEN}"}
    assert (await http.get(f"{path}?token=x", headers=strong)).status_code == 200


async def test_health_the_server_and_its_pages_are_for_everyone(http: httpx.AsyncClient) -> None:
    for path in ("/healthz", "/readyz", "/openapi.json"):
        assert (await http.get(path)).status_code == 200, path
    told = (await http.get("/v1/server")).json()
    assert told["access"] == "closed"
    assert told["public_urls"] == []
    assert API_TOKEN not in json.dumps(told)


async def closing(url: str) -> tuple[int, str]:
    """How the server closes a WebSocket that says nothing."""
    async with asyncio.timeout(20), connect_websocket(url) as socket:
        with pytest.raises(ConnectionClosed) as closed:
            while True:
                await socket.recv()
    assert closed.value.rcvd is not None
    return closed.value.rcvd.code, closed.value.rcvd.reason


async def test_subscribers_need_a_watch_token(server: RunningServer, opened: Opened) -> None:
    base = server.http_url.replace("http", "ws")
    url = f"{base}/v1/sessions/{opened.session}/subscribe"
    code, reason = await closing(url)
    assert (code, "watch" in reason) == (4401, True)
    code, reason = await closing(f"{url}?token={WRONG_TOKEN}")
    assert (code, "watch" in reason) == (4403, True)
    elsewhere = url.replace(opened.session, "nobody")
    assert (await closing(f"{elsewhere}?token={WRONG_TOKEN}"))[0] == 4404
    for name in RANKS:
        async with connect_websocket(f"{url}?token={quote(opened.tokens[name])}") as socket:
            assert await socket.recv()
    for token, refused in (("", "unauthenticated"), (WRONG_TOKEN, "forbidden")):
        with pytest.raises(SessionError) as refusal:
            await anext(follow_websocket(server.http_url, opened.session, token=token))
        assert refusal.value.code == refused


@pytest.mark.parametrize(("token", "code"), [("", "unauthenticated"), (WRONG_TOKEN, "forbidden")])
async def test_grpc_without_the_token_is_refused(
    server: RunningServer, opened: Opened, room: Sequence, token: str, code: str
) -> None:
    calibration = room.calibration.to_message()
    async with connect(server.grpc_address, token=token) as client:
        attempts = [
            client.sessions(),
            client.session(opened.session),
            client.export(opened.session, "ply"),
            client.raycast(opened.session, calibration.camera, np.eye(4)),
            anext(client.follow(opened.session)),
            client.open(calibration),
            client.open(calibration, session=opened.session),
        ]
        for attempt in attempts:
            with pytest.raises(SessionError) as refusal:
                await attempt
            assert refusal.value.code == code
            assert WRONG_TOKEN not in str(refusal.value)


async def test_a_sender_rejoins_with_its_publish_token_and_others_watch(
    server: RunningServer,
    http: httpx.AsyncClient,
    room: Sequence,
    posed_frames: Frames,
    coarse: ingest_pb2.FusionSettings,
) -> None:
    calibration = room.calibration.to_message()
    async with connect(server.grpc_address, token=API_TOKEN) as client:
        session = await client.open(calibration, "", "lossless", "given", coarse)
        await session.close()
    watch, publish = session.watch_token, session.publish_token
    async with connect(server.grpc_address, token=watch) as watcher:
        with pytest.raises(SessionError, match="publish"):
            await watcher.open(calibration, session=session.id)
    async with connect(server.grpc_address, token=publish) as sender:
        with pytest.raises(SessionError, match="server's token"):
            await sender.open(calibration)
        again = await sender.open(calibration, policy="lossless", session=session.id)
        link = urlsplit(again.viewer_path)
        assert link.fragment == f"token={watch}"
        assert "token" not in link.path + link.query
        for frame in posed_frames[:4]:
            await again.send(frame)
        finished = await again.finish()
    assert finished.fused == 4
    followed = Map()
    async with connect(server.grpc_address, token=watch) as watcher, asyncio.timeout(30):
        async for delta in watcher.follow(session.id):
            followed.apply(delta)
            if followed.map_hash == finished.map_hash:
                break
    for token, status in ((watch, 403), (publish, 204)):
        headers = {"Authorization": f"Bearer {token}"}
        answer = await http.delete(f"/v1/sessions/{session.id}", headers=headers)
        assert answer.status_code == status


async def test_an_open_server_obeys_no_foreign_page() -> None:
    config = ServerConfig(
        http_port=0, grpc_port=0, keep_warm_worker=False, cors_origins=("https://maps.example",)
    )
    async with (
        serve(config) as running,
        httpx.AsyncClient(base_url=running.http_url, trust_env=False) as http,
    ):
        for origin, path, status in (
            ("https://evil.example", "/v1/sessions/nobody/finish", 403),
            ("https://maps.example", "/v1/sessions/nobody/finish", 404),
            (running.http_url, "/v1/sessions/nobody/finish", 404),
        ):
            answer = await http.post(path, headers={"Origin": origin})
            assert answer.status_code == status, origin
        rebound = await http.get("/v1/sessions", headers={"Host": "rebound.evil:8430"})
        assert rebound.status_code == 403
        assert (await http.get("/v1/sessions", headers={"Host": "maps.example"})).is_success
        foreign = await http.get("/healthz", headers={"Origin": "https://evil.example"})
        assert "access-control-allow-origin" not in foreign.headers
        friend = await http.get("/healthz", headers={"Origin": "https://maps.example"})
        assert friend.headers["access-control-allow-origin"] == "https://maps.example"
        assert "Location" in friend.headers["access-control-expose-headers"]
        subscribe = f"{running.http_url.replace('http', 'ws')}/v1/sessions/nobody/subscribe"
        with pytest.raises(Exception, match="403"):
            async with connect_websocket(subscribe, origin="https://evil.example"):
                pass
        async with connect_websocket(subscribe, origin="https://maps.example") as socket:
            with pytest.raises(ConnectionClosed):
                await socket.recv()


@asynccontextmanager
async def serving(token: str) -> AsyncIterator[tuple[psutil.Process, str, str, list[str]]]:
    """A closed `mapcast --verbose serve`, its HTTP and gRPC address, and what it has printed."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "clients.cli.main", "--verbose", "serve"),
        *("--access", "closed", "--http-port", "0", "--grpc-port", "0", "--no-record"),
        env={**os.environ, "MAPCAST_API_TOKEN": token},
        stdout=PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    assert process.stdout is not None
    printed: list[str] = []

    async def read_until(words: str) -> None:
        assert process.stdout is not None
        async with asyncio.timeout(60):
            while line := (await process.stdout.readline()).decode():
                printed.append(line)
                if words in line:
                    return

    try:
        await read_until("Ctrl-C")
        text = "".join(printed)
        http_url = re.search(r"http://[0-9.:]+", text)
        grpc_address = re.search(r"^gRPC\s+(\S+)", text, re.MULTILINE)
        assert http_url is not None
        assert grpc_address is not None
        yield psutil.Process(process.pid), http_url.group(), grpc_address.group(1), printed
        process.terminate()
        await read_until("no line has this")
        await process.wait()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def misuse(http_url: str, session: str, token: str) -> None:
    """Bring a token in every way, the wrong ones too."""
    async with httpx.AsyncClient(base_url=http_url, trust_env=False) as http:
        for path in ("/v1/sessions", f"/v1/sessions/{session}", "/nowhere", "/v1/server"):
            await http.get(path, params={"token": token})
            await http.get(path, headers={"Authorization": f"Bearer {token}"})
            await http.get(path, headers={"Authorization": token})
        await http.post("/v1/sessions", params={"token": token}, json={"token": token})
        await http.post("/v1/sessions", json={"name": [token], "voxel_size_m": token})
        await http.post("/v1/sessions", content=f'{{"token": "{token}"')
    base = http_url.replace("http", "ws")
    for path in (f"v1/sessions/{session}/subscribe", f"v1/sessions/{session}/ingest", "ws/stream"):
        async with connect_websocket(f"{base}/{path}?layers=none&token={quote(token)}") as socket:
            with pytest.raises(ConnectionClosed):
                await socket.send(json.dumps({"type": "hello", "token": token, "session": token}))
                while True:
                    await socket.recv()


async def test_no_token_reaches_a_log_or_a_command_line(
    room: Sequence, posed_frames: Frames, coarse: ingest_pb2.FusionSettings
) -> None:
    calibration = room.calibration.to_message()
    async with serving(API_TOKEN) as (process, http_url, grpc_address, printed):
        client = await connect(grpc_address, token=API_TOKEN).__aenter__()
        session = await client.open(calibration, "", "lossless", "given", coarse)
        tokens = [API_TOKEN, WRONG_TOKEN, session.publish_token, session.watch_token]
        await session.send(posed_frames[0])
        for token in tokens:
            await misuse(http_url, session.id, token)
            with pytest.raises(MapcastError):
                await join_elsewhere(grpc_address, token, calibration)
        commands = [part for child in [process, *process.children()] for part in child.cmdline()]
        await session.finish()
        await client.close()
    text = "".join([*printed, *commands])
    assert session.id in text  # the log is there
    assert "stream.worker_main" in commands
    assert not [token for token in tokens if token in text]


async def join_elsewhere(address: str, token: str, calibration: ingest_pb2.Calibration) -> None:
    async with AsyncClient(address, token=token) as client:
        await client.open(calibration, session="nobody")
