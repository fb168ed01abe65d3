"""A loop closed in a live session of a real server, while a camera goes on and somebody watches."""

import asyncio
import math
import statistics
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

import httpx
from websockets.asyncio.client import connect as connect_websocket
from websockets.exceptions import ConnectionClosed

from clients.cli.bench.drifting_worker import CLOSES_AT_FRAME
from clients.cli.bench.figure import Figure
from clients.cli.bench.served import Served, served
from mapcast_client import AsyncSession, connect
from mapcast_client.delta import decode
from mapcast_client.map import Map
from mapcast_client.v1 import ingest_pb2
from mapcast_client.v1.ingest_pb2 import FrameResult
from replay.laps import SecondLap
from replay.rendered import RenderedSequence

FINE_M = 0.01
LIVE_HZ = 15.0
EVERY = 2
"""Frames of the 30 Hz walk, of which one is sent."""
FOLLOWING_S = 20.0
GIVE_UP_S = 120.0
CAP_BYTES_PER_S = 1_000_000.0
MOVED_VIEWS = 1000
"""Moves. The farthest off go first: these are of the views that were off by 2 to 10 cm."""
BEGUN_VIEWS = 100
"""Pending views from which on the correction is at work."""
LEFT_VIEWS = 10
"""Fewer than that wait when it is over: ORB-SLAM3 moves its latest keyframes all the time."""


@dataclass(slots=True)
class _Watched:
    """What a subscriber got: when, and the message."""

    messages: list[tuple[float, bytes]] = field(default_factory=list)
    came: asyncio.Event = field(default_factory=asyncio.Event)

    def busiest_bytes_per_s(self, since_s: float, until_s: float) -> float:
        """The most that came in any five seconds of a span."""
        span_s, sizes = 5.0, [(at, len(data)) for at, data in self.messages]
        starts = [at for at, _ in sizes if since_s <= at <= until_s]
        totals = [sum(s for at, s in sizes if first <= at < first + span_s) for first in starts]
        return max(totals, default=0) / span_s

    async def becomes(self, map_hash: int) -> bool:
        """Whether it comes to have the map of that hash, in time."""
        map_, applied = Map(layers=("mesh",)), 0
        with suppress(TimeoutError):
            async with asyncio.timeout(GIVE_UP_S):
                while map_.map_hash != map_hash:
                    await self.came.wait()
                    self.came.clear()
                    for _, data in self.messages[applied:]:
                        map_.apply(decode(data))
                        applied += 1
        return map_.map_hash == map_hash


@dataclass(frozen=True, slots=True)
class _Live:
    """Frames sent while the map followed."""

    sent: int
    results: list[FrameResult]
    elapsed_s: float
    moved_s: float
    """Since the first frame, until so many moves were told, which they are once a second; infinity:
    the frames ended before."""
    followed_s: float
    """Until none waited any more, likewise."""
    moved: float

    @property
    def rate_hz(self) -> float:
        """How fast they went."""
        return self.sent / self.elapsed_s


async def measure(lap: RenderedSequence) -> list[Figure]:
    """Feed the walk to where its loop closes, then at the pace of a camera."""
    again = CLOSES_AT_FRAME - len(lap) + round(EVERY * LIVE_HZ * GIVE_UP_S)
    walk = SecondLap(lap, again)
    with (
        tempfile.TemporaryDirectory() as recordings,
        served(Path(recordings), "clients.cli.bench.drifting_server") as server,
    ):
        async with connect(server.grpc_address) as client:
            # Alignment would not let the made-up drift gather.
            fusion = ingest_pb2.FusionSettings(voxel_size_m=FINE_M, no_alignment=True)
            session = await client.open(
                walk.calibration.to_message(), "bench correct", "lossless", "tracked", fusion
            )
            async with _watching(server, session) as watched:
                await _feed(session, walk.frames(CLOSES_AT_FRAME))
                start_s = time.monotonic()
                live = await _go_on(server, session, walk)
                end_s = time.monotonic()
                finished = await session.finish()
                is_exact = await watched.becomes(finished.map_hash)
    busiest = watched.busiest_bytes_per_s(start_s, end_s)
    return _figures(live, busiest, is_exact)


