"""A kitchen that one browser's camera sees is mapped, and shown by another browser."""

import asyncio
import io
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import httpx
import numpy as np
import pytest
import pytest_asyncio
import simplejpeg
import trimesh
from browsing import CAMERA_FLAGS, chromium, pages_config
from camera_video import REAL_FRAMES, make_camera_video
from numpy.typing import NDArray
from PIL import Image
from playwright.async_api import Page, ViewportSize

from fusion.mesh import extract_mesh
from fusion.volume import Volume, VolumeSettings
from mapcast_client.mesh import TriangleMesh
from mapcast_client.v1 import ingest_pb2
from replay.evaluate import ate_rmse_m, similarity_from_estimated
from replay.evaluate_mesh import MeshSurface, mesh_quality
from replay.opening import open_rgbd_sequence
from replay.sequence import RgbdSequence
from replay.similarity import closest_point_similarity
from slam.images import decode_frame
from slam.trajectory import Trajectory
from stream.sender import Sender
from stream.server import RunningServer, serve
from stream.session import Session

pytestmark = [
    pytest.mark.alone,
    pytest.mark.browser,
    pytest.mark.data,
    pytest.mark.asyncio(loop_scope="module"),
]

CAMERA_HZ = 15
"""Half as fast as it was: a machine that also draws, encodes and decodes the picture keeps up."""
ENOUGH_TRIANGLES = 250_000
TIMEOUT_MS = 75_000
PHONE: ViewportSize = {"width": 360, "height": 740}
SCREEN: ViewportSize = {"width": 960, "height": 640}
THUMBNAIL_PX = (32, 24)
SAMPLES = 20_000
WITHIN_M = 0.1
BACKGROUND_RGB = (0x11, 0x15, 0x1A)


