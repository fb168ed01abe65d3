"""The camera page in headless Chromium, whose fake camera streams into a real server."""

import re
from collections.abc import AsyncIterator

import cv2
import httpx
import numpy as np
import pytest
import pytest_asyncio
from browsing import CAMERA_FLAGS, chromium, pages_config
from playwright.async_api import (
    Browser,
    BrowserContext,
    Page,
    ViewportSize,
    expect,
)

from stream.server import RunningServer, serve

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="module")]

FLAGS = (
    *CAMERA_FLAGS,
    "--host-resolver-rules=MAP phone.test 127.0.0.1",  # an address that is not this machine's
)
SERVER_TOKEN = "a-server-token"
PHONE: ViewportSize = {"width": 360, "height": 740}
TIMEOUT_MS = 60_000

NO_WEBRTC = "delete window.RTCPeerConnection"
TURNING_CAMERA = """
navigator.mediaDevices.getUserMedia = async () => {
  const canvas = Object.assign(document.createElement("canvas"), { width: 320, height: 240 });
  window.turn = () => ([canvas.width, canvas.height] = [canvas.height, canvas.width]);
  const pen = canvas.getContext("2d");
  setInterval(() => {
    pen.fillStyle = `hsl(${Math.random() * 360} 80% 60%)`;
    pen.fillRect(Math.random() * 200, Math.random() * 200, 60, 60);
  }, 10);
  return canvas.captureStream(30);
};
"""


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def camera_server() -> AsyncIterator[RunningServer]:
    """An open server that also serves the pages."""
    async with serve(pages_config(cors_origins=("http://phone.test",))) as running:
        yield running


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def closed_server() -> AsyncIterator[RunningServer]:
    """A closed one, over TLS."""
    config = pages_config(
        access="closed", api_token=SERVER_TOKEN, tls="auto", keep_warm_worker=False
    )
    async with serve(config) as running:
        yield running


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def camera_browser() -> AsyncIterator[Browser]:
    """A Chromium with a camera that is not there."""
    async with chromium(*FLAGS) as launched:
        yield launched


@pytest_asyncio.fixture(loop_scope="module")
async def phone(camera_browser: Browser) -> AsyncIterator[BrowserContext]:
    """A phone's browser, which may use camera and sensors."""
    context = await camera_browser.new_context(
        viewport=PHONE,
        permissions=["camera", "accelerometer", "gyroscope"],
        ignore_https_errors=True,
    )
    yield context
    await context.close()


@pytest_asyncio.fixture(loop_scope="module")
async def page(phone: BrowserContext) -> AsyncIterator[Page]:
    """A page on which no script may fail."""
    opened = await phone.new_page()
    failures: list[str] = []
    opened.on("pageerror", lambda error: failures.append(str(error)))
    yield opened
    await opened.close()
    assert failures == []


@pytest_asyncio.fixture(loop_scope="module")
async def rest(camera_server: RunningServer) -> AsyncIterator[httpx.AsyncClient]:
    """The server's REST side; the sessions of a test end with it."""
    async with httpx.AsyncClient(
        base_url=camera_server.http_url, trust_env=False, timeout=60
    ) as connected:
        yield connected
        for info in (await connected.get("/v1/sessions")).json()["sessions"]:
            await connected.delete(f"/v1/sessions/{info['session']}")


async def _start(page: Page, address: str) -> str:
    """Open the page, press the button, wait until frames arrive; returns the session."""
    await page.goto(address)
    await page.get_by_role("button", name="Start", exact=True).click()
    await page.wait_for_function("mapcastCamera.status()?.frames > 2", timeout=TIMEOUT_MS)
    session: str = await page.evaluate("mapcastCamera.session()")
    return session


async def _session_until(page: Page, session: str, condition: str) -> None:
    """Wait until the server says so of a session."""
    await page.wait_for_function(
        f"async path => ({condition})(await (await fetch(path)).json())",
        arg=f"/v1/sessions/{session}",
        timeout=TIMEOUT_MS,
    )


