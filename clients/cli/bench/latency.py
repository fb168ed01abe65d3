"""Paced at camera rate through a real server: latency, CPU, and what a stalled reader costs."""

import asyncio
import time
from bisect import bisect_left
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

from clients.cli.bench.figure import Figure
from clients.cli.bench.posed import back_and_forth
from clients.cli.bench.readers import reading
from clients.cli.bench.served import Served, served
from clients.cli.bench.stalled import StalledReader
from mapcast_client import AsyncSession, FollowOptions, connect
from mapcast_client.delta import MeshDelta
from mapcast_client.errors import MapcastError
from mapcast_client.v1 import ingest_pb2
from mapcast_client.websocket import follow_websocket
from replay.opening import open_rgbd_sequence
from replay.sequence import RgbdSequence

LATENCY_FRAMES = 300
STARTING_FRAMES = 30
"""Before a steady state: a surface is meshed from its third observation on."""
ARRIVAL_TIMEOUT_S = 5.0
LOAD_FRAMES = 300
STALL_FRAMES = 60
STALL_S = 60.0
READERS = 100
MESSAGES_PER_S = 5.0
STALLED_READERS = 10


def run(data: Path) -> list[Figure]:
    """Measure on the first frames of `data`, live policy, tracked poses."""
    sequence = open_rgbd_sequence(data)
    with served() as server:
        latency = asyncio.run(_latency(sequence, server))
    with served() as server:
        load = asyncio.run(_load(sequence, server))
    with served() as server:
        stall = asyncio.run(_stall(sequence, server))
    return [*latency, *load, *stall]


@dataclass(slots=True)
class Paced:
    """What became of frames that were sent at the camera's rate."""

    sent_s: dict[int, float] = field(default_factory=dict)
    """When each frame was sent, by its index."""
    fused: list[int] = field(default_factory=list)
    """Indices of those that are in the map."""
    dropped: int = 0


@dataclass(slots=True)
class Arrivals:
    """When a subscriber first had the whole map of each frame, in the order they came."""

    newest: list[int] = field(default_factory=list)
    """The newest frame that the map contained, ascending."""
    at_s: list[float] = field(default_factory=list)
    _news: asyncio.Condition = field(default_factory=asyncio.Condition)

    async def add(self, frame_index: int, now_s: float) -> None:
        """Note a complete message."""
        if not self.newest or frame_index > self.newest[-1]:
            async with self._news:
                self.newest.append(frame_index)
                self.at_s.append(now_s)
                self._news.notify_all()

    async def reach(self, frame_index: int, timeout_s: float) -> None:
        """Wait for the map that contains a frame. Raises MapcastError when it does not come."""

        def has_come() -> bool:
            return bool(self.newest) and self.newest[-1] >= frame_index

        try:
            async with asyncio.timeout(timeout_s), self._news:
                await self._news.wait_for(has_come)
        except TimeoutError:
            raise MapcastError(
                f"frame {frame_index} was fused, but {timeout_s:g} s after the end the subscriber "
                f"has the map only to frame {self.newest[-1] if self.newest else None}"
            ) from None

    def latencies_ms(self, frames: list[int], paced: Paced) -> list[float]:
        """From sending each of some frames to the first map that contains it, ascending."""
        return sorted(
            1e3 * (self.at_s[bisect_left(self.newest, index)] - paced.sent_s[index])
            for index in frames
        )


async def _latency(sequence: RgbdSequence, server: Served) -> list[Figure]:
    """Frame sent → all its mesh rows at a WebSocket subscriber, 1 cm."""
    arrivals, rate_hz = Arrivals(), sequence.calibration.frame_rate_hz
    async with _opened(sequence, server, voxel_size_m=0.01) as session, asyncio.TaskGroup() as two:
        watching = two.create_task(_watch(server, session.id, arrivals))
        paced = await pace(session, islice(sequence.frames(), LATENCY_FRAMES), rate_hz)
        await session.finish()
        if not paced.fused:
            raise MapcastError(f"none of {LATENCY_FRAMES} frames was fused: no latency to measure")
        await arrivals.reach(max(paced.fused), ARRIVAL_TIMEOUT_S)
        watching.cancel()
    everything = arrivals.latencies_ms(paced.fused, paced)
    steady = arrivals.latencies_ms([i for i in paced.fused if i >= STARTING_FRAMES], paced)
    p95 = _quantile(steady, 0.95)
    return [
        Figure("latency: frame sent to its mesh rows, p50", _quantile(steady, 0.5), "ms"),
        Figure(
            "latency: frame sent to its mesh rows, p95",
            p95,
            "ms",
            target=150.0,
            holds=p95 <= 150,
        ),
        Figure("latency: p95 with the first second", _quantile(everything, 0.95), "ms"),
        Figure("latency: dropped of frames sent", paced.dropped / LATENCY_FRAMES, "share"),
    ]


