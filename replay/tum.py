"""TUM RGB-D (Sturm et al. 2012): rgb.txt, depth.txt, groundtruth.txt and the images they name."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation, Slerp

from mapcast_client.errors import InputError
from mapcast_client.v1 import ingest_pb2
from replay.association import associate
from replay.sequence import RGBD, Sensor, frame_range, median_rate_hz, read_ahead, read_image_file
from slam.camera import Calibration, Camera
from slam.trajectory import Trajectory

DEPTH_SCALE_M = 1 / 5000
_ASSOCIATION_NS = 20_000_000
_TRUTH_GAP_NS = 100_000_000
"""Between ground-truth poses further apart than this the truth is not known."""

_FREIBURG = {
    "freiburg1": Camera(
        640, 480, 517.3, 516.5, 318.6, 255.3, (0.2624, -0.9531, -0.0054, 0.0026, 1.1633)
    ),
    "freiburg2": Camera(
        640, 480, 520.9, 521.0, 325.1, 249.7, (0.2312, -0.7849, -0.0033, -0.0001, 0.9172)
    ),
    "freiburg3": Camera(640, 480, 535.4, 539.2, 320.1, 247.6),
}
_ROS_DEFAULT = Camera(640, 480, 525.0, 525.0, 319.5, 239.5)


class TumSequence:
    """Colour and depth associated within 20 ms; the colour image's instant is the frame's."""

    sensor: Sensor = RGBD

    @staticmethod
    def recognises(path: Path) -> bool:
        """Whether a folder is such a recording."""
        return (path / "rgb.txt").is_file() and (path / "depth.txt").is_file()

    def __init__(self, path: Path) -> None:
        """Read the lists. Raises InputError for unreadable ones, or when nothing matches."""
        self.name = path.resolve().name
        colors, depths = _ImageList.read(path / "rgb.txt"), _ImageList.read(path / "depth.txt")
        pairs = associate(colors.capture_ns, depths.capture_ns, _ASSOCIATION_NS)
        if len(pairs) == 0:
            raise InputError(
                f"{path}: no image of rgb.txt ({len(colors.paths)}) is within 20 ms of one of "
                f"depth.txt ({len(depths.paths)})"
            )
        self._capture_ns = colors.capture_ns[pairs[:, 0]]
        self._files = [(colors.paths[c], depths.paths[d]) for c, d in pairs]
        self.frame_rate_hz = median_rate_hz(self._capture_ns)
        self.calibration = Calibration(camera_of(self.name), DEPTH_SCALE_M, 0, self.frame_rate_hz)
        self.ground_truth = self._read_ground_truth(path / "groundtruth.txt")

    def __len__(self) -> int:
        return len(self._files)

    def frames(self, limit: int | None = None, start: int = 0) -> Iterator[ingest_pb2.Frame]:
        """Read at most `limit` frames from `start`, a few ahead in one thread."""
        return read_ahead(map(self._frame, frame_range(len(self), limit, start)))

    def _frame(self, index: int) -> ingest_pb2.Frame:
        """One frame as its files' bytes."""
        color, depth = self._files[index]
        return ingest_pb2.Frame(
            index=index,
            capture_ns=int(self._capture_ns[index]),
            color=read_image_file(color),
            depth=read_image_file(depth),
        )

    def _read_ground_truth(self, path: Path) -> Trajectory | None:
        """The true poses at the frames' instants; None if there is no file."""
        if not path.exists():
            return None
        truth = Trajectory.from_tum(_read_text(path), path)
        return interpolate(truth, self._capture_ns)


@dataclass(frozen=True, slots=True)
class _ImageList:
    """Instants and files of rgb.txt or depth.txt, in the order of time."""

    capture_ns: NDArray[np.int64]
    paths: list[Path]

    @classmethod
    def read(cls, path: Path) -> "_ImageList":
        """Read lines of `timestamp_s file`. Raises InputError with the line's number."""
        entries: list[tuple[int, Path]] = []
        for number, line in enumerate(_read_text(path).splitlines(), 1):
            fields = line.split("#", 1)[0].split()
            if not fields:
                continue
            seconds, _, fraction = fields[0].partition(".")
            if len(fields) != 2 or not (seconds + fraction).isdecimal():
                raise InputError(f"{path}, line {number}: needs a time and a file: {line!r}")
            instant_ns = int(seconds) * 1_000_000_000 + int(fraction[:9].ljust(9, "0"))
            entries.append((instant_ns, path.parent / fields[1]))
        entries.sort()
        return cls(np.array([ns for ns, _ in entries], np.int64), [file for _, file in entries])


def camera_of(name: str) -> Camera:
    """Intrinsics by the camera's name in a folder's name; the ROS default for all others."""
    return next((camera for key, camera in _FREIBURG.items() if key in name), _ROS_DEFAULT)


def interpolate(truth: Trajectory, capture_ns: NDArray[np.int64]) -> Trajectory:
    """The true poses at those of the given instants where they are known.

    Linear in position, spherical in rotation; unknown outside the trajectory and in its gaps.
    """
    order = np.argsort(truth.capture_ns, kind="stable")
    times, first = np.unique(truth.capture_ns[order], return_index=True)
    poses = truth.world_from_camera[order][first]
    if len(times) < 2:
        return Trajectory(np.zeros(0, np.int64), np.zeros((0, 4, 4)))
    before = np.clip(np.searchsorted(times, capture_ns, side="right") - 1, 0, len(times) - 2)
    gap_ns = times[before + 1] - times[before]
    known = (capture_ns >= times[0]) & (capture_ns <= times[-1]) & (gap_ns <= _TRUTH_GAP_NS)
    wanted, before = capture_ns[known], before[known]
    share = ((wanted - times[before]) / (times[before + 1] - times[before]))[:, None]
    result = np.tile(np.eye(4), (len(wanted), 1, 1))
    result[:, :3, 3] = poses[before, :3, 3] * (1 - share) + poses[before + 1, :3, 3] * share
    if len(wanted):
        since_s = (times - times[0]) * 1e-9
        slerp = Slerp(since_s, Rotation.from_matrix(poses[:, :3, :3]))
        result[:, :3, :3] = slerp((wanted - times[0]) * 1e-9).as_matrix()
    return Trajectory(wanted, result)


def _read_text(path: Path) -> str:
    """A text file's content. Raises InputError that names it."""
    try:
        return path.read_text()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: cannot be read: {error}") from None
