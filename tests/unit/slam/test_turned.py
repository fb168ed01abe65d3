from dataclasses import replace

import cv2
import numpy as np
import pytest
from test_rectify import distorted_pixel

from slam.camera import Camera, ImuCalibration
from slam.geometry import rigid
from slam.turned import landscape

TALL = Camera(364, 674, 500.0, 510.0, 180.0, 330.0)
QUARTER_TURN_X = np.array([[1.0, 0, 0], [0, 0, -1], [0, 1, 0]])


@pytest.mark.parametrize("size", [(640, 480), (480, 480)])
def test_wide_images_stay_as_they_are(size: tuple[int, int]) -> None:
    camera = replace(TALL, width_px=size[0], height_px=size[1])
    turn = landscape(camera)
    image = np.zeros((size[1], size[0]), np.uint8)
    assert turn.camera == camera
    assert turn.image(image) is image
    np.testing.assert_array_equal(turn.turned_from_camera, np.eye(4))


@pytest.mark.parametrize("distortion", [(), (0.1, -0.05, 0.01, -0.02), (0.1, 0.2, 0.003, 0.0, 0.4)])
def test_a_point_is_at_the_same_pixel_turned_before_or_after_projection(
    distortion: tuple[float, ...],
) -> None:
    camera = replace(TALL, distortion=distortion)
    turn = landscape(camera)
    point = np.array([0.2, -0.3, 1.5, 1.0])
    pixels = []
    for model, (x, y, z, _) in (
        (camera, point),
        (turn.camera, turn.turned_from_camera @ point),
    ):
        pinhole = model.fx_px * x / z + model.cx_px, model.fy_px * y / z + model.cy_px
        terms = model.distortion[:4]
        lens = replace(model, distortion=terms)
        pixels.append(distorted_pixel(lens, *pinhole) if distortion else pinhole)
    (u, v), turned = pixels
    np.testing.assert_allclose(turned, (v, camera.width_px - 1 - u))


def test_pixels_go_where_the_camera_says() -> None:
    turn = landscape(TALL)
    assert (turn.camera.width_px, turn.camera.height_px) == (674, 364)
    for dtype in (np.uint8, np.float32):
        image = np.zeros((674, 364), dtype)
        image[10, 3] = 7
        turned = turn.image(image)
        assert turned.dtype == dtype
        assert turned.flags.c_contiguous
        assert np.argwhere(turned).tolist() == [[364 - 1 - 3, 10]]


def test_the_imu_stays_where_it_is() -> None:
    imu = ImuCalibration(rigid(QUARTER_TURN_X, np.array([0.1, 0.2, 0.3])), 200, 1, 1, 1, 1)
    turned = landscape(TALL).imu(imu).camera_from_imu
    np.testing.assert_allclose(turned[:3, 3], [0.2, -0.1, 0.3])
    assert cv2.Rodrigues(turned[:3, :3])[0].shape == (3, 1)
    np.testing.assert_allclose(turned[:3, :3] @ [0, 0, 1], [-1, 0, 0])
