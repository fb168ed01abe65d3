"""From a frame to the map that contains it on a viewer's screen, in another Chromium."""

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from statistics import median
from typing import Any

from clients.cli.bench.figure import Figure
from clients.cli.bench.numbered_camera import filming
from clients.cli.bench.publishing import MONOCULAR
from clients.cli.bench.tap import Tap, delays_ms
from mapcast_client import connect
from mapcast_client.v1 import ingest_pb2
from replay.sequence import RgbdSequence
from stream.server import RunningServer

MONOCULAR_S = 30.0
SENT_FRAMES, STARTING_FRAMES = 450, 60
SENT_VOXEL_M = 0.02
FIRST_TRIANGLES = 2000
MAX_MONOCULAR_MS, MAX_SENT_MS = 500.0, 250.0
TIMEOUT_MS = 90_000
SIZE = {"width": 320, "height": 240}
"""A CPU draws it, of which the page has a part only."""


async def monocular(
    server: RunningServer, browser: Any, watching: Any, pictures: Sequence[bytes]
) -> list[Figure]:
    """Published by Chromium, with motion stereo: the map grows by keyframes."""
    session = await server.registry.open(MONOCULAR)
    tap = Tap(session)
    async with (
        filming(browser, server.http_url, session.id, pictures) as camera,
        _viewer(watching, server, session.id) as page,
    ):
        await page.wait_for_function(
            f"window.mapcast?.triangles() > {FIRST_TRIANGLES}", timeout=TIMEOUT_MS
        )
        await page.evaluate("window.mapcast.resetStats()")
        tap.clear()
        await asyncio.sleep(MONOCULAR_S)
        shown = (await page.evaluate("window.mapcast.stats()"))["latencyMs"]
        shutters_ms = await camera.shutters_ms()
    await server.registry.remove(session.id, "it was measured")
    late_ms = median(delays_ms(tap.captured_ms, shutters_ms))
    return [
        *_shown("monocular", shown, late_ms, MAX_MONOCULAR_MS),
        Figure("live: capture time as the stream tells it, after the shutter", late_ms, "ms"),
    ]


async def sent(server: RunningServer, watching: Any, sequence: RgbdSequence) -> list[Figure]:
    """RGB-D over gRPC at the camera's rate."""
    fusion = ingest_pb2.FusionSettings(voxel_size_m=SENT_VOXEL_M)
    calibration = sequence.calibration.to_message()
    async with connect(server.grpc_address, token=server.api_token) as client:
        session = await client.open(calibration, "bench live", "live", fusion=fusion)
        async with _viewer(watching, server, session.id) as page:
            start_s = time.perf_counter()
            for count, frame in enumerate(sequence.frames(SENT_FRAMES)):
                due_s = start_s + count / sequence.calibration.frame_rate_hz
                await asyncio.sleep(due_s - time.perf_counter())
                if count == STARTING_FRAMES:
                    await page.evaluate("window.mapcast.resetStats()")
                frame.capture_ns = time.time_ns()
                await session.send(frame)
            await session.finish()
            shown = (await page.evaluate("window.mapcast.stats()"))["latencyMs"]
    return _shown("RGB-D, 2 cm", shown, 0.0, MAX_SENT_MS)


@asynccontextmanager
async def _viewer(watching: Any, server: RunningServer, session: str) -> AsyncIterator[Any]:
    page = await watching.new_page(viewport=SIZE)
    await page.goto(f"{server.http_url}/?session={session}#token={server.api_token}")
    await page.wait_for_function("window.mapcast?.connected()", timeout=TIMEOUT_MS)
    try:
        yield page
    finally:
        await page.close()


def _shown(what: str, latency_ms: dict[str, float], late_ms: float, limit: float) -> list[Figure]:
    p50, p95 = latency_ms["p50"] + late_ms, latency_ms["p95"] + late_ms
    name = f"live: frame to the map on the screen, {what}"
    return [
        Figure(f"{name}, pictures", latency_ms["samples"], ""),
        Figure(f"{name}, p50", p50, "ms"),
        Figure(f"{name}, p95", p95, "ms", target=limit, holds=p95 <= limit),
    ]
