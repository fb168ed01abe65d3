"""kill −9 of workers: no recorded frame is lost, and everyone's map becomes the same again."""

import asyncio
import random
from collections.abc import AsyncIterator
from itertools import pairwise
from pathlib import Path

import psutil
import pytest
import pytest_asyncio
from processes import workers

from fusion.map_versions import MapVersions
from mapcast_client import AsyncClient, AsyncSession, Map, connect
from mapcast_client.v1 import ingest_pb2
from mapcast_client.v1.ingest_pb2 import FrameResult
from replay.opening import open_sequence
from replay.sequence import Sequence
from stream.config import ServerConfig
from stream.server import RunningServer, serve

pytestmark = pytest.mark.asyncio(loop_scope="module")

Frames = list[ingest_pb2.Frame]
TIMEOUT_S = 90.0


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def recording(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[RunningServer]:
    """A server that records; its only workers are those of its sessions."""
    folder = tmp_path_factory.mktemp("recordings")
    config = ServerConfig(http_port=0, grpc_port=0, recordings=folder, keep_warm_worker=False)
    async with serve(config) as running:
        yield running


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def recorded(recording: RunningServer) -> AsyncIterator[AsyncClient]:
    """A client of it."""
    async with connect(recording.grpc_address) as connected:
        yield connected


def kill_all(pids: set[int]) -> None:
    for pid in pids:
        psutil.Process(pid).kill()


async def take_results(session: AsyncSession) -> list[FrameResult]:
    return [result async for result in session.results()]


async def follow(
    client: AsyncClient, session: str, map_: Map, final_hash: asyncio.Future[int]
) -> None:
    """Keep a map up to date until it is the final one."""
    async for delta in client.follow(session):
        map_.apply(delta)
        if final_hash.done() and map_.is_exact and map_.map_hash == final_hash.result():
            return


async def undisturbed_hash(
    client: AsyncClient, room: Sequence, frames: Frames, coarse: ingest_pb2.FusionSettings
) -> int:
    """What the map of a session is that nobody disturbs."""
    calibration = room.calibration.to_message()
    session = await client.open(calibration, "calm", "lossless", "given", fusion=coarse)
    for frame in frames:
        await session.send(frame)
    return (await session.finish()).map_hash


async def checkpointed(folder: Path) -> None:
    """Wait until a session's folder has a checkpoint."""
    async with asyncio.timeout(TIMEOUT_S):
        while MapVersions(folder / "checkpoints").newest_folder is None:
            await asyncio.sleep(0.05)


def break_checkpoint(folder: Path) -> None:
    for file in folder.glob("checkpoints/0*/blocks.zst"):
        file.write_bytes(file.read_bytes()[:100])


async def test_given_poses_end_in_the_very_map_that_nobody_disturbed(
    recorded: AsyncClient,
    room: Sequence,
    posed_frames: Frames,
    coarse: ingest_pb2.FusionSettings,
) -> None:
    expected = await undisturbed_hash(recorded, room, posed_frames, coarse)
    others = workers()
    calibration = room.calibration.to_message()
    session = await recorded.open(calibration, "robot", "lossless", "given", fusion=coarse)
    map_, final_hash = Map(), asyncio.get_running_loop().create_future()
    kills = sorted(random.Random(1).sample(range(2, len(posed_frames)), 2))
    async with asyncio.timeout(TIMEOUT_S), asyncio.TaskGroup() as tasks:
        results = tasks.create_task(take_results(session))
        tasks.create_task(follow(recorded, session.id, map_, final_hash))
        for frame in posed_frames:
            if kills and frame.index == kills[0]:
                kill_all(workers() - others)
                kills.pop(0)
            await session.send(frame)
        finished = await session.finish()
        final_hash.set_result(finished.map_hash)
    assert [result.status for result in results.result()] == [FrameResult.STATUS_FUSED] * len(
        posed_frames
    )
    assert (finished.fused, finished.dropped) == (len(posed_frames), 0)
    assert finished.map_hash == expected == map_.map_hash
    assert finished.epoch == session.epoch
    assert len(map_.trajectory) == len(posed_frames)


async def test_a_tracked_session_goes_on_where_it_was(
    recorded: AsyncClient, recording: RunningServer, coarse: ingest_pb2.FusionSettings
) -> None:
    walk = open_sequence("rendered:frames=90")
    frames = list(walk.frames())
    others = workers()
    session = await recorded.open(
        walk.calibration.to_message(), "phone", "lossless", "tracked", fusion=coarse
    )
    assert recording.registry.config.recordings is not None
    folder = recording.registry.config.recordings / session.id
    map_, final_hash = Map(), asyncio.get_running_loop().create_future()
    async with asyncio.timeout(TIMEOUT_S), asyncio.TaskGroup() as tasks:
        results = tasks.create_task(take_results(session))
        tasks.create_task(follow(recorded, session.id, map_, final_hash))
        for frame in frames:
            if frame.index == 60:
                await checkpointed(folder)
            if frame.index == 70:  # some frames after the checkpoint
                kill_all(workers() - others)
            await session.send(frame)
        finished = await session.finish()
        final_hash.set_result(finished.map_hash)
    answered = results.result()
    assert [result.index for result in answered] == [frame.index for frame in frames]
    with_pose = [result.status == FrameResult.STATUS_FUSED for result in answered[71:]]
    assert sum(with_pose) >= len(with_pose) - 2
    assert finished.map_hash == map_.map_hash
    x_m = [
        result.world_from_camera.tx for result in answered if result.HasField("odom_from_camera")
    ]
    assert max(abs(after - before) for before, after in pairwise(x_m)) < 0.05


async def test_a_broken_checkpoint_gives_way_to_the_recording(
    recorded: AsyncClient,
    recording: RunningServer,
    room: Sequence,
    posed_frames: Frames,
    coarse: ingest_pb2.FusionSettings,
) -> None:
    others = workers()
    calibration = room.calibration.to_message()
    session = await recorded.open(calibration, "unlucky", "lossless", "given", fusion=coarse)
    assert recording.registry.config.recordings is not None
    folder = recording.registry.config.recordings / session.id
    for frame in posed_frames[:-3]:
        await session.send(frame)
    await checkpointed(folder)
    break_checkpoint(folder)
    kill_all(workers() - others)
    for frame in posed_frames[-3:]:
        await session.send(frame)
    finished = await session.finish()
    assert (finished.fused, finished.dropped) == (len(posed_frames), 0)
    assert finished.map_hash == (await undisturbed_hash(recorded, room, posed_frames, coarse))
