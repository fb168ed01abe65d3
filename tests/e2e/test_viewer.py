"""The web viewer in headless Chromium: it shows the server's map, exactly, and keeps it so."""

import asyncio
import io
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import numpy as np
import pytest
import pytest_asyncio
from browsing import chromium, pages_config
from PIL import Image
from playwright.async_api import Browser, Page, WebSocketRoute

from mapcast_client import MeshDelta, connect
from mapcast_client.delta import decode, encode_mesh
from mapcast_client.v1 import ingest_pb2
from replay.sequence import Sequence
from stream.server import RunningServer, serve

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="module")]

BACKGROUND_RGB = (0x11, 0x15, 0x1A)
TIMEOUT_MS = 60_000


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def viewer_server() -> AsyncIterator[RunningServer]:
    """A server that also serves the viewer."""
    async with serve(pages_config()) as running:
        yield running


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def browser() -> AsyncIterator[Browser]:
    """A Chromium that draws without a GPU."""
    async with chromium() as launched:
        yield launched


@pytest_asyncio.fixture(loop_scope="module")
async def page(browser: Browser) -> AsyncIterator[Page]:
    """A page on which no script may fail."""
    opened = await browser.new_page(viewport={"width": 960, "height": 640})
    failures: list[str] = []
    opened.on("pageerror", lambda error: failures.append(str(error)))
    yield opened
    await opened.close()
    assert failures == []


async def test_without_a_session_it_says_how_to_start_one(
    viewer_server: RunningServer, page: Page
) -> None:
    await page.goto(viewer_server.http_url)
    await page.get_by_text("No session yet").wait_for(timeout=TIMEOUT_MS)
    assert await page.get_by_text("mapcast replay").is_visible()


async def test_it_follows_a_new_session_to_the_servers_exact_map(
    viewer_server: RunningServer,
    page: Page,
    room: Sequence,
    posed_frames: list[ingest_pb2.Frame],
    tmp_path: Path,
) -> None:
    await page.goto(viewer_server.http_url)
    fusion = ingest_pb2.FusionSettings(voxel_size_m=0.02)
    async with connect(viewer_server.grpc_address) as client:
        calibration = room.calibration.to_message()
        session = await client.open(calibration, "walk", "lossless", "given", fusion=fusion)
        for frame in posed_frames:
            await session.send(frame)
        finished = await session.finish()

    await page.wait_for_function(
        "hash => window.mapcast.exact() && window.mapcast.serverHash() === hash",
        arg=str(finished.map_hash),
        timeout=TIMEOUT_MS,
    )
    assert await page.evaluate("window.mapcast.hash()") == str(finished.map_hash)
    assert await page.evaluate("window.mapcast.triangles()") > 10_000
    await page.wait_for_function(
        f"window.mapcast.poses() === {len(posed_frames)}", timeout=TIMEOUT_MS
    )
    await page.get_by_role("status").get_by_text("Finished").wait_for(timeout=TIMEOUT_MS)
    assert await page.locator("#session-name").inner_text() == "walk"
    assert await page.locator("#hash").inner_text() == "✓ exact"

    picture = await _settled_picture(page, tmp_path / "viewer.png")
    is_map = (np.abs(picture.astype(int) - BACKGROUND_RGB) > 12).any(axis=2)
    assert is_map.mean() > 0.15, "the map must fill a good part of the picture"
    assert picture[is_map].std(axis=0).min() > 10, "and must be in colours"


async def test_it_goes_on_where_a_lost_connection_left_it(
    viewer_server: RunningServer, page: Page
) -> None:
    sockets: list[WebSocketRoute] = []

    def pass_through(socket: WebSocketRoute) -> None:
        sockets.append(socket)
        socket.connect_to_server()

    await page.route_web_socket("**/subscribe?**", pass_through)
    await page.goto(viewer_server.http_url)
    await page.wait_for_function("window.mapcast?.exact()", timeout=TIMEOUT_MS)
    before = await page.evaluate("[window.mapcast.revision(), window.mapcast.hash()]")

    await sockets[0].close(code=1011, reason="a test cuts the line")
    await page.get_by_text("Connection lost").wait_for(timeout=TIMEOUT_MS)
    assert not await page.evaluate("window.mapcast.connected()")
    await page.wait_for_function("window.mapcast.connected()", timeout=TIMEOUT_MS)

    asked = parse_qs(urlsplit(sockets[1].url).query)
    assert int(asked["since"][0]) == int(before[0])
    assert await page.evaluate("[window.mapcast.revision(), window.mapcast.hash()]") == before


def without_its_first_row(message: bytes) -> bytes:
    """A mesh message that lacks a block; any other as it is."""
    delta = decode(message)
    if not isinstance(delta, MeshDelta):
        return message
    return encode_mesh(list(delta.rows.split())[1:], delta.revisions[1:], delta.head)


def cut_short(message: bytes) -> bytes:
    """Half a message."""
    return message[: len(message) // 2]


@pytest.mark.parametrize("spoil", [without_its_first_row, cut_short])
async def test_a_copy_that_went_wrong_is_fetched_again(
    viewer_server: RunningServer, page: Page, spoil: Callable[[bytes], bytes]
) -> None:
    asked: list[str] = []

    def spoil_the_first(socket: WebSocketRoute) -> None:
        asked.append(parse_qs(urlsplit(socket.url).query)["since"][0])
        is_first, server = len(asked) == 1, socket.connect_to_server()

        def forward(message: str | bytes) -> None:
            assert isinstance(message, bytes)
            socket.send(spoil(message) if is_first else message)

        server.on_message(forward)

    await page.route_web_socket("**/subscribe?**", spoil_the_first)
    await page.goto(viewer_server.http_url)
    await page.wait_for_function("window.mapcast?.exact()", timeout=TIMEOUT_MS)
    assert asked == ["0", "0"]


async def test_it_says_so_when_the_session_does_not_exist(
    viewer_server: RunningServer, page: Page
) -> None:
    await page.goto(f"{viewer_server.http_url}/?session=nowhere")
    await page.get_by_text("no longer on the server").wait_for(timeout=TIMEOUT_MS)
    assert not await page.evaluate("window.mapcast.connected()")


async def test_a_viewer_that_stopped_looks_for_no_session(
    viewer_server: RunningServer, page: Page
) -> None:
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    await page.route("**/mirror_worker*", lambda route: route.abort())
    await page.clock.install()
    await page.goto(viewer_server.http_url)
    await page.get_by_text("The viewer stopped").wait_for(timeout=TIMEOUT_MS)
    before = len(asked)
    await page.clock.run_for(10_000)
    await page.evaluate("fetch('healthz')")
    assert asked[-1].endswith("/healthz")
    assert not [url for url in asked[before:] if "/v1/sessions" in url]


async def _settled_picture(page: Page, path: Path) -> np.ndarray:
    """(H, W, 3) of the canvas alone, once everything received is drawn; also kept as a file."""
    async with asyncio.timeout(TIMEOUT_MS / 1000):
        await page.wait_for_function("window.mapcast.settled()", timeout=TIMEOUT_MS)
    data = await page.locator("#scene").screenshot(path=path)
    picture = np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))
    return picture[80:-80]  # without the overlays at its upper and lower edge
