from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import plane_scene
import pytest

from mapcast_client.errors import InputError
from slam.camera import Camera, ImuCalibration
from slam.geometry import rigid
from slam.orbslam3_settings import settings_yaml

LENS = Camera(640, 480, 585.5, 586.0, 320.0, 1e-7, (0.1, -0.2, 0.003, 0.0, 0.05))


def test_opencv_reads_every_number_back_as_the_type_it_needs(tmp_path: Path) -> None:
    file = tmp_path / "settings.yaml"
    file.write_text(settings_yaml(LENS, 29.97, 1200))
    storage = cv2.FileStorage(str(file), cv2.FILE_STORAGE_READ)
    expected = {
        "Camera1.fx": 585.5,
        "Camera1.fy": 586.0,
        "Camera1.cx": 320.0,
        "Camera1.cy": 1e-7,
        "Camera1.k2": -0.2,
        "Camera1.p1": 0.003,
        "Camera1.k3": 0.05,
        "RGBD.DepthMapFactor": 1.0,
    }
    for name, value in expected.items():
        assert storage.getNode(name).isReal(), name
        assert storage.getNode(name).real() == pytest.approx(value), name
    for name, number in {
        "Camera.width": 640,
        "Camera.height": 480,
        "Camera.fps": 30,
        "Camera.RGB": 1,
        "ORBextractor.nFeatures": 1200,
    }.items():
        assert storage.getNode(name).isInt(), name
        assert storage.getNode(name).real() == number, name
    assert storage.getNode("Camera.type").string() == "PinHole"


@pytest.mark.parametrize("features", [0, 599, 10_001])
def test_a_feature_count_that_never_begins_a_map_is_refused(features: int) -> None:
    with pytest.raises(InputError, match=f"features is {features}, must be 600 to 10000"):
        settings_yaml(plane_scene.CALIBRATION.camera, 30.0, features)


@pytest.mark.parametrize(
    ("width_px", "height_px", "message"),
    [
        (64, 48, "64x48 px, ORB-SLAM3 needs at least 118 px"),
        (640, 100, "640x100 px, ORB-SLAM3 needs"),
        (364, 674, "364x674 px, too tall for ORB-SLAM3"),
    ],
)
def test_sizes_that_crash_the_extractor_are_refused(
    width_px: int, height_px: int, message: str
) -> None:
    camera = replace(plane_scene.CALIBRATION.camera, width_px=width_px, height_px=height_px)
    with pytest.raises(InputError, match=message):
        settings_yaml(camera, 30.0, 1000)


@pytest.mark.parametrize(("width_px", "height_px"), [(160, 120), (480, 640), (640, 200)])
def test_other_sizes_are_not(width_px: int, height_px: int) -> None:
    camera = replace(plane_scene.CALIBRATION.camera, width_px=width_px, height_px=height_px)
    assert f"Camera.width: {width_px}\n" in settings_yaml(camera, 30.0, 1000)


def test_the_imu_is_placed_as_orbslam3_wants_it(tmp_path: Path) -> None:
    camera_from_imu = rigid(
        np.array([[0.0, -1, 0], [1, 0, 0], [0, 0, 1]]), np.array([0.1, 0.2, 0.3])
    )
    imu = ImuCalibration(camera_from_imu, 200, 1e-3, 2e-2, 3e-6, 4e-4)
    file = tmp_path / "settings.yaml"
    file.write_text(settings_yaml(LENS, 30.0, 1000, imu))
    storage = cv2.FileStorage(str(file), cv2.FILE_STORAGE_READ)
    for name, value in {
        "IMU.Frequency": 200.0,
        "IMU.NoiseGyro": 1e-3,
        "IMU.NoiseAcc": 2e-2,
        "IMU.GyroWalk": 3e-6,
        "IMU.AccWalk": 4e-4,
    }.items():
        assert storage.getNode(name).isReal(), name
        assert storage.getNode(name).real() == pytest.approx(value), name
    imu_from_camera = storage.getNode("IMU.T_b_c1").mat()
    assert imu_from_camera.dtype == np.float32
    np.testing.assert_allclose(imu_from_camera @ camera_from_imu, np.eye(4), atol=1e-6)
