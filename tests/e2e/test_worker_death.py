"""kill −9 of a worker costs one session its future, nothing else."""

import asyncio
import io

import httpx
import psutil
import pytest
import trimesh
from processes import workers

from mapcast_client import AsyncClient, FollowOptions, Map
from mapcast_client.errors import SessionError
from mapcast_client.v1 import ingest_pb2
from replay.sequence import Sequence

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_the_map_so_far_is_served_and_others_do_not_notice(
    client: AsyncClient,
    http: httpx.AsyncClient,
    room: Sequence,
    posed_frames: list[ingest_pb2.Frame],
    coarse: ingest_pb2.FusionSettings,
) -> None:
    calibration = room.calibration.to_message()
    other = await client.open(calibration, "survivor", "lossless", "given", fusion=coarse)
    before = workers()
    session = await client.open(calibration, "victim", "lossless", "given", fusion=coarse)
    (worker,) = workers() - before
    half = len(posed_frames) // 2
    for frame in posed_frames[:half]:
        await session.send(frame)
    map_ = Map()
    async with asyncio.timeout(20):
        async for delta in client.follow(session.id):
            map_.apply(delta)
            if map_.is_exact and len(map_.trajectory) == half:
                break

    for frame in posed_frames[:half]:
        await other.send(frame)
    psutil.Process(worker).kill()
    for frame in posed_frames[half:]:
        await other.send(frame)
    assert (await other.finish()).fused == len(posed_frames)
    with pytest.raises(SessionError, match="signal 9") as death:
        async with asyncio.timeout(20):
            while True:
                await session.send(posed_frames[half])
                await asyncio.sleep(0.05)
    assert death.value.code == "session_failed"

    info = await client.session(session.id)
    assert info.state == "failed"
    assert "signal 9" in info.reason
    rest = FollowOptions(since=map_.complete_through, epoch=map_.epoch)
    async with asyncio.timeout(20):
        async for delta in client.follow(session.id, rest):  # it may have meshed once more
            map_.apply(delta)
            if map_.status is not None and map_.status.state == "failed":
                break
    assert info.map_hash == map_.map_hash
    exported = (await http.get(f"/v1/sessions/{session.id}/map.glb")).content
    mesh = trimesh.load(io.BytesIO(exported), file_type="glb", force="mesh")
    assert len(mesh.faces) == len(map_.mesh().triangles)
    path = await http.get(f"/v1/sessions/{session.id}/trajectory.tum")
    assert len(path.text.splitlines()) == half
