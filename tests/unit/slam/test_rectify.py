from dataclasses import replace

import cv2
import numpy as np
import plane_scene

from slam.camera import Camera
from slam.rectify import Rectifier

CAMERA = plane_scene.CALIBRATION.camera
BARREL = replace(CAMERA, distortion=(-0.3, 0.1, 0.001, -0.002))


def distorted_pixel(camera: Camera, u_px: float, v_px: float) -> tuple[float, float]:
    """Where a pinhole pixel is in the distorted image, by the formula (Brown 1966)."""
    k1, k2, p1, p2 = camera.distortion
    x, y = (u_px - camera.cx_px) / camera.fx_px, (v_px - camera.cy_px) / camera.fy_px
    r2 = x * x + y * y
    radial = 1 + k1 * r2 + k2 * r2 * r2
    xd = x * radial + 2 * p1 * x * y + p2 * (r2 + 2 * x * x)
    yd = y * radial + p1 * (r2 + 2 * y * y) + 2 * p2 * x * y
    return camera.fx_px * xd + camera.cx_px, camera.fy_px * yd + camera.cy_px


def test_a_camera_without_distortion_keeps_its_frames() -> None:
    frame = plane_scene.frame(0, 0)
    assert Rectifier(CAMERA).rectify(frame) is frame
    assert Rectifier(replace(CAMERA, distortion=(0.0,) * 5)).rectify(frame) is frame


def test_a_point_moves_to_where_a_pinhole_sees_it() -> None:
    u_px, v_px = 60, 40
    seen_at = distorted_pixel(BARREL, u_px, v_px)
    color = np.zeros((240, 320, 3), np.uint8)
    cv2.circle(color, tuple(round(x * 16) for x in seen_at), 5 * 16, (255,) * 3, -1, cv2.LINE_AA, 4)
    rectifier = Rectifier(BARREL)
    rectified = rectifier.rectify(replace(plane_scene.frame(0, 0), color=color))
    weights = rectified.color[:, :, 0].astype(float)
    rows, columns = np.mgrid[:240, :320]
    assert abs((weights * columns).sum() / weights.sum() - u_px) < 0.3
    assert abs((weights * rows).sum() / weights.sum() - v_px) < 0.3
    assert rectifier.camera == CAMERA


def test_depth_is_taken_from_the_nearest_pixel_never_mixed() -> None:
    depth = np.random.default_rng(0).choice(np.array([500, 4000], np.uint16), (240, 320))
    for image in (depth, depth.astype(np.float32)):
        rectified = Rectifier(BARREL).rectify(replace(plane_scene.frame(0, 0), depth=image))
        assert rectified.depth.dtype == image.dtype
        assert set(np.unique(rectified.depth).tolist()) <= {0, 500, 4000}
        for u_px, v_px in ((160, 120), (60, 40), (300, 200)):
            column, row = (round(x) for x in distorted_pixel(BARREL, u_px, v_px))
            assert rectified.depth[v_px, u_px] == image[row, column]


def test_pixels_that_the_camera_did_not_see_have_no_depth() -> None:
    pincushion = replace(CAMERA, distortion=(0.5, 0.0, 0.0, 0.0))
    rectified = Rectifier(pincushion).rectify(plane_scene.frame(0, 0))
    assert rectified.depth[0, 0] == 0
    assert rectified.color[0, 0].tolist() == [0, 0, 0]
    assert rectified.depth[120, 160] == 2000
    assert not rectified.color.flags.writeable
    assert not rectified.depth.flags.writeable


def test_a_frame_without_depth_stays_one() -> None:
    rectified = Rectifier(BARREL).rectify(replace(plane_scene.frame(0, 0), depth=None))
    assert rectified.depth is None
    assert rectified.color.shape == (240, 320, 3)
