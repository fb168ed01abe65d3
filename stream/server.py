"""The whole server in one event loop: HTTP and gRPC over the same sessions."""

import asyncio
import contextlib
import datetime
import logging
import socket
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import grpc
import uvicorn

from mapcast_client.v1 import ingest_pb2_grpc, maps_pb2_grpc
from stream.addresses import lan_addresses, local_address, url_of, with_port
from stream.config import ServerConfig
from stream.errors import ServerError
from stream.grpc_ingest import IngestService
from stream.grpc_maps import MapsService
from stream.registry import Registry
from stream.rest import create_app
from stream.tls import Certificate, server_certificate
from stream.whip import open_publishers

if TYPE_CHECKING:
    from stream.webrtc.publishers import Publishers

logger = logging.getLogger(__name__)

MAX_GRPC_BYTES = 64 << 20
MAX_WEBSOCKET_BYTES = 16 << 20
"""A raw colour and depth frame; subscribers are allowed less (`websocket_subscribe.py`)."""
GRPC_OPTIONS = [
    ("grpc.max_receive_message_length", MAX_GRPC_BYTES),
    ("grpc.max_send_message_length", MAX_GRPC_BYTES),
    ("grpc.so_reuseport", 0),  # a second server on the same port is an error, not a lottery
    # A robot that walks out of the network says nothing: within a minute its sender is gone.
    ("grpc.keepalive_time_ms", 30_000),
    ("grpc.keepalive_timeout_ms", 20_000),
    ("grpc.http2.ping_timeout_ms", 30_000),  # gRPC 1.85 waits for this one, whatever it is sent
    ("grpc.keepalive_permit_without_calls", 1),
    ("grpc.http2.max_pings_without_data", 0),  # who only listens is asked, too
]

KEEP_ALIVE = (
    (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1),
    (socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, 10),
    (socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, 5),
    (socket.IPPROTO_TCP, socket.TCP_KEEPCNT, 4),
)
"""A phone that walks out of the network says nothing: half a minute later its sender is gone."""


@dataclass(frozen=True, slots=True)
class RunningServer:
    """Where this machine reaches a server, and what its clients need."""

    http_url: str
    grpc_address: str
    api_token: str = field(default="", repr=False)
    """Empty on an open server."""
    certificate: Path | None = None
    """What TLS clients are to trust; None: no TLS."""
    public_urls: tuple[str, ...] = ()
    """The HTTP port as other machines reach it."""
    registry: Registry = field(kw_only=True, repr=False)
    """Its sessions, for who embeds it."""


class _Http(uvicorn.Server):
    """uvicorn without its signal handlers: who embeds it decides what a signal means."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.listening = asyncio.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.listening.set()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


@contextlib.asynccontextmanager
async def serve(config: ServerConfig) -> AsyncIterator[RunningServer]:
    """Run a server for the duration of the block.

    Raises ServerError if a port is taken, or HTTP cannot start; InputError for a certificate that
    does not do.
    """
    certificate = server_certificate(config, datetime.datetime.now(datetime.UTC))
    with _listen(config.host, config.http_port, "http_port") as http_socket:
        registry = Registry(config)
        publishers = open_publishers(registry)
        rpc = grpc.aio.server(options=GRPC_OPTIONS)
        ingest_pb2_grpc.add_IngestServicer_to_server(IngestService(registry), rpc)
        maps_pb2_grpc.add_MapsServicer_to_server(MapsService(registry), rpc)
        grpc_port = _listen_grpc(rpc, config, certificate)
        running = _running(config, registry, http_socket, grpc_port, certificate)
        http = _Http(_uvicorn_config(registry, publishers, running, certificate))
        await registry.start()
        await rpc.start()
        serving = asyncio.create_task(http.serve(sockets=[http_socket]))
        try:
            await _listening(http, serving)
            access = "closed" if registry.access.is_closed else "open"
            logger.info("serving %s (%s), gRPC on %d", running.http_url, access, grpc_port)
            yield running
        finally:
            http.should_exit = http.force_exit = True
            await rpc.stop(grace=1)
            await asyncio.wait([serving])
            if publishers is not None:
                await publishers.close()
            await registry.close()


async def _listening(http: _Http, serving: asyncio.Task[None]) -> None:
    """Wait for the HTTP port. Raises ServerError if uvicorn gives up before."""
    listening = asyncio.create_task(http.listening.wait())
    await asyncio.wait([listening, serving], return_when=asyncio.FIRST_COMPLETED)
    if not listening.done():
        listening.cancel()
        raise ServerError(f"the HTTP server did not start: {serving.exception()}")


def _running(
    config: ServerConfig,
    registry: Registry,
    http_socket: socket.socket,
    grpc_port: int,
    certificate: Certificate | None,
) -> RunningServer:
    http_port = int(http_socket.getsockname()[1])
    scheme = "http" if certificate is None else "https"
    here = local_address(config.host)
    return RunningServer(
        url_of(scheme, here, http_port),
        with_port(here, grpc_port),
        registry.access.server_token,
        None if certificate is None else certificate.certificate,
        tuple(url_of(scheme, host, http_port) for host in lan_addresses(config.host)),
        registry=registry,
    )


def _uvicorn_config(
    registry: Registry,
    publishers: "Publishers | None",
    running: RunningServer,
    certificate: Certificate | None,
) -> uvicorn.Config:
    return uvicorn.Config(
        create_app(registry, publishers, running.public_urls),
        lifespan="off",
        log_config=None,
        log_level="warning",  # at `debug` it would log headers, and so tokens
        access_log=False,
        ssl_certfile=None if certificate is None else certificate.certificate,
        ssl_keyfile=None if certificate is None else certificate.key,
        ws="websockets-sansio",
        ws_per_message_deflate=False,  # deltas are compressed already
        ws_max_size=MAX_WEBSOCKET_BYTES,
        # A subscriber that reads nothing for a while does not answer pings either, and is
        # welcome back: the stall timeout of each send ends the ones that are gone.
        ws_ping_interval=None,
        ws_ping_timeout=None,
    )


def _listen_grpc(
    rpc: grpc.aio.Server, config: ServerConfig, certificate: Certificate | None
) -> int:
    address = with_port(config.host, config.grpc_port)
    try:
        if certificate is None:
            return rpc.add_insecure_port(address)
        return rpc.add_secure_port(address, certificate.grpc_credentials())
    except RuntimeError:
        raise _port_taken(config.host, config.grpc_port, "grpc_port") from None


def _listen(host: str, port: int, setting: str) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    for level, option, value in KEEP_ALIVE:  # connections inherit them
        listener.setsockopt(level, option, value)
    try:
        listener.bind((host, port))
    except OSError as error:
        listener.close()
        raise _port_taken(host, port, setting) from error
    return listener


def _port_taken(host: str, port: int, setting: str) -> ServerError:
    return ServerError(
        f"cannot listen on {host}:{port}: taken, or not ours; choose another {setting} (0: any)"
    )
