"""Where the server is: one that runs already, or one started inside this process."""

import socket
import ssl
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

import clients
from mapcast_client import AsyncClient, Delta, FollowOptions, connect, follow_websocket
from mapcast_client.errors import ConnectionLost, InputError
from mapcast_client.transport import bearer
from stream.config import ServerConfig
from stream.server import serve

DEFAULT_HTTP_PORT = 8430
_HTTP_TIMEOUT_S = 60.0


@dataclass(frozen=True, slots=True)
class Credentials:
    """What a closed server wants of its clients, and what they trust its certificate by."""

    token: str = field(default="", repr=False)
    ca: Path | None = None


@dataclass(frozen=True, slots=True)
class Server:
    """A server's two ports, and what they need."""

    grpc_address: str
    http_url: str
    credentials: Credentials = Credentials()

    def viewer_url(self, viewer_path: str) -> str:
        """Give the address to open in a browser."""
        return self.http_url + viewer_path

    def client(self) -> AsyncClient:
        """Give a client of the gRPC port, to enter with `async with`."""
        return connect(self.grpc_address, token=self.credentials.token, ca=self.credentials.ca)

    def follow(self, session: str, options: FollowOptions) -> AsyncIterator[Delta]:
        """Iterate over the deltas of a session's map, through the HTTP port."""
        token, ca = self.credentials.token, self.credentials.ca
        return follow_websocket(self.http_url, session, options, token=token, ca=ca)

    async def get(self, path: str) -> bytes:
        """GET a path of the HTTP port. Raises ConnectionLost, InputError for a refusal."""
        return await self.request("GET", path)

    async def request(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> bytes:
        """Ask a path of the HTTP port, with JSON in the body. Raises as `get`."""
        trusted = ssl.create_default_context(cafile=self.credentials.ca)
        headers = dict(bearer(self.credentials.token))
        try:
            async with httpx.AsyncClient(timeout=_HTTP_TIMEOUT_S, verify=trusted) as client:
                answer = await client.request(
                    method, self.http_url + path, headers=headers, json=body
                )
        except httpx.TransportError as error:
            raise ConnectionLost(
                f"no mapcast server at {self.http_url} ({error}): check the address, or give "
                "its HTTP port with --http"
            ) from None
        if answer.is_error:
            raise InputError(f"{self.http_url}{path}: {answer.status_code} {answer.text.strip()}")
        return answer.content


@asynccontextmanager
async def reach(
    grpc_address: str | None,
    http_url: str | None,
    vocabulary: Path | None = None,
    depth_models: Path | None = None,
    credentials: Credentials = Credentials(),
    refine: bool = False,
    backend: str | None = None,
) -> AsyncIterator[Server]:
    """Give the server at `grpc_address`, or start one here for the time of the block.

    Without `http_url` the HTTP port is taken to be 8430 of the same host. A server started here
    takes its usual ports where they are free, otherwise any; `vocabulary`, the folder
    `depth_models`, whether it is to `refine` and its `backend` are settings of such a one.
    """
    if grpc_address is not None:
        for option, value in (("--vocabulary", vocabulary), ("--backend", backend)):
            if value is not None:
                raise InputError(
                    f"{option} is a setting of the server: give it to `mapcast serve`, "
                    "not with --server"
                )
        url = http_url or _http_beside(grpc_address, credentials)
        yield Server(grpc_address, url.rstrip("/"), credentials)
        return
    if http_url is not None:
        raise InputError("--http without --server: it is the HTTP port of the server given there")
    defaults = ServerConfig.load(vocabulary=vocabulary, web_dir=web_bundle())
    config = ServerConfig.load(
        vocabulary=vocabulary,
        depth_models=depth_models,
        web_dir=web_bundle(),
        refine=refine or None,
        backend=backend,
        http_port=free_or_any(defaults.host, defaults.http_port),
        grpc_port=free_or_any(defaults.host, defaults.grpc_port),
    )
    async with serve(config) as running:
        own = Credentials(running.api_token, running.certificate)
        yield Server(running.grpc_address, running.http_url, own)


def _http_beside(grpc_address: str, credentials: Credentials) -> str:
    """The usual HTTP port of a gRPC port's host, with TLS where that has it."""
    scheme, _, address = grpc_address.rpartition("://")
    host = address.rpartition(":")[0] or address
    is_tls = scheme == "grpcs" or credentials.ca is not None
    return f"{'https' if is_tls else 'http'}://{host}:{DEFAULT_HTTP_PORT}"


async def newest_session(client: AsyncClient, server: str) -> str:
    """Find the id of a server's newest session. Raises InputError where there is none."""
    sessions = await client.sessions()
    if not sessions:
        raise InputError(f"{server} has no sessions: start one, for example a replay")
    return sessions[-1].session


def web_bundle() -> Path | None:
    """Find the viewer's production bundle; None where it was not built."""
    folder = Path(clients.__file__).parent / "web" / "dist"
    return folder if (folder / "index.html").is_file() else None


def is_free(host: str, port: int) -> bool:
    """Tell whether a port can be listened on."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return False
    return True


def free_or_any(host: str, port: int) -> int:
    """Give the port if it is free, otherwise 0: any."""
    return port if is_free(host, port) else 0
