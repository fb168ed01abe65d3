"""Chromium publishes to a server: what receiving costs, how old frames are, how long they stall."""

import asyncio
import time
from collections.abc import Sequence
from contextlib import AsyncExitStack
from typing import Any

import httpx
import numpy as np

from clients.cli.bench.figure import Figure
from clients.cli.bench.numbered_camera import filming
from clients.cli.bench.packet_loss import losing_packets
from clients.cli.bench.served import Served
from clients.cli.bench.tap import Tap, delays_ms
from mapcast_client.errors import MapcastError
from mapcast_client.v1 import ingest_pb2
from stream.server import RunningServer

WARM_UP_S = 4.0
"""Until a browser's encoder has found its bit rate."""
MEASURED_S = 20.0
MAX_CORES = {1: 0.2, 4: 0.5}
LOSSES = (0.0, 0.01, 0.05)
MAX_STALL_S = 0.5
MAX_DECODED_MS, MAX_POSED_MS = 60.0, 120.0
FIRST_POSE_S = 60.0
FEWEST = 100
"""Pictures from which on a quantile means something."""

MONOCULAR = ingest_pb2.OpenSession(
    name="bench live", sensor=ingest_pb2.SENSOR_MONO, policy=ingest_pb2.POLICY_LIVE
)


async def load(server: Served, browser: Any, pictures: Sequence[bytes], count: int) -> list[Figure]:
    """The server process's CPU with so many publishers; their sessions are paused."""
    async with AsyncExitStack() as stack:
        http = await stack.enter_async_context(
            httpx.AsyncClient(base_url=server.http_url, trust_env=False, timeout=60)
        )
        paths = []
        for _ in range(count):
            session = (await http.post("/v1/sessions", json={})).raise_for_status().json()
            await stack.enter_async_context(
                filming(browser, server.http_url, session["session"], pictures)
            )
            paths.append(f"/v1/sessions/{session['session']}")
            await http.post(f"{paths[-1]}/pause")
        await asyncio.sleep(WARM_UP_S)
        cpu_s, frames, start_s = server.cpu_s(), await _frames(http, paths), time.perf_counter()
        await asyncio.sleep(MEASURED_S)
        cpu_s, frames = server.cpu_s() - cpu_s, await _frames(http, paths) - frames
        elapsed_s = time.perf_counter() - start_s
        for path in paths:
            await http.delete(path)
    limit = MAX_CORES[count]
    cores, rate_hz = cpu_s / elapsed_s, frames / elapsed_s / count
    who = f"{count} publisher{'s' * (count > 1)}"
    return [
        Figure(f"live: server CPU, {who}", cores, "cores", target=limit, holds=cores <= limit),
        Figure(f"live: frames received of each, {who}", rate_hz, "1/s"),
    ]


async def _frames(http: httpx.AsyncClient, paths: list[str]) -> int:
    return sum([int((await http.get(path)).json()["frames"]) for path in paths])


async def stalls(server: RunningServer, browser: Any, pictures: Sequence[bytes]) -> list[Figure]:
    """Shutter to decoded frame, and the longest stall, at some losses; sessions are paused."""
    figures = []
    for loss in LOSSES:
        session = await server.registry.open(MONOCULAR)
        tap = Tap(session)
        with losing_packets(loss):
            async with filming(browser, server.http_url, session.id, pictures) as camera:
                session.pause()
                await asyncio.sleep(WARM_UP_S)
                tap.clear()
                await asyncio.sleep(MEASURED_S)
                shutters_ms = await camera.shutters_ms()
        await server.registry.remove(session.id, "it was measured")
        at = f"{100 * loss:g} % of packets lost"
        p95 = _quantile(delays_ms(tap.decoded_ms, shutters_ms), 0.95)
        figures.append(Figure(f"live: shutter to decoded frame, {at}, p95", p95, "ms"))
        if loss:
            measured_ms = shutters_ms[min(tap.decoded_ms) :]
            figures += _stall(at, list(tap.decoded_ms.values()), measured_ms)
    return figures


def _stall(at: str, decoded_ms: list[float], shutters_ms: list[float]) -> list[Figure]:
    stall_s, pause_s = _longest_gap_s(decoded_ms), _longest_gap_s(shutters_ms)
    return [
        Figure(
            f"live: longest stall between decoded frames, {at}",
            stall_s,
            "s",
            target=MAX_STALL_S,
            holds=stall_s <= MAX_STALL_S,
        ),
        Figure(f"live: longest pause of the camera itself, {at}", pause_s, "s"),
    ]


def _longest_gap_s(instants_ms: list[float]) -> float:
    return float(np.diff(sorted(instants_ms)).max()) / 1e3


async def poses(server: RunningServer, browser: Any, pictures: Sequence[bytes]) -> list[Figure]:
    """Shutter to decoded frame and to pose, while the session maps."""
    session = await server.registry.open(MONOCULAR)
    tap = Tap(session)
    async with filming(browser, server.http_url, session.id, pictures) as camera:
        await _until_tracked(tap)
        await asyncio.sleep(WARM_UP_S)
        before = session.status()
        tap.clear()
        await asyncio.sleep(MEASURED_S)
        after = session.status()
        shutters_ms = await camera.shutters_ms()
    await server.registry.remove(session.id, "it was measured")
    figures = []
    for what, instants_ms, limit in (
        ("decoded frame, while mapping", tap.decoded_ms, MAX_DECODED_MS),
        ("pose known", tap.posed_ms, MAX_POSED_MS),
    ):
        delays = delays_ms(instants_ms, shutters_ms)
        p50, p95 = _quantile(delays, 0.5), _quantile(delays, 0.95)
        figures += [
            Figure(f"live: shutter to {what}, p50", p50, "ms"),
            Figure(f"live: shutter to {what}, p95", p95, "ms", target=limit, holds=p95 <= limit),
        ]
    dropped = (after.dropped - before.dropped) / max(1, after.frames - before.frames)
    return [*figures, Figure("live: frames dropped while mapping", dropped, "share")]


async def _until_tracked(tap: Tap) -> None:
    """Wait for the first pose. Raises MapcastError when none comes."""
    try:
        async with asyncio.timeout(FIRST_POSE_S):
            await tap.tracked.wait()
    except TimeoutError:
        raise MapcastError(f"the tracker found no pose within {FIRST_POSE_S:g} s") from None


def _quantile(ascending: list[float], share: float) -> float:
    if len(ascending) < FEWEST:
        raise MapcastError(f"only {len(ascending)} pictures came through, too few to measure")
    return ascending[int(share * len(ascending))]
