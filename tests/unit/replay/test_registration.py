from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from replay.opening import open_rgbd_sequence
from replay.registration import Registration
from slam.camera import Camera
from slam.frame import Frame
from slam.geometry import rigid

DEPTH_CAMERA = Camera(80, 60, 100.0, 100.0, 39.5, 29.5)
COLOR_CAMERA = Camera(80, 60, 80.0, 80.0, 41.5, 29.5)


def frame_of(depth_m) -> Frame:
    millimetres = np.round(depth_m * 1000).astype(np.uint16)
    return Frame(0, 0, np.zeros((60, 80, 3), np.uint8), millimetres, 0.001)


def test_one_camera_for_both_changes_nothing() -> None:
    registration = Registration(DEPTH_CAMERA, DEPTH_CAMERA, np.eye(4))
    depth_m = np.random.default_rng(0).uniform(0.5, 4, (60, 80))
    depth_m[10:20, 10:20] = 0
    seen = registration.depth_seen_by(DEPTH_CAMERA, frame_of(depth_m))
    np.testing.assert_allclose(seen, np.round(depth_m, 3), atol=1e-6)


def test_a_wall_is_seen_where_the_colour_camera_stands() -> None:
    registration = Registration(COLOR_CAMERA, DEPTH_CAMERA, rigid(np.eye(3), np.array([0.1, 0, 0])))
    depth_m = np.full((60, 80), 2.0)
    depth_m[25:35, 45:55] = 1.0
    seen = registration.depth_seen_by(COLOR_CAMERA, frame_of(depth_m))
    # x = (45 - 39.5) / 100 · 1 m + 0.1 m → u = 80 · 0.155 + 41.5 = 53.9, and 61.1 for 54.
    assert (seen[29, 54:62] == 1).all()
    assert seen[29, 53] != 1
    assert seen[29, 62] != 1
    assert (seen[10, 20:60] == 2).all()
    assert seen[0, 0] == 0  # the depth camera sees less of the wall


def test_nearer_surfaces_hide_farther_ones() -> None:
    coarse = replace(COLOR_CAMERA, width_px=8, height_px=6, fx_px=8, fy_px=8, cx_px=3.5, cy_px=2.5)
    registration = Registration(COLOR_CAMERA, DEPTH_CAMERA, np.eye(4))
    depth_m = np.full((60, 80), 3.0)
    depth_m[::3, ::3] = 1.0
    seen = registration.depth_seen_by(coarse, frame_of(depth_m))
    assert (seen[seen > 0] == 1).all()


@pytest.mark.data
def test_the_kitchen_s_colour_camera_is_wider_than_its_depth_camera(red_kitchen: Path) -> None:
    registration = Registration.of(open_rgbd_sequence(red_kitchen))
    assert registration.depth.fx_px == 585
    assert 515 < registration.color.fx_px < 540


def test_a_rendered_room_has_one_camera() -> None:
    sequence = open_rgbd_sequence("rendered:frames=2")
    registration = Registration.of(sequence)
    assert registration.color == registration.depth == sequence.calibration.camera
    np.testing.assert_array_equal(registration.color_from_depth, np.eye(4))
