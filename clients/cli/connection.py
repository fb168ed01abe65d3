"""Where the server is: one that runs already, or one started inside this process."""

import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx

import clients
from mapcast_client import AsyncClient
from mapcast_client.errors import ConnectionLost, InputError
from stream.config import ServerConfig
from stream.server import serve

DEFAULT_HTTP_PORT = 8430
_HTTP_TIMEOUT_S = 60.0


@dataclass(frozen=True, slots=True)
class Server:
    """A server's two ports."""

    grpc_address: str
    http_url: str

    def viewer_url(self, viewer_path: str) -> str:
        """Give the address to open in a browser."""
        return self.http_url + viewer_path

    async def get(self, path: str) -> bytes:
        """GET a path of the HTTP port. Raises ConnectionLost, InputError for a refusal."""
        try:
            async with httpx.AsyncClient(timeout=_HTTP_TIMEOUT_S) as client:
                answer = await client.get(self.http_url + path)
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
    grpc_address: str | None, http_url: str | None, vocabulary: Path | None = None
) -> AsyncIterator[Server]:
    """Give the server at `grpc_address`, or start one here for the time of the block.

    Without `http_url` the HTTP port is taken to be 8430 of the same host. A server started here
    takes its usual ports where they are free, otherwise any.
    """
    if grpc_address is not None:
        if vocabulary is not None:
            raise InputError(
                "--vocabulary is a setting of the server: give it to `mapcast serve`, "
                "not with --server"
            )
        host = grpc_address.rpartition(":")[0] or grpc_address
        yield Server(grpc_address, (http_url or f"http://{host}:{DEFAULT_HTTP_PORT}").rstrip("/"))
        return
    if http_url is not None:
        raise InputError("--http without --server: it is the HTTP port of the server given there")
    defaults = ServerConfig.load(vocabulary=vocabulary, web_dir=web_bundle())
    config = ServerConfig.load(
        vocabulary=vocabulary,
        web_dir=web_bundle(),
        http_port=free_or_any(defaults.host, defaults.http_port),
        grpc_port=free_or_any(defaults.host, defaults.grpc_port),
    )
    async with serve(config) as running:
        yield Server(running.grpc_address, running.http_url)


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
