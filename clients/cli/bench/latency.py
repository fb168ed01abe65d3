"""Paced at camera rate through a real server: latency, CPU, and what a stalled reader costs."""

import asyncio
import socket
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from itertools import chain, cycle, islice
from pathlib import Path
from urllib.parse import urlsplit

from websockets.sync.client import ClientConnection
from websockets.sync.client import connect as connect_websocket

from clients.cli.bench.figure import Figure
from clients.cli.bench.readers import reading
from clients.cli.bench.served import Served, served
from mapcast_client import AsyncClient, AsyncSession, FollowOptions, Map, connect
from mapcast_client.delta import MeshDelta, decode
from mapcast_client.poses import pose_message
from mapcast_client.v1 import ingest_pb2
from mapcast_client.websocket import follow_websocket
from replay.sequence import Sequence, open_sequence

LATENCY_FRAMES = 300
LOAD_FRAMES = 300
STALL_FRAMES = 60
STALL_S = 60.0
READERS = 100
MESSAGES_PER_S = 5.0
STALLED_READERS = 10


def run(data: Path) -> list[Figure]:
    """Measure on the first frames of `data`, live policy, tracked poses."""
    sequence = open_sequence(data)
    with served() as server:
        latency = asyncio.run(_latency(sequence, server))
    with served() as server:
        load = asyncio.run(_load(sequence, server))
    with served() as server:
        stall = asyncio.run(_stall(sequence, server))
    return [*latency, *load, *stall]


async def _latency(sequence: Sequence, server: Served) -> list[Figure]:
    """Frame sent → all its mesh rows at a WebSocket subscriber, 1 cm."""
    async with _opened(sequence, server, voxel_size_m=0.01) as (_, session):
        sent_s: dict[int, float] = {}
        arrived_s: dict[int, float] = {}
        watching = asyncio.create_task(_watch(server, session.id, arrived_s))
        dropped = await _pace(session, islice(sequence.frames(), LATENCY_FRAMES), sequence, sent_s)
        await session.finish()
        watching.cancel()
    latencies_ms = sorted(_latencies_ms(sent_s, arrived_s))
    p50 = latencies_ms[len(latencies_ms) // 2]
    p95 = latencies_ms[int(0.95 * len(latencies_ms))]
    return [
        Figure("latency: frame sent to mesh rows at a subscriber, p50", p50, "ms"),
        Figure(
            "latency: frame sent to mesh rows at a subscriber, p95",
            p95,
            "ms",
            target=150.0,
            holds=p95 <= 150,
        ),
        Figure("latency: dropped of frames sent", dropped / LATENCY_FRAMES, "share"),
    ]


def _latencies_ms(sent_s: dict[int, float], arrived_s: dict[int, float]) -> Iterator[float]:
    """A frame has arrived with the first complete message whose map contains it."""
    arrivals = sorted(arrived_s.items())
    for index, instant_s in sent_s.items():
        containing = [at_s for newest, at_s in arrivals if newest >= index]
        if containing:
            yield 1e3 * (min(containing) - instant_s)


async def _watch(server: Served, session: str, arrived_s: dict[int, float]) -> None:
    options = FollowOptions(layers=["mesh"])
    async for delta in follow_websocket(server.http_url, session, options):
        if isinstance(delta, MeshDelta) and delta.head.is_complete:
            assert delta.head.frame_index is not None
            arrived_s.setdefault(delta.head.frame_index, time.perf_counter())


async def _load(sequence: Sequence, server: Served) -> list[Figure]:
    """The server process's CPU and the frames dropped, with one subscriber and with many."""
    one_cpu, one_dropped = await _under_load(sequence, server, 1)
    cpu, dropped = await _under_load(sequence, server, READERS)
    return [
        Figure("latency: server CPU with 1 subscriber, 2 cm", one_cpu, "cores"),
        Figure(
            f"latency: server CPU with {READERS} subscribers at {MESSAGES_PER_S:g}/s, 2 cm",
            cpu,
            "cores",
            target=0.5,
            holds=cpu <= 0.5,
        ),
        Figure(
            f"latency: frames dropped with {READERS} subscribers",
            dropped,
            "frames",
            "1 subscriber",
            one_dropped,
            holds=dropped <= one_dropped,
        ),
    ]


async def _under_load(sequence: Sequence, server: Served, readers: int) -> tuple[float, int]:
    async with _opened(sequence, server, voxel_size_m=0.02) as (_, session):
        with reading(server.http_url, session.id, readers, MESSAGES_PER_S) as totals:
            before_s, start_s = server.cpu_s(), time.perf_counter()
            frames = islice(sequence.frames(), LOAD_FRAMES)
            dropped = await _pace(session, frames, sequence, {})
            cores = (server.cpu_s() - before_s) / (time.perf_counter() - start_s)
            await session.finish()
    assert totals["messages"] > 0, "the readers read nothing"
    return cores, dropped


async def _stall(sequence: Sequence, server: Served) -> list[Figure]:
    """Memory per reader that reads nothing for a minute, and whether it catches up."""
    assert sequence.ground_truth is not None
    frames = list(sequence.frames(STALL_FRAMES))
    for frame, pose in zip(frames, sequence.ground_truth.world_from_camera, strict=False):
        frame.world_from_camera.CopyFrom(pose_message(pose))
    async with _opened(sequence, server, 0.02, "given") as (_, session):
        # Past the first rounds the map and the heap no longer grow by themselves.
        endless = _renumbered(chain.from_iterable(cycle([frames, frames[::-1]])))
        await _pace(session, islice(endless, 5 * STALL_FRAMES), sequence, {})
        before = server.process.memory_info().rss
        stalled = [_stalled_reader(server, session.id) for _ in range(STALLED_READERS)]
        count = int(STALL_S * sequence.calibration.frame_rate_hz)
        await _pace(session, islice(endless, count), sequence, {})
        cost_mb = (server.process.memory_info().rss - before) / STALLED_READERS / 1e6
        finished = await session.finish()
        caught_up = await asyncio.to_thread(_catches_up, stalled[0], finished.map_hash)
        for reader in stalled:
            reader.close()
    return [
        Figure(
            f"latency: server memory per reader stalled for {STALL_S:.0f} s",
            cost_mb,
            "MB",
            target=1.0,
            holds=cost_mb <= 1.0,
        ),
        Figure(
            "latency: a stalled reader ends with the server's hash",
            float(caught_up),
            "",
            target=1.0,
            holds=caught_up,
        ),
    ]


def _renumbered(frames: Iterator[ingest_pb2.Frame]) -> Iterator[ingest_pb2.Frame]:
    for index, frame in enumerate(frames):
        copy = ingest_pb2.Frame()
        copy.CopyFrom(frame)
        copy.index, copy.capture_ns = index, index * 33_333_333
        yield copy


def _stalled_reader(server: Served, session: str) -> ClientConnection:
    """A subscriber that takes what fits its buffers and then reads nothing."""
    host = urlsplit(server.http_url)
    plain = socket.socket()
    plain.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 16)
    plain.connect((host.hostname, host.port))
    address = f"ws://{host.netloc}/v1/sessions/{session}/subscribe?layers=mesh"
    return connect_websocket(address, sock=plain, compression=None, max_size=None, max_queue=1)