async def test_one_button_streams_and_stops(
    camera_server: RunningServer, page: Page, rest: httpx.AsyncClient
) -> None:
    session = await _start(page, f"{camera_server.http_url}/camera.html")
    assert await page.evaluate("mapcastCamera.transport()") == "webrtc"
    info = (await rest.get(f"/v1/sessions/{session}")).json()
    assert info["state"] == "active"
    assert int(info["frames"]) > 2
    assert await page.evaluate("document.getElementById('video').videoWidth") == 640
    await expect(page.locator("#words-text")).not_to_be_empty()
    await expect(page.locator("#figures")).to_be_visible()
    await expect(page.frame_locator("#map iframe").locator("#scene")).to_be_visible()
    await expect(page).to_have_url(re.compile(f"session={session}"))

    await page.get_by_role("button", name="Stop").click()
    await _session_until(page, session, "info => info.state === 'waiting'")
    assert await page.evaluate("document.getElementById('video').srcObject") is None
    await expect(page.get_by_role("heading", name="Stopped")).to_be_visible()


async def test_the_clocks_are_compared(
    camera_server: RunningServer, page: Page, rest: httpx.AsyncClient
) -> None:
    await _start(page, f"{camera_server.http_url}/camera.html")
    await page.wait_for_function("mapcastCamera.offset() !== null", timeout=TIMEOUT_MS)
    offset = await page.evaluate("mapcastCamera.offset()")
    assert abs(offset["offsetMs"]) < 1000, "both are on this machine"
    assert 0 < offset["roundTripMs"] < 1000


async def test_motion_flows_and_can_be_switched_off(
    camera_server: RunningServer, page: Page, phone: BrowserContext, rest: httpx.AsyncClient
) -> None:
    await page.goto(camera_server.http_url)
    devtools = await phone.new_cdp_session(page)
    readings = {
        "accelerometer": {"xyz": {"x": 0, "y": 9.8, "z": 0}},
        "linear-acceleration": {"xyz": {"x": 0, "y": 0, "z": 0}},
        "gyroscope": {"xyz": {"x": 0, "y": 0.5, "z": 0}},
    }
    for kind, reading in readings.items():
        override = {"enabled": True, "type": kind, "metadata": {"available": True}}
        await devtools.send("Emulation.setSensorOverrideEnabled", override)
        await devtools.send(
            "Emulation.setSensorOverrideReadings", {"type": kind, "reading": reading}
        )
    await _start(page, f"{camera_server.http_url}/camera.html")
    await page.wait_for_function("mapcastCamera.motionSamples() > 10", timeout=TIMEOUT_MS)
    await expect(page.locator("#motion-rate")).to_have_text(re.compile(r"^\d+/s$"))
    await page.get_by_role("switch", name="Motion sensors").click()
    await expect(page.locator("#motion-rate")).to_have_text("off")


async def test_without_webrtc_pictures_go_one_by_one(
    camera_server: RunningServer, page: Page, rest: httpx.AsyncClient
) -> None:
    await page.add_init_script(NO_WEBRTC)
    session = await _start(page, f"{camera_server.http_url}/camera.html")
    assert await page.evaluate("mapcastCamera.transport()") == "websocket"
    info = (await rest.get(f"/v1/sessions/{session}")).json()
    assert int(info["frames"]) > 2


async def test_a_stream_that_broke_comes_back(
    camera_server: RunningServer, page: Page, rest: httpx.AsyncClient
) -> None:
    resources: list[str] = []
    page.on("response", lambda answer: resources.append(answer.headers.get("location", "")))
    session = await _start(page, f"{camera_server.http_url}/camera.html")
    resource = next(path for path in resources if "/whip/" in path)
    await rest.delete(resource)
    await page.get_by_text("Trying again").wait_for(timeout=TIMEOUT_MS)
    await page.wait_for_function("mapcastCamera.state() === 'live'", timeout=TIMEOUT_MS)
    assert await page.evaluate("mapcastCamera.session()") == session
    assert sum("/whip/" in path for path in resources) == 2


async def test_a_reload_goes_on_with_its_session(
    camera_server: RunningServer, page: Page, rest: httpx.AsyncClient
) -> None:
    session = await _start(page, f"{camera_server.http_url}/camera.html")
    assert await _start(page, page.url) == session


async def test_a_session_that_ends_offers_a_new_one(
    camera_server: RunningServer, page: Page, rest: httpx.AsyncClient
) -> None:
    session = await _start(page, f"{camera_server.http_url}/camera.html")
    await rest.post(f"/v1/sessions/{session}/finish")
    await page.get_by_role("alert").get_by_text("finished").wait_for(timeout=TIMEOUT_MS)
    await page.get_by_role("button", name="New session").click()
    await page.wait_for_function(
        "old => mapcastCamera.session() !== old && mapcastCamera.state() === 'live'",
        arg=session,
        timeout=TIMEOUT_MS,
    )