@pytest.fixture(scope="module")
def video(red_kitchen: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the camera sees."""
    folder = tmp_path_factory.mktemp("camera")
    make_camera_video(folder, red_kitchen, ["camera.y4m"], CAMERA_HZ)
    return folder / "camera.y4m"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def pages_server() -> AsyncIterator[RunningServer]:
    async with serve(pages_config()) as running:
        yield running


@dataclass
class Pictures:
    """What the server took from the camera, small."""

    capture_ns: list[int] = field(default_factory=list)
    thumbnails: list[NDArray[np.float32]] = field(default_factory=list)

    def truth(self, kitchen: RgbdSequence) -> Trajectory:
        """Where the camera truly was at each of their instants.

        A picture is that of the recording which it resembles most.
        """
        assert kitchen.ground_truth is not None
        known = np.stack(
            [
                thumbnail(simplejpeg.decode_jpeg(frame.color.data, "GRAY")[..., 0])
                for frame in kitchen.frames(REAL_FRAMES)
            ]
        )
        likeness = np.stack(self.thumbnails) @ known.T
        poses = kitchen.ground_truth.world_from_camera[likeness.argmax(axis=1)]
        return Trajectory(np.array(self.capture_ns), poses)


@pytest.fixture
def pictures(monkeypatch: pytest.MonkeyPatch) -> Pictures:
    """Fills while a camera streams into the server of this process."""
    taken, submit = Pictures(), Session.submit

    async def note_and_submit(session: Session, sender: Sender, frame: ingest_pb2.Frame) -> None:
        width, height = frame.color.width_px, frame.color.height_px
        luma = np.frombuffer(frame.color.data, np.uint8, width * height).reshape(height, width)
        taken.capture_ns.append(frame.capture_ns)
        taken.thumbnails.append(thumbnail(luma))
        await submit(session, sender, frame)

    monkeypatch.setattr(Session, "submit", note_and_submit)
    return taken


def thumbnail(luma: NDArray[np.uint8]) -> NDArray[np.float32]:
    """A picture's unit vector: the dot product of two is how much they are alike."""
    small = cv2.resize(luma, THUMBNAIL_PX, interpolation=cv2.INTER_AREA).astype(np.float32).ravel()
    small -= small.mean()
    return small / np.linalg.norm(small)


async def test_the_kitchen_of_one_browser_is_seen_in_another(
    pages_server: RunningServer, red_kitchen: Path, video: Path, pictures: Pictures, tmp_path: Path
) -> None:
    url = pages_server.http_url
    film = f"--use-file-for-fake-video-capture={video}"
    async with (
        httpx.AsyncClient(base_url=url, trust_env=False, timeout=60) as http,
        chromium(*CAMERA_FLAGS, "--use-fake-ui-for-media-stream", film) as filming,
        chromium() as watching,
    ):
        camera = await filming.new_page(viewport=PHONE)
        viewer = await watching.new_page(viewport=SCREEN)
        await camera.goto(f"{url}/camera.html")
        await camera.get_by_role("button", name="Start", exact=True).click()
        await camera.wait_for_function("mapcastCamera.state() === 'live'", timeout=TIMEOUT_MS)
        session = await camera.evaluate("mapcastCamera.session()")
        await viewer.goto(f"{url}/?session={session}")
        await viewer.wait_for_function(
            f"window.mapcast?.triangles() > {ENOUGH_TRIANGLES}", timeout=TIMEOUT_MS
        )
        assert await camera.evaluate("mapcastCamera.transport()") == "webrtc"
        await camera.get_by_role("button", name="Stop").click()
        map_hash = (await http.post(f"/v1/sessions/{session}/finish")).json()["map_hash"]
        await camera.close()
        await viewer.wait_for_function(
            "hash => mapcast.exact() && mapcast.serverHash() === hash",
            arg=map_hash,
            timeout=TIMEOUT_MS,
        )
        assert await viewer.evaluate("mapcast.hash()") == map_hash
        picture = await picture_of_map(viewer, tmp_path / "kitchen.png")
        tum = (await http.get(f"/v1/sessions/{session}/trajectory.tum")).text
        ply = (await http.get(f"/v1/sessions/{session}/map.ply")).content

    is_map = (np.abs(picture.astype(int) - BACKGROUND_RGB) > 12).any(axis=2)
    assert is_map.mean() > 0.15, "the map must fill a good part of the picture"
    red, green, blue = picture[is_map].astype(int).T
    assert ((red > 1.7 * green) & (red > 1.7 * blue)).mean() > 0.03, "the cupboards are red"
    assert np.std([red, green, blue], axis=1).min() > 30, "but not all is"
    path = Trajectory.from_tum(tum)
    await asyncio.to_thread(assert_is_the_kitchen, read_ply(ply), path, pictures, red_kitchen)


def assert_is_the_kitchen(
    mesh: TriangleMesh, path: Trajectory, pictures: Pictures, red_kitchen: Path
) -> None:
    """The camera's path and the surface are those that the depth sensor measured, but for scale."""
    kitchen = open_rgbd_sequence(red_kitchen)
    truth = pictures.truth(kitchen)
    assert np.ptp(truth.world_from_camera[:, :3, 3], axis=0).max() > 0.5, "the camera walks"
    assert len(path) > 50
    assert ate_rmse_m(path, truth, scaled=True) < 0.1
    surface = true_surface(kitchen)
    points = MeshSurface(mesh.vertices_world, mesh.triangles, SAMPLES).points()
    truth_from_map = closest_point_similarity(
        points, surface.points(), similarity_from_estimated(path, truth)
    )
    quality = mesh_quality(mesh, surface, truth_from_map, WITHIN_M, SAMPLES)
    assert quality.accuracy.share_within > 0.75
    assert quality.completeness.share_within > 0.4


def true_surface(kitchen: RgbdSequence) -> MeshSurface:
    """What the recording's depth images and poses make of the same frames."""
    assert kitchen.ground_truth is not None
    volume = Volume(VolumeSettings(voxel_size_m=0.02), kitchen.calibration.camera)
    poses = kitchen.ground_truth.world_from_camera
    for index, message in enumerate(kitchen.frames(REAL_FRAMES)):
        if index % 4 == 0:
            volume.integrate(decode_frame(message, kitchen.calibration), poses[index])
    mesh = extract_mesh(volume)
    return MeshSurface(mesh.vertices_world, mesh.triangles, SAMPLES)


def read_ply(data: bytes) -> TriangleMesh:
    loaded = trimesh.load(io.BytesIO(data), "ply", process=False)
    vertices = np.asarray(loaded.vertices, np.float32)
    return TriangleMesh(
        vertices, np.zeros_like(vertices, np.uint8), np.asarray(loaded.faces, np.int32)
    )


async def picture_of_map(page: Page, path: Path) -> NDArray[np.uint8]:
    """(H, W, 3) of the canvas where nothing lies over it, once all is drawn; all kept as a file."""
    await page.wait_for_function("window.mapcast.settled()", timeout=TIMEOUT_MS)
    data = await page.locator("#scene").screenshot(path=path)
    picture = np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))
    return picture[80:-80, :-220]
