"""Small recordings in the formats that replay reads, made of real image files."""

from pathlib import Path

import cv2
import numpy as np

from slam.geometry import rigid

SIZE_PX = (64, 48)


def write_images(color: Path, depth: Path, number: int) -> None:
    rng = np.random.default_rng(number)
    for path, dtype, channels in ((color, np.uint8, 3), (depth, np.uint16, 1)):
        path.parent.mkdir(parents=True, exist_ok=True)
        image = rng.integers(0, 200, (SIZE_PX[1], SIZE_PX[0], channels)).astype(dtype)
        assert cv2.imwrite(str(path), image)


def turned(degrees: float, x_m: float) -> np.ndarray:
    cos, sin = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    rotation = np.array([[cos, -sin, 0], [sin, cos, 0], [0, 0, 1.0]])
    return rigid(rotation, np.array([x_m, 0.0, 1.0]))


def write_seven_scenes(folder: Path, frames: int) -> Path:
    for i in range(frames):
        stem = folder / f"frame-{i:06d}"
        write_images(stem.with_suffix(".color.jpg"), stem.with_suffix(".depth.png"), i)
        pose = turned(2.0 * i, 0.1 * i)
        pose[:3, :3] *= 1.0005  # the data set's own are no better
        np.savetxt(stem.with_suffix(".pose.txt"), pose)
    return folder