async def test_a_turned_phone_is_told_so_until_it_starts_over(
    camera_server: RunningServer, page: Page, rest: httpx.AsyncClient
) -> None:
    await page.add_init_script(TURNING_CAMERA)
    session = await _start(page, f"{camera_server.http_url}/camera.html")
    await page.evaluate("turn()")
    told = page.get_by_role("alert").get_by_text("Hold the phone sideways again")
    await told.wait_for(timeout=TIMEOUT_MS)
    await page.evaluate("turn()")
    await told.wait_for(state="hidden", timeout=TIMEOUT_MS)
    await page.evaluate("turn()")
    await told.wait_for(timeout=TIMEOUT_MS)

    before = (await rest.get(f"/v1/sessions/{session}")).json()["epoch"]
    await page.get_by_role("button", name="Start over").click()
    await page.get_by_role("dialog").get_by_role("button", name="Start over").click()
    await told.wait_for(state="hidden", timeout=TIMEOUT_MS)
    await page.wait_for_function("mapcastCamera.state() === 'live'", timeout=TIMEOUT_MS)
    await _session_until(page, session, f"info => BigInt(info.epoch) > {before}n")
    await page.wait_for_function(
        "mapcastCamera.status()?.tracking === 'initializing'", timeout=TIMEOUT_MS
    )
    assert "size" not in await page.evaluate("mapcastCamera.status().guidance")


async def test_what_keeps_the_camera_away_is_explained(
    camera_server: RunningServer, camera_browser: Browser, page: Page
) -> None:
    port = camera_server.http_url.rpartition(":")[2]
    await page.goto(f"http://phone.test:{port}/camera.html")
    await expect(page.get_by_role("alert")).to_contain_text("The camera needs a secure page")
    await expect(page.get_by_role("alert")).to_contain_text("--tls auto")
    await expect(page.get_by_role("button", name="Start", exact=True)).to_be_disabled()

    forbidding = await camera_browser.new_page()
    await forbidding.goto(f"{camera_server.http_url}/camera.html")
    await forbidding.get_by_role("button", name="Start", exact=True).click()
    await expect(forbidding.get_by_role("alert")).to_contain_text("not allowed")
    await expect(forbidding.get_by_role("button", name="Try again")).to_be_enabled()
    await forbidding.close()


@pytest.mark.parametrize(
    ("address", "words"),
    [
        ("camera.html", "This link has no key"),
        ("camera.html#token=something-else", "This link's key does not fit"),
        ("camera.html?session=nowhere#token=" + SERVER_TOKEN, "no longer there"),
    ],
)
async def test_what_the_server_refuses_is_explained(
    closed_server: RunningServer, page: Page, address: str, words: str
) -> None:
    await page.goto(f"{closed_server.http_url}/{address}")
    await page.get_by_role("button", name="Start", exact=True).click()
    await expect(page.get_by_role("alert")).to_contain_text(words)


async def test_a_phone_scans_the_viewers_code_and_the_viewer_follows_it(
    closed_server: RunningServer, page: Page, phone: BrowserContext
) -> None:
    port = closed_server.http_url.rpartition(":")[2]
    desktop = await phone.new_page()
    await desktop.goto(f"https://phone.test:{port}/#token={SERVER_TOKEN}")
    await desktop.locator("button.phone").click()
    code = desktop.locator(".phone-code svg")
    await code.wait_for(timeout=TIMEOUT_MS)
    picture = cv2.imdecode(np.frombuffer(await code.screenshot(), np.uint8), cv2.IMREAD_COLOR)
    assert picture is not None
    link = cv2.QRCodeDetector().detectAndDecode(picture)[0]
    assert link == await desktop.get_by_label("Link to the camera page").input_value()
    assert SERVER_TOKEN not in link, "the phone gets its session's token, not the server's"

    session = await _start(page, link)
    await expect(desktop).to_have_url(re.compile(f"session={session}"), timeout=TIMEOUT_MS)
    await expect(desktop.get_by_role("dialog")).to_have_count(0)
    await desktop.close()


async def test_without_a_network_the_dialog_says_what_to_run(
    camera_server: RunningServer, page: Page
) -> None:
    await page.goto(camera_server.http_url)
    await page.locator("button.phone").click()
    dialog = page.get_by_role("dialog", name="Use a phone as the camera")
    await expect(dialog).to_contain_text("listens only on this computer")
    await expect(dialog).to_contain_text("mapcast serve --host 0.0.0.0 --tls auto")
