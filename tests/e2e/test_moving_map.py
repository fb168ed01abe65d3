"""A loop is closed in a real worker: the dense map moves along, and so does a subscriber's."""

import asyncio
from pathlib import Path

import httpx
import pytest

from mapcast_client import AsyncClient, AsyncSession, Map
from mapcast_client.poses import pose_message
from mapcast_client.v1 import ingest_pb2
from replay.evaluate_mesh import mesh_quality
from replay.rendered import RenderedSequence, RenderedSettings
from stream import worker_process

pytestmark = pytest.mark.asyncio(loop_scope="module")

FRAMES = 90
CLOSES_AT = 60
VOXEL_M = 0.04


@pytest.fixture
def closing_worker(monkeypatch: pytest.MonkeyPatch) -> None:
    """Workers are those of `closing_worker.py`, beside this file."""
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parent), prepend=":")
    monkeypatch.setattr(worker_process, "WORKER_MODULE", "closing_worker")


@pytest.mark.usefixtures("closing_worker")
async def test_the_map_follows_a_closed_loop_block_by_block(
    client: AsyncClient, http: httpx.AsyncClient
) -> None:
    walk = RenderedSequence(RenderedSettings(FRAMES))
    session = await client.open(
        *(walk.calibration.to_message(), "loop", "lossless", "given"),
        fusion=ingest_pb2.FusionSettings(voxel_size_m=VOXEL_M),
    )
    triangles: list[int] = []
    following = asyncio.create_task(_follow(client, session.id, triangles))
    frames = zip(walk.frames(), walk.ground_truth.world_from_camera, strict=True)
    for frame, world_from_camera in frames:
        frame.world_from_camera.CopyFrom(pose_message(world_from_camera))
        await session.send(frame)
        if frame.index == CLOSES_AT - 1:
            await _answered(session)
            assert triangles
            before = len(triangles)
    finished = await session.finish()
    async with asyncio.timeout(30):
        map_ = await following
    assert map_.map_hash == finished.map_hash

    metrics = (await http.get("/metrics")).text
    values = dict(line.rsplit(" ", 1) for line in metrics.splitlines() if line[0] != "#")
    assert float(values["mapcast_views_moved_total"]) > CLOSES_AT / 2
    assert float(values["mapcast_views_frozen_total"]) == 0
    assert float(values["mapcast_views_pending"]) == 0
    quality = mesh_quality(map_.mesh(), walk.surface(), within_m=VOXEL_M)
    assert quality.accuracy.p95_m < VOXEL_M
    assert min(triangles[before - 1 :]) > 0.8 * triangles[before - 1]


async def _answered(session: AsyncSession) -> None:
    results = session.results()
    while session.unanswered:
        await anext(results)


async def _follow(client: AsyncClient, session: str, triangles: list[int]) -> Map:
    """Follow to the end; notes how many triangles there were after each message."""
    map_ = Map()
    async for delta in client.follow(session):
        map_.apply(delta)
        triangles.append(map_.triangles)
        is_finished = map_.status is not None and map_.status.state == "finished"
        if is_finished and map_.complete_through == map_.revision:
            return map_
    raise AssertionError("the subscription ended early")
