"""Live keeps the newest, lossless slows its sender, pause answers; a sender may vanish."""

import asyncio

import httpx
import pytest

from mapcast_client import AsyncClient, connect
from mapcast_client.v1 import ingest_pb2
from replay.sequence import Sequence
from stream.server import RunningServer

pytestmark = pytest.mark.asyncio(loop_scope="module")

Frames = list[ingest_pb2.Frame]
Result = ingest_pb2.FrameResult


async def test_live_keeps_the_newest_and_answers_the_others(
    client: AsyncClient, room: Sequence, posed_frames: Frames
) -> None:
    fine = ingest_pb2.FusionSettings(voxel_size_m=0.005)  # slower than frames come
    session = await client.open(
        room.calibration.to_message(), "burst", "live", "given", fusion=fine
    )
    for frame in posed_frames:
        await session.send(frame)
    finished = await session.finish()
    results = {result.index: result async for result in session.results()}
    assert sorted(results) == [frame.index for frame in posed_frames]
    dropped = [r for r in results.values() if r.status == Result.STATUS_DROPPED]
    assert dropped
    assert all("newer" in result.reason for result in dropped)
    assert results[posed_frames[-1].index].status == Result.STATUS_FUSED
    assert finished.fused + finished.dropped == finished.frames == len(posed_frames)


async def test_lossless_drops_nothing_even_for_a_sender_that_ignores_the_window(
    server: RunningServer,
    client: AsyncClient,
    room: Sequence,
    posed_frames: Frames,
    coarse: ingest_pb2.FusionSettings,
) -> None:
    session = await client.open(
        room.calibration.to_message(), "greedy", "lossless", "given", fusion=coarse
    )
    session._window = 10_000
    for frame in posed_frames:
        await session.send(frame)
    finished = await session.finish()
    assert (finished.fused, finished.dropped) == (len(posed_frames), 0)


async def test_pause_answers_frames_without_fusing_them(
    client: AsyncClient, room: Sequence, posed_frames: Frames, coarse: ingest_pb2.FusionSettings
) -> None:
    session = await client.open(
        room.calibration.to_message(), "pause", "lossless", "given", fusion=coarse
    )
    await session.pause()
    await session.send(posed_frames[0])
    await session.resume()
    await session.send(posed_frames[1])
    finished = await session.finish()
    first, second = [result async for result in session.results()]
    assert first.status == Result.STATUS_DROPPED
    assert "paused" in first.reason
    assert second.status == Result.STATUS_FUSED
    assert finished.dropped == 1


async def test_a_sender_that_vanishes_leaves_its_map_and_may_come_back(
    server: RunningServer,
    client: AsyncClient,
    http: httpx.AsyncClient,
    room: Sequence,
    posed_frames: Frames,
    coarse: ingest_pb2.FusionSettings,
) -> None:
    calibration = room.calibration.to_message()
    async with connect(server.grpc_address) as robot:
        session = await robot.open(calibration, "robot", "lossless", "given", fusion=coarse)
        await session.send(posed_frames[0])
        async for result in session.results():
            assert result.status == Result.STATUS_FUSED
            break
        await session.send(posed_frames[1])  # and gone, before the answer
    async with asyncio.timeout(10):
        while (await client.session(session.id)).state != "waiting":
            await asyncio.sleep(0.02)
    assert (await http.get(f"/v1/sessions/{session.id}/map.ply")).status_code == 200
    back = await client.open(calibration, session=session.id)
    await back.send(posed_frames[2])
    finished = await back.finish()
    assert finished.epoch == session.epoch
    assert finished.fused >= 2