def _figures(live: _Live, busiest: float, is_exact: bool) -> list[Figure]:
    fused = sum(result.status == FrameResult.STATUS_FUSED for result in live.results)
    latencies_ms = sorted(result.latency_ms for result in live.results)
    return [
        Figure("correct: views moved, live", live.moved, "views"),
        _at_most(
            f"correct: until {MOVED_VIEWS} moves, the farthest off first, live",
            live.moved_s,
            "s",
            FOLLOWING_S,
        ),
        Figure("correct: until no view waits to be moved, live", live.followed_s, "s"),
        _at_least("correct: live frames taken meanwhile", live.rate_hz, "1/s", 0.97 * LIVE_HZ),
        _at_least("correct: of them fused", fused / live.sent, "share", 1.0),
        Figure("correct: their latency, median", statistics.median(latencies_ms), "ms"),
        Figure("correct: their latency, 95 %", latencies_ms[int(0.95 * len(latencies_ms))], "ms"),
        _at_most("correct: a subscriber's bytes, of its cap", busiest / CAP_BYTES_PER_S, "×", 1.1),
        _at_most("correct: subscribers that do not end exact", float(not is_exact), "of 1", 0.0),
    ]


@asynccontextmanager
async def _watching(server: Served, session: AsyncSession) -> AsyncIterator[_Watched]:
    """A subscriber with a cap on its bandwidth."""
    watched = _Watched()
    url = server.http_url.replace("http", "ws", 1)
    query = f"layers=mesh&max_bytes_per_s={CAP_BYTES_PER_S:.0f}"

    async def read() -> None:
        address = f"{url}/v1/sessions/{session.id}/subscribe?{query}"
        async with connect_websocket(address, compression=None, max_size=None) as socket:
            with suppress(ConnectionClosed):
                async for message in socket:
                    assert isinstance(message, bytes)
                    watched.messages.append((time.monotonic(), message))
                    watched.came.set()

    reading = asyncio.create_task(read())
    try:
        yield watched
    finally:
        reading.cancel()


async def _feed(session: AsyncSession, frames: Iterator[ingest_pb2.Frame]) -> None:
    """Send frames as fast as they are taken, and wait for their results."""
    results = session.results()
    for frame in frames:
        await session.send(frame)
        while session.unanswered > 2:
            await anext(results)
    while session.unanswered:
        await anext(results)


async def _go_on(server: Served, session: AsyncSession, walk: SecondLap) -> _Live:
    """Send live frames until the map has followed the closure that the first one brings."""
    results: list[FrameResult] = []
    sending = asyncio.Event()
    sending.set()
    receiving = asyncio.create_task(_receive(session, results, sending))
    following = asyncio.create_task(_followed(server))
    frames = walk.frames(start=CLOSES_AT_FRAME)
    start_s, sent = time.monotonic(), 0
    while not following.done():
        taken = await asyncio.to_thread(lambda: list(islice(frames, EVERY)))
        if not taken:
            break
        await asyncio.sleep(start_s + sent / LIVE_HZ - time.monotonic())
        await session.send(taken[0])
        sent += 1
    elapsed_s = time.monotonic() - start_s
    moved, moved_at_s, followed_at_s = await following
    sending.clear()
    await receiving
    return _Live(sent, results, elapsed_s, moved_at_s - start_s, followed_at_s - start_s, moved)


async def _receive(
    session: AsyncSession, results: list[FrameResult], sending: asyncio.Event
) -> None:
    """Until nothing more is sent and all is answered."""
    async for result in session.results():
        results.append(result)
        if not sending.is_set() and not session.unanswered:
            return


async def _followed(server: Served) -> tuple[float, float, float]:
    """Views moved, when `MOVED_VIEWS` were, and when hardly one waited any more, say the metrics.

    Infinity if that takes too long.
    """
    has_begun, before, moved, moved_at_s = False, -1.0, 0.0, math.inf
    with suppress(TimeoutError):
        async with httpx.AsyncClient(trust_env=False) as http, asyncio.timeout(GIVE_UP_S):
            while True:
                text = (await http.get(f"{server.http_url}/metrics")).text
                values = dict(line.rsplit(" ", 1) for line in text.splitlines() if line[0] != "#")
                pending = float(values["mapcast_views_pending"])
                moved = float(values["mapcast_views_moved_total"])
                before = moved if before < 0 else before
                has_begun |= pending > BEGUN_VIEWS
                if moved - before >= MOVED_VIEWS:
                    moved_at_s = min(moved_at_s, time.monotonic())
                if has_begun and pending < LEFT_VIEWS:
                    return moved - before, moved_at_s, time.monotonic()
                await asyncio.sleep(0.25)
    return moved - before, moved_at_s, math.inf


def _at_most(name: str, value: float, unit: str, target: float) -> Figure:
    return Figure(name, value, unit, target=target, holds=value <= target)


def _at_least(name: str, value: float, unit: str, target: float) -> Figure:
    return Figure(name, value, unit, target=target, holds=value >= target)