def _quantile(ascending: list[float], share: float) -> float:
    return ascending[int(share * len(ascending))]


async def _watch(server: Served, session: str, arrivals: Arrivals) -> None:
    options = FollowOptions(layers=["mesh"])
    async for delta in follow_websocket(server.http_url, session, options):
        head = delta.head
        if isinstance(delta, MeshDelta) and head.is_complete and head.frame_index is not None:
            await arrivals.add(head.frame_index, time.perf_counter())


async def _load(sequence: RgbdSequence, server: Served) -> list[Figure]:
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


async def _under_load(sequence: RgbdSequence, server: Served, readers: int) -> tuple[float, int]:
    rate_hz = sequence.calibration.frame_rate_hz
    async with _opened(sequence, server, voxel_size_m=0.02) as session:
        with reading(server.http_url, session.id, readers, MESSAGES_PER_S) as totals:
            before_s, start_s = server.cpu_s(), time.perf_counter()
            paced = await pace(session, islice(sequence.frames(), LOAD_FRAMES), rate_hz)
            cores = (server.cpu_s() - before_s) / (time.perf_counter() - start_s)
            await session.finish()
    if totals["messages"] == 0:
        raise MapcastError(f"none of {readers} readers got a message")
    return cores, paced.dropped


async def _stall(sequence: RgbdSequence, server: Served) -> list[Figure]:
    """Memory per reader that reads nothing for a minute, and whether it catches up."""
    frames, rate_hz = back_and_forth(sequence, STALL_FRAMES), sequence.calibration.frame_rate_hz
    async with _opened(sequence, server, 0.02, "given") as session:
        # Past the first rounds, with a reader that keeps up, the map and the heap of the encoder no
        # longer grow by themselves.
        with reading(server.http_url, session.id, 1, MESSAGES_PER_S):
            await pace(session, islice(frames, 5 * STALL_FRAMES), rate_hz)
        before = server.process.memory_info().rss
        stalled = [StalledReader(server.http_url, session.id) for _ in range(STALLED_READERS)]
        await pace(session, islice(frames, int(STALL_S * rate_hz)), rate_hz)
        cost_mb = (server.process.memory_info().rss - before) / STALLED_READERS / 1e6
        finished = await session.finish()
        caught_up = await asyncio.to_thread(stalled[0].catches_up, finished.map_hash)
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


@asynccontextmanager
async def _opened(
    sequence: RgbdSequence, server: Served, voxel_size_m: float, poses: str = "tracked"
) -> AsyncIterator[AsyncSession]:
    fusion = ingest_pb2.FusionSettings(voxel_size_m=voxel_size_m)
    calibration = sequence.calibration.to_message()
    async with connect(server.grpc_address) as client:
        yield await client.open(calibration, "bench latency", "live", poses, fusion)


async def pace(session: AsyncSession, frames: Iterator[ingest_pb2.Frame], rate_hz: float) -> Paced:
    """Send at a camera's rate and take the results. Raises as `AsyncSession.send` does."""
    paced = Paced()
    start_s = time.perf_counter()
    for count, frame in enumerate(frames, 1):
        await asyncio.sleep(start_s + count / rate_hz - time.perf_counter())
        paced.sent_s[frame.index] = time.perf_counter()
        await session.send(frame)
    results = session.results()
    for _ in paced.sent_s:
        result = await anext(results)
        paced.dropped += result.status == ingest_pb2.FrameResult.STATUS_DROPPED
        if result.status == ingest_pb2.FrameResult.STATUS_FUSED:
            paced.fused.append(result.index)
    return paced
