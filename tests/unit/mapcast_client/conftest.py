"""A server for each test of the client."""

from collections.abc import AsyncIterator

import grpc
import pytest
from scripted_peer import Peer

from mapcast_client.v1 import ingest_pb2_grpc, maps_pb2_grpc


@pytest.fixture
async def peer() -> AsyncIterator[Peer]:
    server = grpc.aio.server()
    running = Peer()
    running.answering.set()
    ingest_pb2_grpc.add_IngestServicer_to_server(running, server)
    maps_pb2_grpc.add_MapsServicer_to_server(running, server)
    running.address = f"127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
    await server.start()
    yield running
    await server.stop(None)
