"""Microsoft 7-Scenes: a folder of frame-NNNNNN.{color,depth,pose} files of one sequence."""

import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mapcast_client.errors import InputError
from mapcast_client.v1 import ingest_pb2
from replay.sequence import RGBD, Sensor, frame_range, read_ahead, read_image_file
from slam.camera import Calibration, Camera
from slam.geometry import Mat4, require_rigid
from slam.trajectory import Trajectory

_RATE_HZ = 30
_COLOR = re.compile(r"frame-(\d{6})\.color\.(jpg|png)")
_INTRINSICS = "camera-intrinsics.txt"


class SevenScenesSequence:
    """Depth in millimetres, 65535 where there is none; time is index / 30 s."""

    sensor: Sensor = RGBD
    frame_rate_hz = float(_RATE_HZ)

    @staticmethod
    def recognises(path: Path) -> bool:
        """Whether a folder holds such frames."""
        return path.is_dir() and any(
            _COLOR.fullmatch(p.name) and _depth_of(p).exists() for p in path.glob("frame-*.color.*")
        )

    def __init__(self, path: Path) -> None:
        """Index a folder. Raises InputError if the numbering has gaps or a pose is unusable."""
        self.name = path.name
        self._colors = sorted(p for p in path.iterdir() if _COLOR.fullmatch(p.name))
        _require_consecutive(path, self._colors)
        self.calibration = Calibration(
            _camera(path / _INTRINSICS), 0.001, 0xFFFF, self.frame_rate_hz
        )
        self.ground_truth = self._read_ground_truth()

    def __len__(self) -> int:
        return len(self._colors)

    def frames(self, limit: int | None = None, start: int = 0) -> Iterator[ingest_pb2.Frame]:
        """Read at most `limit` frames from `start`, a few ahead in one thread."""
        return read_ahead(map(self._frame, frame_range(len(self), limit, start)))

    def _frame(self, index: int) -> ingest_pb2.Frame:
        """One frame as its files' bytes."""
        color = self._colors[index]
        return ingest_pb2.Frame(
            index=index,
            capture_ns=_capture_ns(index),
            color=read_image_file(color),
            depth=read_image_file(_depth_of(color)),
        )

    def _read_ground_truth(self) -> Trajectory | None:
        """All poses, or None where the sequence has none (test sets come without)."""
        paths = [_pose_of(color) for color in self._colors]
        if not paths[0].exists():
            return None
        poses = np.array([_read_pose(path) for path in paths])
        return Trajectory(np.array([_capture_ns(i) for i in range(len(paths))], np.int64), poses)


def _capture_ns(index: int) -> int:
    """Frames have no timestamps: index / 30 s."""
    return index * 1_000_000_000 // _RATE_HZ


def _depth_of(color: Path) -> Path:
    return color.with_name(color.name[:12] + ".depth.png")


def _pose_of(color: Path) -> Path:
    return color.with_name(color.name[:12] + ".pose.txt")


def _require_consecutive(path: Path, colors: list[Path]) -> None:
    """Raise InputError that names the first missing frame."""
    numbers = [int(p.name[6:12]) for p in colors]
    for expected, number in enumerate(numbers, numbers[0] if numbers else 0):
        if number != expected:
            raise InputError(f"{path}: frame-{expected:06d}.color.jpg (or .png) is missing")


def _camera(intrinsics: Path) -> Camera:
    """The colour-and-depth camera: a 3 × 3 matrix in a file, or the data set's default."""
    if not intrinsics.exists():
        return Camera(640, 480, 585.0, 585.0, 320.0, 240.0)
    matrix = _read_matrix(intrinsics, (3, 3))
    return Camera(640, 480, matrix[0, 0], matrix[1, 1], matrix[0, 2], matrix[1, 2])


def _read_pose(path: Path) -> Mat4:
    """world_from_camera; KinectFusion wrote them, a few 1e-4 from orthonormal."""
    return require_rigid(_read_matrix(path, (4, 4)), str(path))


def _read_matrix(path: Path, shape: tuple[int, int]) -> NDArray[np.float64]:
    """A matrix from a text file. Raises InputError that names the file."""
    try:
        values = np.array(path.read_text().split(), np.float64)
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}") from None
    except ValueError:
        raise InputError(f"{path}: not a matrix of numbers") from None
    if values.size != shape[0] * shape[1]:
        raise InputError(f"{path}: has {values.size} numbers, must be {shape[0]} × {shape[1]}")
    return values.reshape(shape)
