"""Sessions are recorded as they run: what was recorded survives, and replays to the same map."""

import asyncio
import itertools
import os
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractContextManager, asynccontextmanager, suppress
from pathlib import Path

import httpx
import pytest

from clients.cli.bench.served import served
from mapcast_client import AsyncClient, AsyncSession, connect
from mapcast_client.errors import MapcastError
from mapcast_client.poses import pose_message
from mapcast_client.v1 import ingest_pb2
from mapcast_client.v1.ingest_pb2 import FrameResult
from replay.mcap import McapSequence
from replay.opening import open_sequence
from replay.recording import CONTROL, CORRECTIONS, FRAME, FUSED, OPEN, RESULT
from replay.recording_reader import RecordingReader
from replay.sequence import Sequence
from slam.fused_view import decode_view
from slam.images import decode_frame
from stream.config import ServerConfig
from stream.server import serve

Frames = list[ingest_pb2.Frame]
FINISH = ingest_pb2.Control(action=ingest_pb2.Control.ACTION_FINISH)


@asynccontextmanager
async def recording_server(recordings: Path | None) -> AsyncIterator[AsyncClient]:
    config = ServerConfig(http_port=0, grpc_port=0, keep_warm_worker=False, recordings=recordings)
    async with serve(config) as running, connect(running.grpc_address) as client:
        yield client


async def stream(
    client: AsyncClient,
    sequence: Sequence,
    frames: Frames,
    policy: str = "lossless",
    **opening: object,
) -> tuple[str, ingest_pb2.Finished, list[FrameResult]]:
    """Send frames through a session of their own: its id, its end and its results."""
    assert sequence.calibration is not None
    fusion = ingest_pb2.FusionSettings(voxel_size_m=0.04)
    options = {"pose_source": "given", "fusion": fusion, **opening}
    session = await client.open(sequence.calibration.to_message(), "walk", policy, **options)
    for frame in frames:
        await session.send(frame)
    finished = await session.finish()
    return session.id, finished, [result async for result in session.results()]


async def test_a_recorded_session_replays_to_the_same_map(
    tmp_path: Path, room: Sequence, posed_frames: Frames, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with recording_server(tmp_path) as client:
        session, finished, results = await stream(client, room, posed_frames)
    assert all(result.recorded_through >= result.capture_ns for result in results)
    with RecordingReader(tmp_path / session) as recording:
        recorded = list(recording.messages())
        assert recording.opening is not None
        assert recording.opening.session == session
    kinds = [item.topic for item in recorded]
    assert (kinds[0], kinds.count(FRAME), kinds.count(RESULT)) == (OPEN, 24, 24)
    assert CORRECTIONS in kinds
    assert [item.message for item in recorded if item.topic == CONTROL] == [FINISH]

    sequence = open_sequence(tmp_path / session)
    assert isinstance(sequence, McapSequence)
    assert len(sequence) == 24
    replayed = list(sequence.frames())
    assert replayed[0].depth.encoding == ingest_pb2.IMAGE_ENCODING_DEPTH_U16_ZSTD
    hashes = set()
    for threads in ("1", "2"):
        monkeypatch.setenv("NUMBA_NUM_THREADS", threads)
        async with recording_server(None) as client:
            _, again, results = await stream(client, sequence, replayed)
            hashes.add(again.map_hash)
            assert {result.recorded_through for result in results} == {0}
    assert hashes == {finished.map_hash}


async def test_estimated_depth_is_recorded_as_it_was_fused(tmp_path: Path) -> None:
    walk = open_sequence("rendered:frames=60")
    assert walk.ground_truth is not None
    frames = [next(walk.frames(1, start)) for start in range(0, 60, 6)]
    for frame in frames:
        pose = walk.ground_truth.world_from_camera[frame.index]
        frame.world_from_camera.CopyFrom(pose_message(pose))
    async with recording_server(tmp_path) as client:
        session, finished, _ = await stream(client, walk, frames, sensor="mono")
    with RecordingReader(tmp_path / session) as recording:
        views = [item.message for item in recording.messages([FUSED])]
    assert len(views) == finished.fused > 0
    for view in views:
        assert isinstance(view, ingest_pb2.FusedView)
        assert decode_view(view).depth is not None


async def test_a_deleted_session_leaves_nothing(
    tmp_path: Path, room: Sequence, posed_frames: Frames
) -> None:
    config = ServerConfig(http_port=0, grpc_port=0, keep_warm_worker=False, recordings=tmp_path)
    async with serve(config) as running, connect(running.grpc_address) as client:
        session, _, _ = await stream(client, room, posed_frames[:2])
        assert (tmp_path / session).exists()
        async with httpx.AsyncClient(base_url=running.http_url, trust_env=False) as http:
            (await http.delete(f"/v1/sessions/{session}")).raise_for_status()
    assert os.listdir(tmp_path) == []


async def _send_for_ever(session: AsyncSession, frames: Frames) -> None:
    for number, frame in enumerate(itertools.cycle(frames), 1):
        frame.index, frame.capture_ns = number, number * 1_000_000
        await session.send(frame)
        await asyncio.sleep(0.01)  # a fast camera


async def test_what_was_told_to_be_recorded_is_there_when_the_server_is_killed(
    tmp_path: Path, room: Sequence, posed_frames: Frames
) -> None:
    assert room.calibration is not None
    frames = [ingest_pb2.Frame.FromString(frame.SerializeToString()) for frame in posed_frames]
    taken, through = set(), 0
    with served(tmp_path) as server:
        async with connect(server.grpc_address) as client, asyncio.timeout(60):
            session = await client.open(room.calibration.to_message(), "walk", "live", "given")
            sending = asyncio.create_task(_send_for_ever(session, frames))
            with suppress(MapcastError):
                async for result in session.results():
                    through = result.recorded_through
                    if result.status != FrameResult.STATUS_DROPPED:
                        taken.add(result.capture_ns)
                    if len(taken) == 20:
                        server.process.kill()
            sending.cancel()
            await asyncio.gather(sending, return_exceptions=True)
    assert len(taken) >= 20
    with RecordingReader(tmp_path / session.id) as recording:
        kept = recording.capture_ns.tolist()
        assert kept[-1] >= through >= max(taken)
        assert taken <= set(kept)
        for capture_ns in kept:
            frame = recording.frame(capture_ns)
            assert frame is not None
            decode_frame(frame, room.calibration)


async def test_a_full_disk_costs_the_recording_and_says_so(
    tmp_path: Path,
    room: Sequence,
    posed_frames: Frames,
    files_end_at: Callable[[int], AbstractContextManager[None]],
) -> None:
    recordings = tmp_path / "recordings"
    with files_end_at(2_000_000):
        async with recording_server(recordings) as client:
            session, finished, results = await stream(client, room, posed_frames)
            info = await client.session(session)
    assert finished.fused == len(posed_frames)
    assert info.state == "finished"
    assert "recording ended" in info.reason
    assert "File too large" in info.reason
    assert results[-1].recorded_through < results[-1].capture_ns
    with RecordingReader(recordings / session) as recording:
        assert recording.capture_ns.tolist()[-1] == results[-1].recorded_through
