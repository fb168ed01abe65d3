"""A real server per module, and a sender's frames."""

from collections.abc import AsyncIterator

import httpx
import pytest
import pytest_asyncio

from mapcast_client import AsyncClient, connect
from mapcast_client.poses import pose_message
from mapcast_client.v1 import ingest_pb2
from replay.opening import open_sequence
from replay.sequence import Sequence
from stream.config import ServerConfig
from stream.server import RunningServer, serve

FRAMES = 24
VOXEL_M = 0.04


@pytest.fixture(scope="session")
def room() -> Sequence:
    """A short walk through the rendered room."""
    return open_sequence(f"rendered:frames={FRAMES}")


@pytest.fixture(scope="session")
def posed_frames(room: Sequence) -> list[ingest_pb2.Frame]:
    """Its frames, each with its true pose."""
    assert room.ground_truth is not None
    frames = list(room.frames())
    for frame, world_from_camera in zip(frames, room.ground_truth.world_from_camera, strict=True):
        frame.world_from_camera.CopyFrom(pose_message(world_from_camera))
    return frames


@pytest.fixture(scope="session")
def coarse() -> ingest_pb2.FusionSettings:
    """Voxels large enough for a quick test."""
    return ingest_pb2.FusionSettings(voxel_size_m=VOXEL_M)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def server() -> AsyncIterator[RunningServer]:
    """A server on free ports."""
    config = ServerConfig(
        http_port=0, grpc_port=0, max_sessions=4, sender_timeout_s=30, keep_warm_worker=False
    )
    async with serve(config) as running:
        yield running


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def client(server: RunningServer) -> AsyncIterator[AsyncClient]:
    """A client of it."""
    async with connect(server.grpc_address) as connected:
        yield connected


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def http(server: RunningServer) -> AsyncIterator[httpx.AsyncClient]:
    """Its HTTP side."""
    async with httpx.AsyncClient(base_url=server.http_url, trust_env=False) as connected:
        yield connected
