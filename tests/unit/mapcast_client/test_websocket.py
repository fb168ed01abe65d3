from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from urllib.parse import parse_qs, urlsplit

import pytest
from scripted_peer import keyframes_message, mesh_message, status_message, trajectory_message
from websockets.asyncio.server import ServerConnection, serve

from mapcast_client import FollowOptions, Map, follow_websocket
from mapcast_client.errors import ConnectionLost, InputError, SessionError

Closing = tuple[int, str]


@asynccontextmanager
async def server(
    *connections: tuple[Sequence[bytes], Closing],
) -> AsyncIterator[tuple[str, list[str]]]:
    """Serve each connection its messages, then close it; gives the URL and the asked paths."""
    paths: list[str] = []

    async def serve_one(socket: ServerConnection) -> None:
        assert socket.request is not None
        paths.append(socket.request.path)
        messages, (code, reason) = connections[len(paths) - 1]
        for message in messages:
            await socket.send(message)
        await socket.close(code, reason)

    async with serve(serve_one, "127.0.0.1", 0) as running:
        port = next(iter(running.sockets)).getsockname()[1]
        yield f"http://127.0.0.1:{port}", paths


async def test_follow_keeps_a_map_exact() -> None:
    messages = [
        status_message(),
        mesh_message(1, 1),
        keyframes_message(1),
        trajectory_message(1),
    ]
    followed = Map()
    async with server((messages, (1000, ""))) as (url, paths):
        async for delta in follow_websocket(url, "a b/c", FollowOptions(max_bytes_per_s=2e6)):
            followed.apply(delta)
    assert followed.is_exact
    assert followed.complete_through == 1
    parts = urlsplit(paths[0])
    assert parts.path == "/v1/sessions/a%20b%2Fc/subscribe"
    assert parse_qs(parts.query) == {
        "layers": ["mesh,keyframes,trajectory,status"],
        "since": ["0"],
        "epoch": ["0"],
        "compression": ["zstd"],
        "max_bytes_per_s": ["2000000.0"],
        "max_messages_per_s": ["0.0"],
    }


async def test_follow_reconnects_where_it_was() -> None:
    first = [mesh_message(5, 3, 9), keyframes_message(4, 9), trajectory_message(4, 9)]
    second = [mesh_message(6, 6, epoch=9)]
    async with server((first, (1001, "stopping")), (second, (1000, ""))) as (url, paths):
        options = FollowOptions(reconnect=1)
        deltas = [delta async for delta in follow_websocket(url, "s1", options)]
    assert len(deltas) == 4
    query = parse_qs(urlsplit(paths[1]).query)
    assert (query["since"], query["epoch"]) == (["3"], ["9"])


@pytest.mark.parametrize(
    ("closing", "kind", "message"),
    [
        ((4404, "no session 'ghost'"), SessionError, "no session 'ghost'"),
        ((4400, "since is -1"), InputError, "since is -1"),
        ((1001, "the server stops"), ConnectionLost, "1001 the server stops"),
    ],
)
async def test_close_codes_become_errors(
    closing: Closing, kind: type[Exception], message: str
) -> None:
    async with server(([], closing)) as (url, _):
        with pytest.raises(kind, match=message):
            await anext(follow_websocket(url, "ghost"))


async def test_a_refused_connection_says_what_to_do() -> None:
    async with server() as (url, _):
        pass
    with pytest.raises(ConnectionLost, match=r"no mapcast server at ws://127\.0\.0\.1.*serve"):
        await anext(follow_websocket(url, "s1"))


async def test_an_address_that_is_no_url_is_an_input_error() -> None:
    with pytest.raises(InputError, match="server address is 'ftp://x'"):
        follow_websocket("ftp://x", "s1")
