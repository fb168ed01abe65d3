"""kill −9 of the server: the next one brings its sessions back, and their senders go on."""

import asyncio
from collections.abc import Iterator

import pytest

from clients.cli.bench.mortal_server import MortalServer
from mapcast_client import AsyncClient, Map, connect
from mapcast_client.v1 import ingest_pb2
from replay.sequence import Sequence

pytestmark = pytest.mark.asyncio(loop_scope="module")

Frames = list[ingest_pb2.Frame]
TIMEOUT_S = 90.0


@pytest.fixture
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MortalServer]:
    process = MortalServer(tmp_path_factory.mktemp("served"))
    process.start()
    yield process
    process.stop()


async def followed(client: AsyncClient, session: str, map_hash: int, frames: int) -> Map:
    """A subscriber's map, once it is the final one."""
    map_ = Map()
    async with asyncio.timeout(TIMEOUT_S):
        async for delta in client.follow(session):
            map_.apply(delta)
            if map_.is_exact and map_.map_hash == map_hash and len(map_.trajectory) == frames:
                break
    return map_


async def test_sessions_come_back_and_go_on(
    served: MortalServer,
    room: Sequence,
    posed_frames: Frames,
    coarse: ingest_pb2.FusionSettings,
) -> None:
    calibration = room.calibration.to_message()
    half = len(posed_frames) // 2
    recorded_through = 0
    async with connect(served.address) as client:
        calm = await client.open(calibration, "calm", "lossless", "given", fusion=coarse)
        for frame in posed_frames:
            await calm.send(frame)
        expected = await calm.finish()
        session = await client.open(calibration, "robot", "lossless", "given", fusion=coarse)
        for frame in posed_frames[:half]:
            await session.send(frame)
        async for result in session.results():
            recorded_through = max(recorded_through, result.recorded_through)
            if result.index == half - 2:
                break
        await asyncio.to_thread(served.kill)
    await asyncio.to_thread(served.start)

    async with connect(served.address) as client:
        before = {info.session: info for info in await client.sessions()}
        assert {info.name for info in before.values()} == {"calm", "robot"}
        assert before[session.id].epoch > session.epoch
        again = await client.open(session=session.id, policy="lossless")
        for frame in posed_frames:
            if frame.capture_ns > recorded_through:
                await again.send(frame)
        finished = await again.finish()
        assert finished.map_hash == expected.map_hash
        assert finished.fused == len(posed_frames)
        map_ = await followed(client, session.id, expected.map_hash, len(posed_frames))
        assert map_.epoch == finished.epoch
        await followed(client, calm.id, expected.map_hash, len(posed_frames))
        assert (await client.session(calm.id)).frames == len(posed_frames)
