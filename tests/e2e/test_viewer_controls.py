"""What a person does with the web viewer: looking around, shading, layers, pictures, tokens."""

import io
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from urllib.parse import urlsplit

import numpy as np
import pytest
import pytest_asyncio
from browsing import chromium, pages_config
from numpy.typing import NDArray
from PIL import Image
from playwright.async_api import Browser, Locator, Page, WebSocketRoute, expect

from mapcast_client import MeshDelta, connect
from mapcast_client.delta import decode, encode_mesh
from mapcast_client.v1 import ingest_pb2
from replay.sequence import Sequence
from stream.server import RunningServer, serve

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="module")]

TIMEOUT_MS = 60_000
SERVER_TOKEN = "a-server-token"
PHONE = {"width": 360, "height": 740}
BACKGROUND_RGB = (0x11, 0x15, 0x1A)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def closed_server() -> AsyncIterator[RunningServer]:
    """A server that asks for tokens, and serves the viewer."""
    config = pages_config(access="closed", api_token=SERVER_TOKEN)
    async with serve(config) as running:
        yield running


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def watched(
    closed_server: RunningServer, room: Sequence, posed_frames: list[ingest_pb2.Frame]
) -> str:
    """A finished session's link, with its watch token; its frames are captured now."""
    fusion = ingest_pb2.FusionSettings(voxel_size_m=0.03)
    async with connect(closed_server.grpc_address, token=SERVER_TOKEN) as client:
        calibration = room.calibration.to_message()
        session = await client.open(calibration, "walk", "lossless", "given", fusion=fusion)
        for frame in posed_frames:
            await session.send(frame)
        await session.finish()
    token = closed_server.registry.access.tokens(session.id).watch
    return f"{closed_server.http_url}/?session={session.id}#token={token}"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def browser() -> AsyncIterator[Browser]:
    """A Chromium that draws without a GPU."""
    async with chromium() as launched:
        yield launched


@pytest_asyncio.fixture(loop_scope="module")
async def page(browser: Browser) -> AsyncIterator[Page]:
    """A page on which no script may fail."""
    opened = await browser.new_page(viewport={"width": 960, "height": 640})
    opened.set_default_timeout(TIMEOUT_MS)
    failures: list[str] = []
    opened.on("pageerror", lambda error: failures.append(str(error)))
    yield opened
    await opened.close()
    assert failures == []


async def test_it_asks_for_a_token_and_keeps_it_out_of_what_is_sent(
    closed_server: RunningServer, watched: str, page: Page
) -> None:
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    await page.goto(closed_server.http_url)
    await page.get_by_text("asks for a token").wait_for()

    await page.get_by_label("Link or token").fill(f"{closed_server.http_url}/#token={SERVER_TOKEN}")
    await page.get_by_role("button", name="Open").click()
    await page.wait_for_function("window.mapcast?.exact()")
    assert not any("token" in urlsplit(url).query for url in asked)


async def test_a_token_of_nobody_is_told_so(watched: str, page: Page) -> None:
    await page.goto(watched.partition("#")[0] + "#token=of-nobody")
    await page.get_by_text("does not open this map").wait_for()
    assert await page.get_by_label("Link or token").is_visible()


async def test_a_watch_link_opens_its_session_alone(watched: str, page: Page) -> None:
    await _open(page, watched)
    assert await page.locator("#session-name").inner_text() == "walk"
    assert await page.locator("#sessions").is_hidden()


async def test_keys_change_what_is_drawn(watched: str, page: Page) -> None:
    await _open(page, watched)
    colors = await _picture(page)
    await page.keyboard.press("v")
    normals = await _picture(page)
    await page.keyboard.press("v")
    heights = await _picture(page)
    await expect(page.locator("#height-legend")).to_be_visible()
    await expect(page.locator("#height-high")).to_contain_text(" m")
    for one, other in ((colors, normals), (normals, heights), (heights, colors)):
        assert _share_that_differs(one, other) > 0.1

    await page.keyboard.press("m")
    assert _share_of_map(await _picture(page)) < _share_of_map(colors) / 2


async def test_flying_moves_and_orbiting_goes_on_from_there(watched: str, page: Page) -> None:
    await _open(page, watched)
    before = await _picture(page)
    await page.keyboard.down("w")
    await expect(_button(page, "Fly")).to_have_attribute("aria-pressed", "true")
    await page.wait_for_function("window.mapcast.stats().frameMs.samples > 8")
    await page.keyboard.up("w")
    assert _share_that_differs(before, await _picture(page)) > 0.1

    await page.keyboard.press("1")
    await expect(_button(page, "Orbit")).to_have_attribute("aria-pressed", "true")
    await expect(_button(page, "Fit")).to_have_attribute("aria-pressed", "false")
    await page.keyboard.press("0")
    await expect(_button(page, "Fit")).to_have_attribute("aria-pressed", "true")


