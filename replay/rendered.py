"""The built-in sequence: a hand-held walk through a procedural room, with exact truth."""

from collections.abc import Iterator
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Self

import numpy as np
import simplejpeg
from numpy.typing import NDArray

from mapcast_client.errors import InputError
from mapcast_client.v1 import ingest_pb2
from replay.frame_cache import FrameCache, key_of
from replay.room.path import walk
from replay.room.room import Room
from replay.room.sensor import sense
from replay.room.view import View
from replay.sequence import RGBD, Sensor, frame_range, read_ahead
from slam.camera import Calibration, Camera
from slam.trajectory import Trajectory

CAMERA = Camera(640, 480, 525.0, 525.0, 319.5, 239.5)
DEPTH_SCALE_M = 0.0002
JPEG_QUALITY = 92
_RATE_HZ = 30


@dataclass(frozen=True, slots=True)
class RenderedSettings:
    """Which walk through which room."""

    frames: int = 900
    seed: int = 0
    """Varies the path, the clutter and the noise."""
    noise: bool = True
    """A Kinect's depth errors; without, depth is exact to 0.1 mm."""

    def __post_init__(self) -> None:
        if not 1 <= self.frames <= 1_000_000:
            raise InputError(f"rendered frames is {self.frames}, must be 1 to 1000000")
        if not 0 <= self.seed < 2**31:
            raise InputError(f"rendered seed is {self.seed}, must be 0 to 2147483647")

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read `rendered` or `rendered:frames=900,seed=3,noise=0`. Raises InputError."""
        values: dict[str, int] = {}
        known = {field.name for field in fields(cls)}
        for part in filter(None, text.partition(":")[2].split(",")):
            name, _, value = part.partition("=")
            if name not in known or not value.isdecimal():
                raise InputError(f"{text!r}: {part!r} is not one of {sorted(known)}=NUMBER")
            values[name] = int(value)
        return cls(values.get("frames", 900), values.get("seed", 0), bool(values.get("noise", 1)))


class RenderedSequence:
    """The rendered room as a Sequence: frames are rendered as they are read.

    The same settings give the same bytes, whatever the number of threads.
    """

    sensor: Sensor = RGBD
    frame_rate_hz = float(_RATE_HZ)

    def __init__(self, settings: RenderedSettings, cache: Path | None = None) -> None:
        """`cache`: a folder where rendered frames are kept (a quarter of a megabyte each)."""
        self._settings = settings
        self._cache = None
        if cache is not None:
            self._cache = FrameCache(cache / "rendered", key_of(_sources(), repr(settings)))
        self.name = f"rendered room, {settings.frames} frames, seed {settings.seed}"
        self.calibration = Calibration(CAMERA, DEPTH_SCALE_M, 0, self.frame_rate_hz)
        capture_ns = np.arange(settings.frames, dtype=np.int64) * 1_000_000_000 // _RATE_HZ
        self.ground_truth = Trajectory(capture_ns, walk(settings.frames, _RATE_HZ, settings.seed))

    def __len__(self) -> int:
        return self._settings.frames

    @property
    def room(self) -> Room:
        """The room, built at first use (a second or two)."""
        return Room.of(self._settings.seed)

    def frames(self, limit: int | None = None, start: int = 0) -> Iterator[ingest_pb2.Frame]:
        """Render at most `limit` frames from `start`, a few ahead in one thread."""
        return read_ahead(map(self._frame, frame_range(len(self), limit, start)))

    def _frame(self, index: int) -> ingest_pb2.Frame:
        """One frame, from the cache where it has it."""
        kept = self._cache.load(index) if self._cache else None
        if kept is not None:
            return kept
        frame = self._rendered(index)
        if self._cache:
            self._cache.store(index, frame)
        return frame

    def view(self, index: int) -> View:
        """Render the exact view of one frame."""
        return self.room.render(CAMERA, self.ground_truth.world_from_camera[index])

    def surface(self) -> "ObservedRoom":
        """The room's true surface, and what of it this walk sees: the reference for its map."""
        return ObservedRoom(self.room, self.ground_truth)

    def _rendered(self, index: int) -> ingest_pb2.Frame:
        """Render, sense and encode one frame; depth travels raw, which costs nothing to encode."""
        view = self.view(index)
        depth_m = view.depth_m
        if self._settings.noise:
            depth_m = sense(depth_m, CAMERA.fx_px, self._settings.seed * 1_000_003 + 2 * index)
        depth = np.rint(depth_m / DEPTH_SCALE_M).astype("<u2")
        jpeg = simplejpeg.encode_jpeg(view.color, JPEG_QUALITY, colorsubsampling="420")
        size = {"width_px": CAMERA.width_px, "height_px": CAMERA.height_px}
        return ingest_pb2.Frame(
            index=index,
            capture_ns=int(self.ground_truth.capture_ns[index]),
            color=ingest_pb2.Image(encoding=ingest_pb2.IMAGE_ENCODING_JPEG, data=jpeg, **size),
            depth=ingest_pb2.Image(
                encoding=ingest_pb2.IMAGE_ENCODING_DEPTH_U16, data=depth.tobytes(), **size
            ),
        )


def _sources() -> list[Path]:
    """The code that decides what a frame looks like."""
    here = Path(__file__).resolve()
    return [here, *(here.parent / "room").glob("*.py")]


class ObservedRoom:
    """The room as a reference surface: exact distances; complete is what the sensor saw."""

    _EVERY = 30
    _STRIDE_PX = 8

    def __init__(self, room: Room, path: Trajectory) -> None:
        self._room, self._path = room, path

    def distance(self, points_world: NDArray[np.float64]) -> NDArray[np.float64]:
        """(N,) metres from each of (N, 3) points to the nearest surface."""
        return self._room.surface_distance(points_world)

    def points(self) -> NDArray[np.float64]:
        """(M, 3) surface points seen, on a grid of pixels of every 30th frame."""
        poses = self._path.world_from_camera[:: self._EVERY]
        return np.concatenate(
            [self._room.visible_points(CAMERA, pose, self._STRIDE_PX) for pose in poses]
        )
