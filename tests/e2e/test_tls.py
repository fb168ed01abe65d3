"""A server with a certificate that it made itself: every transport, and who does not trust it."""

import asyncio
import os
import ssl
import sys
from asyncio.subprocess import PIPE, STDOUT
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
import pytest_asyncio

from mapcast_client import AsyncClient, Client, Map, connect, follow_websocket
from mapcast_client.errors import ConnectionLost, InputError
from mapcast_client.v1 import ingest_pb2
from replay.sequence import Sequence
from stream.config import ServerConfig
from stream.server import RunningServer, serve

pytestmark = pytest.mark.asyncio(loop_scope="module")

Frames = list[ingest_pb2.Frame]
API_TOKEN = "the-api-token-of-this-test"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def server(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[RunningServer]:
    """A closed server that makes its certificate."""
    config = ServerConfig(
        http_port=0,
        grpc_port=0,
        tls="auto",
        access="closed",
        api_token=API_TOKEN,
        keep_warm_worker=False,
        cache=tmp_path_factory.mktemp("cache"),
    )
    async with serve(config) as running:
        yield running


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def client(server: RunningServer) -> AsyncIterator[AsyncClient]:
    """A client that trusts it."""
    async with connect(server.grpc_address, token=API_TOKEN, ca=server.certificate) as connected:
        yield connected


async def test_frames_in_and_maps_out(
    server: RunningServer,
    client: AsyncClient,
    room: Sequence,
    posed_frames: Frames,
    coarse: ingest_pb2.FusionSettings,
) -> None:
    session = await client.open(
        room.calibration.to_message(), "", "lossless", "given", fusion=coarse
    )
    for frame in posed_frames[:4]:
        await session.send(frame)
    finished = await session.finish()
    for deltas in (
        client.follow(session.id),
        follow_websocket(server.http_url, session.id, token=API_TOKEN, ca=server.certificate),
    ):
        followed = Map()
        async for delta in deltas:
            followed.apply(delta)
            if followed.map_hash == finished.map_hash:
                break
        assert followed.triangles > 0


async def test_the_page_is_secure_for_who_trusts_the_certificate(server: RunningServer) -> None:
    assert server.http_url.startswith("https://127.0.0.1:")
    trusted = ssl.create_default_context(cafile=server.certificate)
    async with httpx.AsyncClient(verify=trusted, trust_env=False) as http:
        assert (await http.get(f"{server.http_url}/healthz")).text == "ok\n"
        for name in ("localhost", "127.0.0.1"):
            url = server.http_url.replace("127.0.0.1", name)
            assert (await http.get(f"{url}/v1/server")).json()["access"] == "closed"
    async with httpx.AsyncClient(trust_env=False) as http:
        with pytest.raises(httpx.ConnectError, match=r"(?i)certificate"):
            await http.get(f"{server.http_url}/healthz")


@pytest.mark.parametrize("scheme", ["", "grpcs://"])
async def test_grpc_without_trust_is_refused_and_says_what_to_give(
    server: RunningServer, scheme: str
) -> None:
    with pytest.raises(ConnectionLost, match="`ca`"):
        async with connect(scheme + server.grpc_address, timeout_s=20):
            pass


async def test_a_websocket_without_trust_is_refused(server: RunningServer) -> None:
    with pytest.raises(ConnectionLost, match=r"(?i)certificate"):
        await anext(follow_websocket(server.http_url, "nobody"))


async def test_what_is_no_certificate_is_named(server: RunningServer, tmp_path: Path) -> None:
    nonsense = tmp_path / "nonsense.pem"
    nonsense.write_text("nonsense")
    with pytest.raises(InputError, match=r"nonsense\.pem|tls_certificate"):
        async with serve(
            ServerConfig(
                http_port=0,
                grpc_port=0,
                keep_warm_worker=False,
                tls_certificate=nonsense,
                tls_key=nonsense,
            )
        ):
            pass
    with pytest.raises(InputError, match=r"nonsense\.pem"):
        await anext(follow_websocket(server.http_url, "nobody", ca=nonsense))
    for missing in (tmp_path / "missing.pem", nonsense):
        with pytest.raises((InputError, ConnectionLost), match=r"missing\.pem|`ca`"):
            async with connect(server.grpc_address, timeout_s=20, ca=missing):
                pass


async def test_commands_take_the_token_and_the_certificate(
    server: RunningServer, client: AsyncClient, room: Sequence, tmp_path: Path
) -> None:
    assert server.certificate is not None
    to_server = ["--server", server.grpc_address, "--ca", str(server.certificate)]
    at_http = ["--http", server.http_url, "--poses", "given", "--limit", "4", "--voxel", "0.04"]
    code, output = await mapcast("replay", "rendered:frames=4", *to_server, *at_http)
    assert code == 0, output
    newest = (await client.sessions())[-1]
    assert (newest.state, newest.fused) == ("finished", 4)
    code, output = await mapcast("watch", *to_server)
    assert (code, "hash ok" in output) == (0, True), output
    code, output = await mapcast("export", "-o", str(tmp_path / "map.ply"), *to_server)
    assert code == 0, output
    assert (tmp_path / "map.ply").read_bytes() == await client.export(newest.session, "ply")
    code, output = await mapcast("watch", *to_server, token="a-wrong-token")
    assert (code, "needs the server's token" in output) == (1, True), output


async def mapcast(*arguments: str, token: str = API_TOKEN) -> tuple[int | None, str]:
    """A command's exit code and output; the token comes from the environment."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "clients.cli.main", *arguments),
        env={**os.environ, "MAPCAST_TOKEN": token},
        stdout=PIPE,
        stderr=STDOUT,
    )
    try:
        async with asyncio.timeout(120):
            output, _ = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
    return process.returncode, " ".join(output.decode().split())


async def test_the_synchronous_client_takes_the_same(server: RunningServer) -> None:
    def listed() -> int:
        with Client(server.grpc_address, token=API_TOKEN, ca=server.certificate) as connected:
            return len(connected.sessions())

    assert await asyncio.to_thread(listed) == 2
