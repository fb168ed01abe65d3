"""The whole server in one event loop: HTTP and gRPC over the same sessions."""

import asyncio
import contextlib
import logging
import socket
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass

import grpc
import uvicorn

from mapcast_client.v1 import ingest_pb2_grpc, maps_pb2_grpc
from stream.config import ServerConfig
from stream.errors import ServerError
from stream.grpc_ingest import IngestService
from stream.grpc_maps import MapsService
from stream.registry import Registry
from stream.rest import create_app

logger = logging.getLogger(__name__)

MAX_GRPC_BYTES = 64 << 20
GRPC_OPTIONS = [
    ("grpc.max_receive_message_length", MAX_GRPC_BYTES),
    ("grpc.max_send_message_length", MAX_GRPC_BYTES),
    ("grpc.so_reuseport", 0),  # a second server on the same port is an error, not a lottery
]


@dataclass(frozen=True, slots=True)
class RunningServer:
    """Where a server listens."""

    http_url: str
    grpc_address: str


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
    """Run a server for the duration of the block. Raises ServerError if a port is taken."""
    with _listen(config.host, config.http_port, "http_port") as http_socket:
        registry = Registry(config)
        rpc = grpc.aio.server(options=GRPC_OPTIONS)
        ingest_pb2_grpc.add_IngestServicer_to_server(IngestService(registry), rpc)
        maps_pb2_grpc.add_MapsServicer_to_server(MapsService(registry), rpc)
        try:
            grpc_port = rpc.add_insecure_port(f"{config.host}:{config.grpc_port}")
        except RuntimeError:
            raise _port_taken(config.host, config.grpc_port, "grpc_port") from None
        http = _Http(_uvicorn_config(registry))
        await registry.start()
        await rpc.start()
        serving = asyncio.create_task(http.serve(sockets=[http_socket]))
        try:
            await http.listening.wait()
            http_port = http_socket.getsockname()[1]
            logger.info("serving http://%s:%d, gRPC on %d", config.host, http_port, grpc_port)
            yield RunningServer(f"http://{config.host}:{http_port}", f"{config.host}:{grpc_port}")
        finally:
            http.should_exit = http.force_exit = True
            await rpc.stop(grace=1)
            await serving
            await registry.close()


def _uvicorn_config(registry: Registry) -> uvicorn.Config:
    return uvicorn.Config(
        create_app(registry),
        lifespan="off",
        log_config=None,
        access_log=False,
        ws="websockets-sansio",
        ws_per_message_deflate=False,  # deltas are compressed already
        ws_max_size=1 << 16,
        # A subscriber that reads nothing for a while does not answer pings either, and is
        # welcome back: the stall timeout of each send ends the ones that are gone.
        ws_ping_interval=None,
        ws_ping_timeout=None,
    )


def _listen(host: str, port: int, setting: str) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
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