def _catches_up(reader: ClientConnection, map_hash: int) -> bool:
    map_ = Map(["mesh"])
    give_up_s = time.monotonic() + 30
    while map_.map_hash != map_hash and time.monotonic() < give_up_s:
        map_.apply(decode(reader.recv(timeout=30, decode=False)))
    return map_.map_hash == map_hash


@asynccontextmanager
async def _opened(
    sequence: Sequence, server: Served, voxel_size_m: float, poses: str = "tracked"
) -> AsyncIterator[tuple[AsyncClient, AsyncSession]]:
    fusion = ingest_pb2.FusionSettings(voxel_size_m=voxel_size_m)
    calibration = sequence.calibration.to_message()
    async with connect(server.grpc_address) as client:
        session = await client.open(calibration, "bench latency", "live", poses, fusion)
        yield client, session


async def _pace(
    session: AsyncSession,
    frames: Iterator[ingest_pb2.Frame],
    sequence: Sequence,
    sent_s: dict[int, float],
) -> int:
    """Send at the camera's rate, noting when; returns how many frames the server dropped."""
    period_s = 1 / sequence.calibration.frame_rate_hz
    start_s = time.perf_counter()
    count = 0
    for count, frame in enumerate(frames, 1):
        await asyncio.sleep(start_s + count * period_s - time.perf_counter())
        sent_s[frame.index] = time.perf_counter()
        await session.send(frame)
    dropped = 0
    results = session.results()
    for _ in range(count):
        result = await anext(results)
        dropped += result.status == ingest_pb2.FrameResult.STATUS_DROPPED
    return dropped
