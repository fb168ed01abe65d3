import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import shaken_room

from slam.camera import Camera
from slam.geometry import inverse
from slam.vocabulary import default_vocabulary

SCRIPT = Path(__file__).with_name("track_shaken.py")


def track(vocabulary: Path, *arguments: str) -> list[dict[str, Any]]:
    """Track in another process: ORB-SLAM3 may crash, and prints."""
    done = subprocess.run(
        [sys.executable, SCRIPT, vocabulary, *arguments],
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    answers: list[dict[str, Any]] = json.loads(done.stdout)
    return answers


@pytest.fixture(scope="module")
def vocabulary(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return default_vocabulary(tmp_path_factory.mktemp("vocabulary"))


def last_map(answers: list[dict[str, Any]]) -> tuple[np.ndarray, np.ndarray, list[np.ndarray]]:
    """(N, 4, 4) tracker_from_camera, (N, 4, 4) world_from_camera and the points of N frames."""
    number = answers[-1]["map_number"]
    rows = [
        answer
        for answer in answers
        if answer["tracker_from_camera"] is not None and answer["map_number"] == number
    ]
    return (
        np.array([row["tracker_from_camera"] for row in rows]),
        np.array([row["world_from_camera"] for row in rows]),
        [np.array(row["points_tracker"]) for row in rows],
    )


def world_from_tracker(tracked: np.ndarray, true: np.ndarray) -> np.ndarray:
    """(3, 3) the rotation between the two by the cameras' orientations alone."""
    u, _, vt = np.linalg.svd(np.einsum("nij,nkj->ik", true[:, :3, :3], tracked[:, :3, :3]))
    rotation: np.ndarray = u @ vt
    return rotation


def scale_and_error_m(tracked: np.ndarray, true: np.ndarray) -> tuple[float, float]:
    """Metres per unit, and the largest distance of a camera from where it was."""
    rotation = world_from_tracker(tracked, true)
    a = (tracked[:, :3, 3] - tracked[:, :3, 3].mean(0)) @ rotation.T
    b = true[:, :3, 3] - true[:, :3, 3].mean(0)
    scale = float((a * b).sum() / (a * a).sum())
    return scale, float(np.linalg.norm(scale * a - b, axis=1).max())


def share_in_image(camera: Camera, tracked: np.ndarray, points: list[np.ndarray]) -> float:
    """How many of the points that a frame is said to see are in front of it, and in its image."""
    inside = []
    for tracker_from_camera, points_tracker in zip(tracked, points, strict=True):
        camera_from_tracker = inverse(tracker_from_camera)
        x, y, z = camera_from_tracker[:3, :3] @ points_tracker.T + camera_from_tracker[:3, 3:]
        u, v = camera.fx_px * x / z + camera.cx_px, camera.fy_px * y / z + camera.cy_px
        ahead = (z > 0) & (u > -1) & (v > -1)
        inside.append(ahead & (u < camera.width_px) & (v < camera.height_px))
    return float(np.concatenate(inside).mean())


def test_colour_alone_gives_the_path_but_for_its_scale(vocabulary: Path) -> None:
    answers = track(vocabulary, "SENSOR_MONO", "PORTRAIT", "4")
    states = [answer["state"] for answer in answers]
    begun = states.index("tracking")
    assert set(states[:begun]) == {"initializing"}
    tracked, true, points = last_map(answers)
    assert len(tracked) > 40
    _, error_m = scale_and_error_m(tracked, true)
    assert error_m < 0.05
    assert share_in_image(shaken_room.PORTRAIT.camera, tracked, points) > 0.98
    # Its axes are those of the camera in which its map begins, turned or not: near the first pose.
    assert np.degrees(np.arccos((np.trace(tracked[0, :3, :3]) - 1) / 2)) < 20


def test_portrait_images_with_depth_are_turned_both(vocabulary: Path) -> None:
    answers = track(vocabulary, "SENSOR_RGBD", "PORTRAIT", "1.5")
    assert {answer["state"] for answer in answers} == {"tracking"}
    tracked, true, _ = last_map(answers)
    np.testing.assert_allclose(tracked[0], np.eye(4), atol=1e-6)
    scale, error_m = scale_and_error_m(tracked, true)
    assert scale == pytest.approx(1.0, abs=0.05)
    assert error_m < 0.05
    np.testing.assert_allclose(world_from_tracker(tracked, true), true[0, :3, :3], atol=0.05)


def test_with_an_imu_the_map_is_in_metres_and_gravity_is_down(vocabulary: Path) -> None:
    answers = track(vocabulary, "SENSOR_MONO_IMU", "PORTRAIT", "9")
    tracked, true, points = last_map(answers)
    assert len(tracked) > 40
    scale, error_m = scale_and_error_m(tracked, true)
    assert scale == pytest.approx(1.0, abs=0.05)
    assert error_m < 0.05
    up_tracker = world_from_tracker(tracked, true).T @ [0.0, 0.0, 1.0]
    assert np.degrees(np.arccos(up_tracker[2])) < 2.0
    assert share_in_image(shaken_room.PORTRAIT.camera, tracked, points) > 0.98


def test_poor_imu_samples_cost_frames_but_never_the_process(vocabulary: Path) -> None:
    answers = track(vocabulary, "SENSOR_MONO_IMU", "LANDSCAPE", "5", "poor")
    rate_hz = shaken_room.FRAME_RATE_HZ
    assert len(answers) == 5 * rate_hz
    refused = [row for row, answer in enumerate(answers) if answer["state"] == "refused"]
    # A frame is tracked up to 0.1 s after the last sample.
    assert set(range(rate_hz)) <= set(refused)
    assert set(range(3 * rate_hz + 3, round(3.5 * rate_hz))) <= set(refused)
    assert len(refused) < 1.7 * rate_hz
    assert answers[0]["reason"] == "frame 0: needs IMU samples: there are none before it"
    assert "needs IMU samples: they end" in answers[3 * rate_hz + 5]["reason"]
