"""The web viewer with a large map, in a browser without a GPU: what it costs the main thread.

What the page measures of itself, less the time inside the GPU driver's calls.
"""

import asyncio
import time
from pathlib import Path
from typing import Any

from clients.cli.bench.building import Building
from clients.cli.bench.chromium import chromium
from clients.cli.bench.figure import Figure
from clients.cli.connection import web_bundle
from mapcast_client.errors import DependencyError
from mapcast_client.v1 import ingest_pb2
from stream.config import ServerConfig, user_cache
from stream.server import serve
from stream.session import Session

TRIANGLES = 2_000_000
VOXEL_M = 0.01
CAMERA = ingest_pb2.Camera(
    width_px=640, height_px=480, fx_px=525, fy_px=525, cx_px=319.5, cy_px=239.5
)
UPDATES = 60
UPDATE_BLOCKS = 300
UPDATE_PERIOD_S = 0.1
"""A tenth of a second of a camera at 1 cm changes about so many blocks."""
FRAMES = 24
SIZE = {"width": 960, "height": 640}
TIMEOUT_MS = 300_000
MAX_DRAW_CALLS = 200.0
MAX_MAIN_THREAD_MS = 8.0
COUNT_DRIVER = """
  window.mapcastDriverMs = 0;
  const prototype = WebGL2RenderingContext.prototype;
  for (const [name, { value }] of Object.entries(Object.getOwnPropertyDescriptors(prototype))) {
    if (typeof value !== "function") continue;
    prototype[name] = function (...given) {
      const startMs = performance.now();
      try {
        return value.apply(this, given);
      } finally {
        window.mapcastDriverMs += performance.now() - startMs;
      }
    };
  }
"""
"""Counts the time in the GPU driver's calls, which here is a CPU's that draws; the page's figures
leave it out then."""


def run(data: Path) -> list[Figure]:
    """Measure on a made-up building of 2 million triangles, whatever `data` is."""
    return asyncio.run(measure(TRIANGLES))


async def measure(triangles: int) -> list[Figure]:
    """Have a browser follow a session with so many triangles, loading, changing and flying.

    Raises DependencyError without the viewer's bundle, Playwright or Chromium.
    """
    bundle = web_bundle()
    if bundle is None:
        raise DependencyError("the viewer is not built: python tools/build_web.py")
    config = ServerConfig(http_port=0, grpc_port=0, cache=user_cache(), web_dir=bundle)
    async with serve(config) as server, chromium() as browser:
        session = await server.registry.open(_request())
        building = Building(triangles)
        _publish(session, building.rows())
        page = await browser.new_page(viewport=SIZE)
        await page.add_init_script(COUNT_DRIVER)
        start_s = time.monotonic()
        await page.goto(f"{server.http_url}/?session={session.id}#token={server.api_token}")
        await _wait(page, "window.mapcast?.exact() && window.mapcast.settled()")
        loaded_s = time.monotonic() - start_s
        loading = await _stats(page)
        await _change(session, building)
        await _wait(page, f"window.mapcast.hash() === '{session.hub.map_hash}'")
        changing = await _stats(page)
        flying = await _fly(page)
    return [
        Figure("viewer: triangles", changing["triangles"], "triangles"),
        Figure("viewer: all of them in the picture after", loaded_s, "s"),
        _bounded("viewer: draw calls, all in sight", changing["drawCalls"], "", MAX_DRAW_CALLS),
        *_times("loading, per update", loading["messageMs"]),
        *_times("changing, per update", changing["messageMs"]),
        *_times("flying, per frame", flying["frameMs"]),
        Figure("viewer: triangles drawn while flying", flying["drawnTriangles"], "triangles"),
    ]


def _request() -> ingest_pb2.OpenSession:
    return ingest_pb2.OpenSession(
        name="building",
        sensor=ingest_pb2.SENSOR_RGBD,
        calibration=ingest_pb2.Calibration(camera=CAMERA, depth_scale_m=0.001),
        pose_source=ingest_pb2.POSE_SOURCE_GIVEN,
        fusion=ingest_pb2.FusionSettings(voxel_size_m=VOXEL_M),
    )


def _publish(session: Session, rows: list[Any]) -> None:
    """Publish rows as if the session's worker had meshed them."""
    session.hub.publish(rows)
    session.changed.fire()


async def _change(session: Session, building: Building) -> None:
    for _ in range(UPDATES):
        _publish(session, building.changes(UPDATE_BLOCKS))
        await asyncio.sleep(UPDATE_PERIOD_S)


async def _fly(page: Any) -> dict[str, Any]:
    """Statistics of frames drawn while the page flies forward."""
    await page.keyboard.down("w")
    await _wait(page, f"window.mapcast.stats().frameMs.samples >= {FRAMES}")
    await page.keyboard.up("w")
    return await _stats(page)


async def _stats(page: Any) -> dict[str, Any]:
    """The page's statistics since the last call."""
    stats: dict[str, Any] = await page.evaluate("window.mapcast.stats()")
    await page.evaluate("window.mapcast.resetStats()")
    return stats


async def _wait(page: Any, condition: str) -> None:
    await page.wait_for_function(condition, timeout=TIMEOUT_MS)


def _times(what: str, quantiles: dict[str, float]) -> list[Figure]:
    return [
        Figure(f"viewer: main thread, {what}, p50", quantiles["p50"], "ms"),
        _bounded(f"viewer: main thread, {what}, p95", quantiles["p95"], "ms", MAX_MAIN_THREAD_MS),
    ]


def _bounded(figure: str, value: float, unit: str, limit: float) -> Figure:
    return Figure(figure, value, unit, target=limit, holds=value <= limit)
