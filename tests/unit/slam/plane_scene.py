"""A textured wall, two metres ahead, along which the camera slides: poses are exact."""

import numpy as np

from slam.camera import Calibration, Camera
from slam.frame import Frame
from slam.geometry import Mat4, rigid

CALIBRATION = Calibration(Camera(320, 240, 300.0, 300.0, 160.0, 120.0))
WALL_M = 2.0
FRAME_NS = 33_333_333


def texture(rng: np.random.Generator, height_px: int, width_px: int) -> np.ndarray:
    """Random rectangles of three sizes: corners at every scale. (H, W, 3) uint8."""
    layers = []
    for cell_px in (32, 12, 5):
        cells = rng.integers(0, 256, (height_px // cell_px + 1, width_px // cell_px + 1, 3))
        layers.append(cells.repeat(cell_px, 0).repeat(cell_px, 1)[:height_px, :width_px])
    return (0.4 * layers[0] + 0.35 * layers[1] + 0.25 * layers[2]).astype(np.uint8)


WALL = texture(np.random.default_rng(5), 240, 2000)


def world_from_camera(offset_px: int) -> Mat4:
    return rigid(np.eye(3), np.array([offset_px * WALL_M / 300.0, 0.0, 0.0]))


def frame(index: int, offset_px: int | None, capture_ns: int | None = None) -> Frame:
    """The view from `offset_px` along the wall, or nothing but black."""
    color = np.zeros((240, 320, 3), np.uint8)
    depth = np.zeros((240, 320), np.uint16)
    if offset_px is not None:
        color[:] = WALL[:, offset_px : offset_px + 320]
        depth[:] = round(WALL_M * 1000)
    return Frame(
        index,
        index * FRAME_NS if capture_ns is None else capture_ns,
        color,
        depth,
        0.001,
        None if offset_px is None else world_from_camera(offset_px),
    )
