"""Film a correction in the viewer: a walk drifts and bends the map, its closed loop straightens it.

The server, its session, the wire and the viewer are the real ones. The map is made here, by a
tracker that drifts on purpose, and published as a worker would. OUT gets numbered pictures and
film.webp, which shows them.
"""

import argparse
import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

from PIL import Image

from clients.cli.bench.chromium import chromium
from clients.cli.connection import web_bundle
from mapcast_client.errors import DependencyError
from mapcast_client.poses import pose_message
from mapcast_client.v1 import ingest_pb2
from replay.drift import DriftingTracker
from replay.laps import SecondLap
from replay.rendered import RenderedSequence, RenderedSettings
from slam.given import GivenPoseTracker
from slam.tracker import Tracker
from stream.config import ServerConfig, user_cache
from stream.corrections import CorrectionPublisher
from stream.map_builder import MapBuilder
from stream.mesh_publisher import MeshPublisher
from stream.published_poses import publish_pose
from stream.server import serve
from stream.session import Session
from stream.worker_answers import fused_result
from stream.worker_pb2 import FromWorker

LAP_FRAMES = 900
AGAIN_FRAMES = 270
"""Of the second lap: they see again what the first ones saw, and put it elsewhere."""
DRIFT_SHARE = 0.03
SIZE = {"width": 1280, "height": 800}
TIMEOUT_MS = 300_000
TICK_S = 0.25
"""Of moving views, between two pictures."""
BEND_PICTURES = 16
BEND_STEP_MS = 50
"""Between two pictures while the path bends, of the page's clock."""
WALK_PICTURE_EVERY = 10
PICTURE_MS = 120
TILT_PX = 170
"""A drag that turns the view until the walls are seen from above."""

Result = TypeVar("Result")


class MadeSession:
    """A session whose map is made in this process, one call at a time, and published as ever."""

    def __init__(self, session: Session, request: ingest_pb2.OpenSession, tracker: Tracker) -> None:
        self._session = session
        self._builder = MapBuilder(request, Path())
        assert self._builder.calibration is not None
        self._map = self._builder.build(self._builder.calibration, tracker)
        self._said: list[FromWorker] = []
        self._mesh = MeshPublisher(self._said.append, request.fusion.mesh_rate_hz)
        self._corrections = CorrectionPublisher(self._said.append, request.fusion.mesh_rate_hz)
        self._thread = ThreadPoolExecutor(1)

    @property
    def map_hash(self) -> int:
        """Of the map as it was published."""
        return self._session.hub.map_hash

    async def push(self, frame: ingest_pb2.Frame) -> None:
        """Track and fuse a frame, and publish what changed."""
        await self._do(lambda: self._push(frame))

    async def flush(self) -> None:
        """Publish all that changed so far."""
        await self._do(self._flush)

    async def tick(self, budget_s: float) -> bool:
        """Move views to where they belong for a while; whether any moved."""
        return await self._do(lambda: self._map.tick(budget_s))

    async def _do(self, work: Callable[[], Result]) -> Result:
        result = await asyncio.get_running_loop().run_in_executor(self._thread, work)
        self._publish()
        return result

    def _push(self, message: ingest_pb2.Frame) -> None:
        frame = self._builder.decode(message)
        fused = self._map.push(frame)
        self._said.append(FromWorker(result=fused_result(message, fused, self._map.graph)))
        self._corrections.tracked(self._map.graph, 0)
        self._mesh.fused(self._map, 0, frame)

    def _flush(self) -> None:
        self._corrections.flush(self._map.graph, 0)
        self._mesh.changed(self._map, 0)
        self._mesh.flush(self._map, 0)

    def _publish(self) -> None:
        for message in self._said:
            kind = message.WhichOneof("message")
            if kind == "result":
                publish_pose(self._session.hub, message.result)
            elif kind == "corrections":
                self._session.corrected(message.corrections)
            elif kind == "mesh":
                self._session.meshed(message.mesh)
        self._said.clear()
        self._session.changed.fire()


