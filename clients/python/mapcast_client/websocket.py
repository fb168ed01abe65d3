"""Following a map over a server's HTTP port, where gRPC does not get through."""

import ssl
from collections.abc import AsyncGenerator, AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote, urlencode, urlsplit

from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, ConnectionClosedOK, InvalidHandshake

from mapcast_client.delta import Delta
from mapcast_client.errors import ConnectionLost, InputError, MapcastError, SessionError
from mapcast_client.following import FollowOptions, follow_deltas
from mapcast_client.transport import MAX_MESSAGE_BYTES, bearer

DEFAULT_URL = "http://127.0.0.1:8430"
CLOSE_BAD_PARAMETER = 4400
CLOSE_NOT_FOUND = 4404
_REFUSALS = {4401: "unauthenticated", 4403: "forbidden"}
_QUEUED_MESSAGES = 4


@dataclass(frozen=True, slots=True)
class _Server:
    """How a server is reached: its WebSocket address, and what its handshake needs."""

    base: str
    headers: tuple[tuple[str, str], ...]
    tls: ssl.SSLContext | None


def follow_websocket(
    server_url: str,
    session: str,
    options: FollowOptions | None = None,
    token: str = "",
    ca: str | Path | None = None,
) -> AsyncIterator[Delta]:
    """Iterate over the deltas of a session's map, as `AsyncClient.follow` does.

    `server_url` is the server's http(s) address; `token` is what a closed server wants, `ca` a PEM
    file of the certificates to trust instead of the system's. Raises SessionError (not_found,
    unauthenticated, forbidden), InputError, ConnectionLost; see FollowOptions.
    """
    options = options or FollowOptions()
    base = _websocket_base(server_url)
    tls = _tls_context(ca) if base.startswith("wss:") else None
    server = _Server(base, bearer(token), tls)

    def subscribe(since: int, epoch: int) -> AsyncGenerator[bytes]:
        return _messages(server, session, options, since, epoch)

    return follow_deltas(subscribe, options)


async def _messages(
    server: _Server, session: str, options: FollowOptions, since: int, epoch: int
) -> AsyncGenerator[bytes]:
    base = server.base
    url = f"{base}/v1/sessions/{quote(session, safe='')}/subscribe?" + urlencode(
        {
            "layers": ",".join(options.wire_layers),
            "since": since,
            "epoch": epoch,
            "compression": options.compression,
            "max_bytes_per_s": options.max_bytes_per_s,
            "max_messages_per_s": options.max_messages_per_s,
        }
    )
    connection = connect(
        url,
        additional_headers=server.headers,
        ssl=server.tls,
        compression=None,
        open_timeout=options.timeout_s,
        max_size=MAX_MESSAGE_BYTES,
        max_queue=_QUEUED_MESSAGES,
    )
    try:
        async with connection as socket:
            if options.viewpoint is not None:
                x, y, z = options.viewpoint
                await socket.send(f'{{"viewpoint": [{x!r}, {y!r}, {z!r}]}}')
            while True:
                yield await socket.recv(decode=False)
    except ConnectionClosedOK as closed:
        if closed.rcvd is not None and closed.rcvd.code == 1000:
            return
        raise _closed_error(closed, base) from None
    except ConnectionClosed as closed:
        raise _closed_error(closed, base) from None
    except InvalidHandshake as error:
        raise ConnectionLost(f"{base} is no mapcast server: {error}") from None
    except (OSError, TimeoutError) as error:
        raise ConnectionLost(
            f"no mapcast server at {base} ({error}): start one with `mapcast serve`, "
            "or check the address and port (HTTP is 8430 by default)"
        ) from None


def _closed_error(closed: ConnectionClosed, base: str) -> MapcastError:
    code = closed.rcvd.code if closed.rcvd is not None else 1006
    reason = closed.rcvd.reason if closed.rcvd is not None else "no closing handshake"
    if code in _REFUSALS:
        return SessionError(_REFUSALS[code], reason)
    if code == CLOSE_NOT_FOUND:
        return SessionError("not_found", reason or f"{base} has no such session")
    if code == CLOSE_BAD_PARAMETER:
        return InputError(reason or f"{base} refused a parameter")
    return ConnectionLost(f"{base} closed the connection ({code} {reason})".rstrip())


def _tls_context(ca: str | Path | None) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cafile=ca)
    except OSError as error:
        raise InputError(f"ca is {ca}, which cannot be used: {error}") from None


def _websocket_base(server_url: str) -> str:
    parts = urlsplit(server_url if "://" in server_url else f"http://{server_url}")
    schemes = {"http": "ws", "https": "wss", "ws": "ws", "wss": "wss"}
    if parts.scheme not in schemes or not parts.netloc:
        raise InputError(f"server address is {server_url!r}, must be like {DEFAULT_URL}")
    return f"{schemes[parts.scheme]}://{parts.netloc}{parts.path.rstrip('/')}"
