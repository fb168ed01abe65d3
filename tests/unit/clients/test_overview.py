import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from clients.cli.overview import encode_png, levelled, looking_at, visible_area_m2
from mapcast_client import View
from mapcast_client.v1 import ingest_pb2

CAMERA = ingest_pb2.Camera(width_px=40, height_px=20, fx_px=20, fy_px=20, cx_px=19.5, cy_px=9.5)


def view(depth_m: np.ndarray) -> View:
    depth = depth_m.astype(np.float32)
    return View(np.zeros((*depth.shape, 3), np.uint8), depth, np.zeros((*depth.shape, 3), "f4"))


def test_a_wall_that_fills_the_view_has_its_true_area() -> None:
    assert visible_area_m2(view(np.full((20, 40), 2.0)), CAMERA) == pytest.approx(4.0 * 2.0)


def test_emptiness_counts_less() -> None:
    half = np.full((20, 40), 2.0)
    half[:, :20] = 0
    assert visible_area_m2(view(half), CAMERA) == pytest.approx(4.0 * 2.0 / 4)
    assert visible_area_m2(view(np.zeros((20, 40))), CAMERA) == 0


@pytest.mark.parametrize("eye", [[3.0, 0, 2], [0, -2, 1], [-1, 1, 0.5]])
def test_looking_at_has_the_target_ahead_and_the_sky_up(eye: list[float]) -> None:
    world_from_camera = looking_at(np.array(eye), np.zeros(3))
    rotation = world_from_camera[:3, :3]
    assert rotation @ rotation.T == pytest.approx(np.eye(3))
    assert np.linalg.det(rotation) == pytest.approx(1)
    target_camera = rotation.T @ (np.zeros(3) - world_from_camera[:3, 3])
    assert target_camera == pytest.approx([0, 0, np.linalg.norm(eye)])
    assert rotation[2, 1] < 0  # the image's down is the world's down
    assert rotation[2, 0] == pytest.approx(0)  # the horizon is level


def test_a_tilted_camera_is_levelled_and_looks_the_same_way() -> None:
    even = looking_at(np.array([3.0, 0, 2]), np.zeros(3))
    tilt = np.eye(4)
    tilt[:3, :3] = Rotation.from_euler("z", 40, degrees=True).as_matrix()
    assert levelled(even @ tilt) == pytest.approx(even)
    down = looking_at(np.array([0.1, 0, 2]), np.zeros(3)) @ tilt
    assert levelled(down) is down


async def test_png_keeps_the_colors() -> None:
    cv2 = pytest.importorskip("cv2")
    picture = np.zeros((2, 3, 3), np.uint8)
    picture[..., 0] = 255
    decoded = cv2.imdecode(np.frombuffer(await encode_png(picture), np.uint8), cv2.IMREAD_COLOR)
    assert decoded[..., ::-1].tolist() == picture.tolist()