class Film:
    """Numbered pictures of a page."""

    def __init__(self, page: Any, folder: Path) -> None:
        self._page = page
        self._folder = folder
        self._pictures: list[Path] = []

    async def take(self, when: str) -> None:
        """Take a picture of the page as it is now."""
        path = self._folder / f"{len(self._pictures):04}-{when}.png"
        await self._page.screenshot(path=path)
        self._pictures.append(path)

    async def take_settled(self, map_hash: int, when: str) -> None:
        """Take a picture once the page shows the map of this hash."""
        condition = "hash => window.mapcast.hash() === hash && window.mapcast.settled()"
        arguments = {"arg": str(map_hash), "timeout": TIMEOUT_MS}
        await self._page.wait_for_function(condition, **arguments)
        await self.take(when)

    async def look_from_above(self) -> None:
        """Turn the view by dragging it, as a person does."""
        x, y = SIZE["width"] / 2, SIZE["height"] / 3
        mouse = self._page.mouse
        await mouse.move(x, y)
        await mouse.down()
        await mouse.move(x, y + TILT_PX, steps=8)
        await mouse.up()

    async def stop_clock(self) -> None:
        """Have time pass on the page by `run_clock` alone: pictures take longer than a bend."""
        await self._page.clock.pause_at(await self._page.evaluate("Date.now() / 1000 + 1"))

    async def run_clock(self, step_ms: int) -> None:
        """Let time pass on the page."""
        await self._page.clock.run_for(step_ms)

    async def resume_clock(self) -> None:
        """Have time pass as ever."""
        await self._page.clock.resume()

    def save(self) -> None:
        """Put all of them into one animated picture."""
        first, *rest = (Image.open(path).convert("RGB") for path in self._pictures)
        first.save(
            self._folder / "film.webp", save_all=True, append_images=rest, duration=PICTURE_MS
        )


async def film(out: Path, every: int, voxel_m: float) -> None:
    """Film the walk and its correction into the folder `out`.

    Raises DependencyError for what is missing.
    """
    bundle = web_bundle()
    if bundle is None:
        raise DependencyError("the viewer is not built: python tools/build_web.py")
    config = ServerConfig(http_port=0, grpc_port=0, cache=user_cache(), web_dir=bundle)
    walk = SecondLap(RenderedSequence(RenderedSettings(LAP_FRAMES), config.cache), AGAIN_FRAMES)
    request = ingest_pb2.OpenSession(
        name="a walk that drifts",
        sensor=ingest_pb2.SENSOR_RGBD,
        calibration=walk.calibration.to_message(),
        pose_source=ingest_pb2.POSE_SOURCE_GIVEN,
        fusion=ingest_pb2.FusionSettings(voxel_size_m=voxel_m),
    )
    *drifting, closing = range(0, len(walk), every)
    closes_at_ns = int(walk.ground_truth.capture_ns[closing])
    tracker = DriftingTracker(GivenPoseTracker(walk.calibration), closes_at_ns, DRIFT_SHARE)
    async with serve(config) as server, chromium() as browser:
        session = await server.registry.open(request)
        made = MadeSession(session, request, tracker)
        page = await browser.new_page(viewport=SIZE)
        await page.clock.install()
        await page.goto(f"{server.http_url}/?session={session.id}#token={server.api_token}")
        await page.wait_for_function("window.mapcast?.connected()", timeout=TIMEOUT_MS)
        camera = Film(page, out)
        await walk_on(made, camera, walk, drifting)
        await correct(made, camera, posed(walk, closing))
    camera.save()


def posed(walk: SecondLap, row: int) -> ingest_pb2.Frame:
    """A frame with its true pose, from which the tracker drifts."""
    frame = next(walk.frames(1, row))
    frame.world_from_camera.CopyFrom(pose_message(walk.ground_truth.world_from_camera[row]))
    return frame


async def walk_on(made: MadeSession, camera: Film, walk: SecondLap, rows: list[int]) -> None:
    """Film the walk until just before it is corrected, and then the map from above."""
    for count, row in enumerate(rows):
        await made.push(posed(walk, row))
        if count % WALK_PICTURE_EVERY == 0:
            await camera.take("walk")
    await made.flush()
    await camera.look_from_above()
    await camera.take_settled(made.map_hash, "before")


async def correct(made: MadeSession, camera: Film, closing: ingest_pb2.Frame) -> None:
    """Film how the path bends with the frame that closes the loop, and how the map follows."""
    await camera.stop_clock()
    await made.push(closing)
    for _ in range(BEND_PICTURES):
        await camera.run_clock(BEND_STEP_MS)
        await camera.take("bend")
    await camera.resume_clock()
    while await made.tick(TICK_S):
        await made.flush()
        await camera.take_settled(made.map_hash, "follow")
    await made.flush()
    await camera.take_settled(made.map_hash, "after")


def main() -> None:
    """Entry point."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path, help="the folder for the pictures")
    parser.add_argument("--every", type=int, default=3, help="use every so many frames")
    parser.add_argument("--voxel-m", type=float, default=0.02)
    given = parser.parse_args()
    given.out.mkdir(parents=True, exist_ok=True)
    asyncio.run(film(given.out, given.every, given.voxel_m))


if __name__ == "__main__":
    main()
