"""Corrections in the web viewer: the path bends, words say so, and earlier servers still do."""

import io
from collections.abc import AsyncIterator

import numpy as np
import pytest
import pytest_asyncio
from browsing import chromium, pages_config
from PIL import Image
from playwright.async_api import Page, WebSocketRoute, expect

from mapcast_client import connect
from mapcast_client.v1 import ingest_pb2
from replay.sequence import Sequence
from stream.server import RunningServer, serve
from stream.session import Session

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="module")]

TIMEOUT_MS = 60_000
PATH_RGB = (0x5C, 0xC8, 0xFF)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def viewer_server() -> AsyncIterator[RunningServer]:
    """A server that also serves the viewer."""
    async with serve(pages_config()) as running:
        yield running


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def walk(
    viewer_server: RunningServer, room: Sequence, posed_frames: list[ingest_pb2.Frame]
) -> Session:
    """A finished session with a map, whose frames hang on some of them."""
    fusion = ingest_pb2.FusionSettings(voxel_size_m=0.04)
    async with connect(viewer_server.grpc_address) as client:
        calibration = room.calibration.to_message()
        sent = await client.open(calibration, "walk", "lossless", "given", fusion=fusion)
        for frame in posed_frames:
            await sent.send(frame)
        await sent.finish()
    return viewer_server.registry.get(sent.id)


@pytest_asyncio.fixture(loop_scope="module")
async def page() -> AsyncIterator[Page]:
    """A page on which no script may fail."""
    async with chromium() as browser:
        opened = await browser.new_page(viewport={"width": 960, "height": 640})
        opened.set_default_timeout(TIMEOUT_MS)
        failures: list[str] = []
        opened.on("pageerror", lambda error: failures.append(str(error)))
        yield opened
        assert failures == []


@pytest.mark.parametrize("motion", ["no-preference", "reduce"])
async def test_a_correction_bends_the_path_and_is_told(
    viewer_server: RunningServer, walk: Session, page: Page, motion: str
) -> None:
    await page.emulate_media(reduced_motion=motion)
    await _open(page, viewer_server, walk)
    await page.keyboard.press("m")
    before = await _path_height_px(page)
    word = page.locator("#chip-correction")
    await expect(word).to_be_hidden()

    keyframes = list(walk.hub.keyframes)
    for i, row in enumerate(keyframes):
        x, y, z, *turn = row.world_from_keyframe
        walk.hub.put_keyframe(row.capture_ns, (x, y, z + 0.1 * i, *turn), row.scale)
    walk.changed.fire()

    moved = len(keyframes) - 1  # the first stays
    assert 1 < moved < 10
    await expect(word).to_have_text(f"map corrected: {moved} keyframes, up to {10 * moved} cm")
    await expect(word).to_be_visible()
    after = await _path_height_px(page)
    assert after > before + 20


async def test_a_server_without_keyframes_is_followed_all_the_same(
    viewer_server: RunningServer, walk: Session, page: Page
) -> None:
    asked: list[str] = []

    async def refuse_keyframes(socket: WebSocketRoute) -> None:
        asked.append(socket.url)
        if "keyframes" in socket.url:
            known = "must be one of mesh, trajectory, status"
            await socket.close(code=4400, reason=f"layer is 'keyframes', {known}")
        else:
            socket.connect_to_server()

    await page.route_web_socket("**/subscribe?**", refuse_keyframes)
    await _open(page, viewer_server, walk)
    assert await page.evaluate("window.mapcast.hash()") == str(walk.hub.map_hash)
    assert len(asked) == 2


async def _open(page: Page, server: RunningServer, session: Session) -> None:
    await page.goto(f"{server.http_url}/?session={session.id}")
    poses = len(session.hub.poses)
    await page.wait_for_function(
        f"window.mapcast?.exact() && window.mapcast.poses() === {poses} && window.mapcast.settled()"
    )


async def _path_height_px(page: Page) -> int:
    """How many lines of the picture the camera's way crosses, once nothing moves any more."""
    await page.wait_for_function("window.mapcast.settled()")
    data = await page.locator("#scene").screenshot()
    picture = np.asarray(Image.open(io.BytesIO(data)).convert("RGB")).astype(np.int16)
    is_path = (np.abs(picture - PATH_RGB) < 48).all(axis=2)[280:-80]
    return int(is_path.any(axis=1).sum())