async def test_the_cameras_picture_is_in_the_corner(
    watched: str, room: Sequence, page: Page
) -> None:
    await _open(page, watched)
    await page.keyboard.press("p")
    camera = room.calibration.camera
    await page.wait_for_function(
        "width => document.querySelector('#picture canvas').width === width", arg=camera.width_px
    )
    shown = await _screenshot(page.locator("#picture canvas"))
    assert shown.std(axis=(0, 1)).min() > 20
    await expect(page.locator("#picture figcaption")).to_be_hidden()


async def test_the_map_can_be_downloaded(watched: str, page: Page) -> None:
    await _open(page, watched)
    await _button(page, "Download").click()
    await expect(page.locator("#download-note")).to_contain_text("In metres")
    async with page.expect_download() as downloading:
        await page.get_by_role("link", name="PLY").click()
    path = await (await downloading.value).path()
    assert path.read_bytes().startswith(b"ply\n")


async def test_help_opens_with_a_question_mark(watched: str, page: Page) -> None:
    await _open(page, watched)
    await page.keyboard.press("?")
    await expect(page.get_by_role("dialog", name="Keys and gestures")).to_be_visible()


async def test_nothing_leaves_a_narrow_screen(watched: str, browser: Browser) -> None:
    phone = await browser.new_page(viewport=PHONE)
    await _open(phone, watched)
    await _button(phone, "View").click()
    await phone.locator("[data-shading=height]").click()
    await phone.locator("#button-picture").click()
    outside = await phone.evaluate(
        """() => [...document.querySelectorAll("body *")].filter((part) => {
            const box = part.getBoundingClientRect();
            return box.width > 0 && (box.left < 0 || box.right > innerWidth);
        }).map((part) => part.outerHTML.slice(0, 80))"""
    )
    await phone.close()
    assert outside == []


async def test_a_map_without_scale_says_so(watched: str, page: Page) -> None:
    def unscaled(message: str | bytes) -> str | bytes:
        delta = decode(message) if isinstance(message, bytes) else None
        if not isinstance(delta, MeshDelta):
            return message
        head = replace(delta.head, units="unscaled")
        return encode_mesh(list(delta.rows.split()), delta.revisions, head)

    await page.route_web_socket("**/subscribe?**", lambda socket: _change(socket, unscaled))
    await _open(page, watched)
    await expect(page.get_by_text("scale unknown")).to_be_visible()
    await page.locator("[data-shading=height]").click()
    await expect(page.locator("#height-low")).to_contain_text("units")


async def test_latency_is_measured_from_capture_to_screen(
    closed_server: RunningServer,
    room: Sequence,
    posed_frames: list[ingest_pb2.Frame],
    page: Page,
) -> None:
    async with connect(closed_server.grpc_address, token=SERVER_TOKEN) as client:
        session = await client.open(room.calibration.to_message(), "now", "lossless", "given")
        link = f"{closed_server.http_url}/?session={session.id}#token={SERVER_TOKEN}"
        await page.goto(link)
        await page.wait_for_function("window.mapcast?.connected()")
        for frame in posed_frames:
            now = ingest_pb2.Frame()
            now.CopyFrom(frame)
            now.capture_ns = time.time_ns()
            await session.send(now)
        finished = await session.finish()
    await page.wait_for_function(
        "hash => window.mapcast.hash() === hash", arg=str(finished.map_hash)
    )
    await page.wait_for_function("window.mapcast.stats().latencyMs.samples > 0")
    latency = await page.evaluate("window.mapcast.stats().latencyMs")
    assert 0 < latency["p50"] < TIMEOUT_MS
    await expect(page.locator("#latency")).to_have_attribute(
        "title", "from a frame's capture to this screen"
    )


def _change(socket: WebSocketRoute, spoil: Callable[[str | bytes], str | bytes]) -> None:
    server = socket.connect_to_server()
    server.on_message(lambda message: socket.send(spoil(message)))


async def _open(page: Page, link: str) -> None:
    await page.goto(link)
    await page.wait_for_function("window.mapcast?.exact() && window.mapcast.settled()")


def _button(page: Page, name: str) -> Locator:
    return page.get_by_role("button", name=name, exact=True)


async def _picture(page: Page) -> NDArray[np.int16]:
    """(H, W, 3) of the map, once everything is drawn, without the overlays at its edges."""
    await page.wait_for_function("window.mapcast.settled()")
    return (await _screenshot(page.locator("#scene")))[80:-80, :-240]


async def _screenshot(part: Locator) -> NDArray[np.int16]:
    data = await part.screenshot()
    return np.asarray(Image.open(io.BytesIO(data)).convert("RGB")).astype(np.int16)


def _share_that_differs(one: NDArray[np.int16], other: NDArray[np.int16]) -> float:
    return float((np.abs(one - other) > 24).any(axis=2).mean())


def _share_of_map(picture: NDArray[np.int16]) -> float:
    """Of the picture, what is clearly not its background, nor the faint grid on it."""
    return float((np.abs(picture - BACKGROUND_RGB) > 48).any(axis=2).mean())
