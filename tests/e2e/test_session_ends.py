"""However a session ends, everyone who waits on it is told, and nothing stays behind."""

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator

import grpc
import httpx
import psutil
import pytest
import pytest_asyncio
from processes import workers

from mapcast_client import AsyncClient, AsyncSession
from mapcast_client.errors import InputError, SessionError
from mapcast_client.v1 import ingest_pb2, ingest_pb2_grpc
from mapcast_client.websocket import follow_websocket
from replay.sequence import Sequence
from stream.config import ServerConfig
from stream.server import RunningServer, serve

pytestmark = pytest.mark.asyncio(loop_scope="module")

Frames = list[ingest_pb2.Frame]
Result = ingest_pb2.FrameResult
STALL_S = 2.0


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def server() -> AsyncIterator[RunningServer]:
    """A server that is quick to give up a worker."""
    config = ServerConfig(
        http_port=0, grpc_port=0, keep_warm_worker=False, stall_timeout_s=STALL_S, max_sessions=16
    )
    async with serve(config) as running:
        yield running


@pytest_asyncio.fixture(loop_scope="module")
async def session(
    client: AsyncClient, room: Sequence, coarse: ingest_pb2.FusionSettings
) -> AsyncIterator[AsyncSession]:
    """An open lossless session with given poses."""
    calibration = room.calibration.to_message()
    async with await client.open(calibration, "", "lossless", "given", coarse) as opened:
        yield opened


async def test_finishes_from_all_sides_are_one(
    http: httpx.AsyncClient, session: AsyncSession, posed_frames: Frames
) -> None:
    for frame in posed_frames[:4]:
        await session.send(frame)
    async with asyncio.timeout(30):  # a finish that overtakes a frame drops it
        while (await http.get(f"/v1/sessions/{session.id}")).json()["frames"] != "4":
            await asyncio.sleep(0.02)
    path = f"/v1/sessions/{session.id}/finish"
    first, second, finished = await asyncio.gather(
        http.post(path), http.post(path), session.finish()
    )
    assert first.status_code == second.status_code == 200
    assert first.json()["map_hash"] == second.json()["map_hash"] == str(finished.map_hash)
    assert finished.fused == 4


async def test_a_finish_while_frames_come_answers_every_frame(
    http: httpx.AsyncClient, session: AsyncSession, posed_frames: Frames
) -> None:
    for frame in posed_frames[:6]:
        await session.send(frame)
    finishing = asyncio.create_task(http.post(f"/v1/sessions/{session.id}/finish"))
    for frame in posed_frames[6:]:
        await session.send(frame)
    assert (await finishing).json()["state"] == "finished"
    await session.finish()
    results = [result async for result in session.results()]
    assert sorted(r.index for r in results) == [frame.index for frame in posed_frames]
    assert {result.status for result in results} <= {Result.STATUS_FUSED, Result.STATUS_DROPPED}


async def test_a_sender_that_only_stops_sending_gets_its_results_and_the_end(
    server: RunningServer,
    room: Sequence,
    posed_frames: Frames,
    coarse: ingest_pb2.FusionSettings,
) -> None:
    opening = ingest_pb2.OpenSession(
        sensor=ingest_pb2.SENSOR_RGBD,
        calibration=room.calibration.to_message(),
        policy=ingest_pb2.POLICY_LOSSLESS,
        pose_source=ingest_pb2.POSE_SOURCE_GIVEN,
        fusion=coarse,
    )
    messages = [ingest_pb2.ClientMessage(open=opening)]
    messages += [ingest_pb2.ClientMessage(frame=frame) for frame in posed_frames[:5]]
    async with grpc.aio.insecure_channel(server.grpc_address) as channel, asyncio.timeout(60):
        call = ingest_pb2_grpc.IngestStub(channel).Stream(iter(messages))
        answers = [answer async for answer in call]
    kinds = [answer.WhichOneof("message") for answer in answers]
    assert kinds == ["opened"] + ["result"] * 5


async def test_deleting_a_session_tells_its_sender_and_its_subscribers(
    server: RunningServer, http: httpx.AsyncClient, client: AsyncClient, session: AsyncSession
) -> None:
    async def follow(deltas) -> None:
        async for _ in deltas:
            pass

    following = [
        asyncio.create_task(follow(deltas))
        for deltas in (
            client.follow(session.id),
            follow_websocket(server.http_url, session.id),
        )
    ]
    async with asyncio.timeout(30):
        while (await client.session(session.id)).subscribers < 2:
            await asyncio.sleep(0.02)
        assert (await http.delete(f"/v1/sessions/{session.id}")).status_code == 204
        for ended in await asyncio.gather(*following, return_exceptions=True):
            assert isinstance(ended, SessionError)
            assert ended.code == "not_found"
        with pytest.raises(SessionError, match="deleted"):
            await session.finish()


async def test_a_worker_that_hangs_is_ended(
    client: AsyncClient, session: AsyncSession, posed_frames: Frames
) -> None:
    await session.send(posed_frames[0])
    async for _ in session.results():
        break
    newest = max(workers())
    os.kill(newest, signal.SIGSTOP)
    await session.send(posed_frames[1])
    async with asyncio.timeout(20 * STALL_S):
        with pytest.raises(SessionError, match="answered nothing"):
            await session.finish()
    assert not psutil.pid_exists(newest)
    assert (await client.session(session.id)).state == "failed"


async def test_a_view_larger_than_a_message_is_refused_and_the_session_goes_on(
    client: AsyncClient, session: AsyncSession, posed_frames: Frames
) -> None:
    camera = ingest_pb2.Camera(width_px=8192, height_px=8192, fx_px=4000, fy_px=4000)
    truth = posed_frames[0].world_from_camera
    import numpy as np

    pose = np.eye(4)
    pose[:3, 3] = truth.tx, truth.ty, truth.tz
    with pytest.raises(InputError, match="8192x8192"):
        await client.raycast(session.id, camera, pose)
    await session.send(posed_frames[0])
    assert (await session.finish()).fused == 1


async def test_many_exports_at_once_are_all_answered(
    client: AsyncClient, session: AsyncSession, posed_frames: Frames
) -> None:
    for frame in posed_frames[:5]:
        await session.send(frame)
    exports = [client.export(session.id, "ply") for _ in range(8)]
    for frame in posed_frames[5:]:
        await session.send(frame)
    assert all(data.startswith(b"ply") for data in await asyncio.gather(*exports))
    assert (await session.finish()).fused == len(posed_frames)


async def test_a_refused_session_costs_no_worker(client: AsyncClient, room: Sequence) -> None:
    with pytest.raises(SessionError) as refusal:
        await client.open(
            room.calibration.to_message(),
            pose_source="given",
            fusion=ingest_pb2.FusionSettings(voxel_size_m=7),
        )
    assert refusal.value.code == "invalid_argument"


async def test_workers_end_with_their_server() -> None:
    script = (
        "import asyncio, os, signal\n"
        "from stream.config import ServerConfig\n"
        "from stream.server import serve\n"
        "async def main():\n"
        "    async with serve(ServerConfig(http_port=0, grpc_port=0)):\n"
        "        print('up', flush=True)\n"
        "        await asyncio.Event().wait()\n"
        "asyncio.run(main())\n"
    )
    server = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", script), stdout=subprocess.PIPE
    )
    assert server.stdout is not None
    async with asyncio.timeout(60):
        try:
            await server.stdout.readline()
            while not (left := workers(server.pid)):
                await asyncio.sleep(0.02)
        finally:
            server.kill()
            await server.wait()
        while any(psutil.pid_exists(pid) for pid in left):
            await asyncio.sleep(0.05)
