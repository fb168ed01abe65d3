from pathlib import Path

import numpy as np
import pytest

from mapcast_client.errors import InputError
from replay.imu_yaml import ImuNoise, ImuYaml

NOISE = """
gyroscope_noise_density: 1.6968e-04
gyroscope_random_walk: 1.9393e-05
accelerometer_noise_density: 2.0000e-3
accelerometer_random_walk: 3.0000e-3
"""
EUROC = f"""#Default imu sensor yaml file
sensor_type: imu
comment: VI-Sensor IMU (ADIS16448)
T_BS:
  cols: 4
  rows: 4
  data: [1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1]
rate_hz: 200
{NOISE}"""
MATRIX = "[[0, 0, 1, 0.1], [1, 0, 0, 0.2], [0, 1, 0, 0.3], [0, 0, 0, 1]]"
RESULTS = f"""
imu0:
  rostopic: /imu0
  update_rate: 200.0
{"".join(f"  {line}" for line in NOISE.strip().splitlines(keepends=True))}
cam0:
  rostopic: /cam0/image_raw
  T_cam_imu: {MATRIX}
  timeshift_cam_imu: -8.1e-05
cam1:
  rostopic: /cam1/image_raw
  T_cam_imu: [[1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]]
"""
EXPECTED = ImuNoise(1.6968e-4, 2e-3, 1.9393e-5, 3e-3)


def read(folder: Path, text: str, color_topic: str = "") -> ImuYaml:
    path = folder / "imu.yaml"
    path.write_text(text)
    return ImuYaml.read(path, color_topic)


def test_euroc_has_noise_and_no_camera(tmp_path: Path) -> None:
    found = read(tmp_path, EUROC)
    assert (found.noise, found.camera_from_imu, found.topic, found.late_s) == (
        EXPECTED,
        None,
        "",
        0,
    )


def test_both_results_of_kalibr_in_one_file(tmp_path: Path) -> None:
    found = read(tmp_path, RESULTS, "/cam0/image_raw")
    assert (found.noise, found.topic, found.late_s) == (EXPECTED, "/imu0", -8.1e-5)
    assert found.camera_from_imu is not None
    np.testing.assert_allclose(found.camera_from_imu[:, 3], [0.1, 0.2, 0.3, 1])
    second = read(tmp_path, RESULTS, "/cam1/image_raw").camera_from_imu
    assert second is not None
    np.testing.assert_allclose(second, np.eye(4))


def test_a_place_alone(tmp_path: Path) -> None:
    found = read(tmp_path, f"T_cam_imu: {MATRIX}")
    assert found.noise is None
    assert found.camera_from_imu is not None
    as_opencv = f"T_cam_imu: {{rows: 4, cols: 4, data: {list(range(16))}}}"
    with pytest.raises(InputError, match="T_cam_imu: last row is"):
        read(tmp_path, as_opencv)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("[1, 2]", "is no mapping"),
        ("a: [", "IMU calibration .*imu.yaml"),
        ("rate_hz: 200", "neither gyroscope_noise_density, .* nor T_cam_imu"),
        ("imu0: 3", "imu0 is 3, must be a mapping"),
        ("gyroscope_noise_density: 1", "has no accelerometer_noise_density, gyroscope_random_walk"),
        (
            NOISE.replace("2.0000e-3", "much"),
            "accelerometer_noise_density is 'much', must be a num",
        ),
        (NOISE.replace("2.0000e-3", "0"), "accelerometer is 0.0, must be positive"),
        ("T_cam_imu: [[1, 2], [3]]", "must be 4x4 numbers"),
        ("T_cam_imu: [1, 2, 3]", r"shape \(3,\), must be \(4, 4\)"),
        (f"T_cam_imu: {MATRIX}\ntimeshift_cam_imu: late", "timeshift_cam_imu is 'late'"),
        (RESULTS, "has cameras of /cam0/image_raw, /cam1/image_raw, and the colour is of no topic"),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, text: str, complaint: str) -> None:
    with pytest.raises(InputError, match=complaint):
        read(tmp_path, text)


def test_the_file_of_a_bag(tmp_path: Path) -> None:
    file_bag, folder_bag = tmp_path / "a.1.bag", tmp_path / "b.2"
    file_bag.write_bytes(b"")
    folder_bag.mkdir()
    assert ImuYaml.beside(file_bag) is None
    (tmp_path / "imu.yaml").write_text(NOISE)
    assert ImuYaml.beside(file_bag) == ImuYaml.beside(folder_bag) == tmp_path / "imu.yaml"
    for path in (tmp_path / "a.1.imu.yaml", tmp_path / "b.2.imu.yaml"):
        path.write_text(NOISE)
    assert ImuYaml.beside(file_bag) == tmp_path / "a.1.imu.yaml"
    assert ImuYaml.beside(folder_bag) == tmp_path / "b.2.imu.yaml"
    (folder_bag / "imu.yaml").write_text(NOISE)
    assert ImuYaml.beside(folder_bag) == folder_bag / "imu.yaml"


def test_beside_a_link_comes_first(tmp_path: Path) -> None:
    store, walks = tmp_path / "store", tmp_path / "walks"
    store.mkdir()
    walks.mkdir()
    (store / "a.bag").write_bytes(b"")
    (walks / "b.bag").symlink_to(store / "a.bag")
    (store / "a.imu.yaml").write_text(NOISE)
    assert ImuYaml.beside(walks / "b.bag") == store / "a.imu.yaml"
    (walks / "imu.yaml").write_text(NOISE)
    assert ImuYaml.beside(walks / "b.bag") == walks / "imu.yaml"
    (walks / "b.imu.yaml").write_text(NOISE)
    assert ImuYaml.beside(walks / "b.bag") == walks / "b.imu.yaml"
