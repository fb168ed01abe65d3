"""A folder of pictures, one per frame, as the recording of one camera."""

import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mapcast_client.errors import FrameError, InputError
from mapcast_client.v1 import ingest_pb2
from replay.intrinsics import Intrinsics
from replay.sequence import (
    MONO,
    Sensor,
    frame_range,
    median_rate_hz,
    read_ahead,
    read_image_file,
)
from replay.upright import upright
from slam.camera import Calibration
from slam.images import color_size

RATE_HZ = 30.0
_SUFFIXES = (".jpg", ".jpeg", ".png", ".webp")
_FEWEST = 2
_NS_PER_UNIT = {19: 1, 16: 1_000, 13: 1_000_000}
"""By the number of digits that today's clock has in nano-, micro- and milliseconds."""
_SECONDS = re.compile(r"(\d{9,10})\.(\d{1,9})")


class ImagesSequence:
    """JPEG, PNG or WebP files of one size in the order of their names, numbers by their value.

    Names that are times (nano-, micro- or milliseconds since 1970 as EuRoC has them, or seconds
    with a point as TUM has them) say when; else time is index over rate.

    Files travel as they are. Only those whose EXIF orientation says that they lie on a side are
    turned upright and encoded anew.
    """

    sensor: Sensor = MONO
    ground_truth = None

    @staticmethod
    def recognises(path: Path) -> bool:
        """Whether a folder holds pictures."""
        return path.is_dir() and len(_pictures(path)) >= _FEWEST

    def __init__(
        self, path: Path, intrinsics: Intrinsics | None = None, rate_hz: float = RATE_HZ
    ) -> None:
        """List a folder. Raises InputError without pictures, or for an unusable first one.

        `intrinsics` are those of the upright picture.
        """
        self.name = path.resolve().name
        self._files = _pictures(path)
        if not self._files:
            raise InputError(f"{path}: no picture ({', '.join(_SUFFIXES)})")
        self._capture_ns = _instants_ns([file.stem for file in self._files], rate_hz)
        self.frame_rate_hz = median_rate_hz(self._capture_ns)
        self.size_px = self._read(0)[1]
        self.calibration = None
        if intrinsics is not None:
            camera = intrinsics.camera(self.size_px, self.size_px)
            self.calibration = Calibration(camera, frame_rate_hz=self.frame_rate_hz)

    def __len__(self) -> int:
        return len(self._files)

    def frames(self, limit: int | None = None, start: int = 0) -> Iterator[ingest_pb2.Frame]:
        """Read at most `limit` frames from `start`, a few ahead in one thread."""
        return read_ahead(map(self._frame, frame_range(len(self), limit, start)))

    def _frame(self, index: int) -> ingest_pb2.Frame:
        """One frame, upright. Raises InputError for one of another size."""
        frame, size_px = self._read(index)
        if size_px != self.size_px:
            raise InputError(
                f"{self._files[index]}: {size_px[0]}x{size_px[1]} px, must be {self.size_px[0]}x"
                f"{self.size_px[1]} px as {self._files[0].name}"
            )
        frame.color.width_px, frame.color.height_px = size_px
        return frame

    def _read(self, index: int) -> tuple[ingest_pb2.Frame, tuple[int, int]]:
        """A frame, and its width and height."""
        file = self._files[index]
        frame = ingest_pb2.Frame(index=index, capture_ns=int(self._capture_ns[index]))
        try:
            frame.color.CopyFrom(upright(read_image_file(file)))
            return frame, color_size(frame)
        except FrameError as error:
            raise InputError(f"{file}: {error}") from None


def _pictures(folder: Path) -> list[Path]:
    """A folder's picture files, 2.png before 10.png."""
    try:
        files = [path for path in folder.iterdir() if path.suffix.lower() in _SUFFIXES]
    except OSError as error:
        raise InputError(f"{folder}: {error.strerror}") from None
    return sorted((file for file in files if file.is_file()), key=_natural)


def _natural(path: Path) -> list[tuple[int, str]]:
    """Digits by value, then letters."""
    parts = re.split(r"(\d+)", path.name)
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in parts]


def _instants_ns(stems: list[str], rate_hz: float) -> NDArray[np.int64]:
    """(N,) the times in the names where all are times and increase, else index over rate."""
    if not 0 < rate_hz <= 1000:
        raise InputError(f"rate_hz is {rate_hz}, must be in (0, 1000]")
    named = [_time_ns(stem) for stem in stems]
    times = [instant for instant in named if instant is not None]
    if len(times) == len(stems) and all(np.diff(times) > 0):
        return np.array(times, np.int64)
    by_rate: NDArray[np.int64] = np.rint(np.arange(len(stems)) * (1e9 / rate_hz)).astype(np.int64)
    return by_rate


def _time_ns(stem: str) -> int | None:
    """Nanoseconds since 1970 that a name means; None where it is no time."""
    if stem.isdecimal() and len(stem) in _NS_PER_UNIT:
        return int(stem) * _NS_PER_UNIT[len(stem)]
    if seconds := _SECONDS.fullmatch(stem):
        return int(seconds[1]) * 1_000_000_000 + int(seconds[2].ljust(9, "0"))
    return None
