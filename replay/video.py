"""Video files of any container and codec that FFmpeg reads, as recordings of one camera."""

from collections.abc import Generator, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from mapcast_client.errors import DependencyError, InputError
from mapcast_client.v1 import ingest_pb2
from replay.intrinsics import Intrinsics
from replay.picture import PictureLayout
from replay.sequence import MONO, Sensor, frame_range, median_rate_hz, read_ahead
from slam.camera import Calibration

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.video.frame import VideoFrame
    from av.video.stream import VideoStream

RATE_HZ = 30.0
"""What monocular tracking needs at most: of a 60 Hz video every second frame is sent."""
MAX_SIDE_PX = 1280
"""Full HD takes twice the time per frame and tracks no better."""
_UNEVEN = 1.1
"""How much faster than asked frames may come, for a steady beat: 61 Hz becomes 30.5, not 20."""


class VideoSequence:
    """Decoded frames as raw planes: nothing is encoded a second time.

    Frames come upright, at the instants that the file gives them. Frames between those that
    `rate_hz` asks for are skipped, larger pictures than `max_side_px` made smaller.
    """

    sensor: Sensor = MONO
    ground_truth = None

    def __init__(
        self,
        path: Path,
        intrinsics: Intrinsics | None = None,
        rate_hz: float = RATE_HZ,
        max_side_px: int = MAX_SIDE_PX,
    ) -> None:
        """Index a file: its first frame is decoded, the others are counted.

        `intrinsics` are those of the upright picture as recorded. Raises InputError when it is no
        video that can be decoded, DependencyError without PyAV.
        """
        self.name = path.name
        self._path = path
        with _opened(path) as (container, stream):
            first = next(container.decode(stream), None)
            if first is None:
                raise InputError(f"{path}: a video without a frame")
            aspect = float(stream.sample_aspect_ratio or 1)
            self._layout = PictureLayout.of(first, aspect, max_side_px)
        with _opened(path) as (container, stream):
            self._index = _Index.of(container, stream)
        self._interval_ns = _interval_ns(self._index.shown_ns, rate_hz)
        beat = _Beat(self._interval_ns)
        kept_ns = np.array([at_ns for at_ns in self._index.shown_ns if beat.takes(at_ns)], np.int64)
        if len(kept_ns) == 0:
            raise InputError(
                f"{path}: its frames have no times; put it into a container (MP4, MKV)"
            )
        self._count = len(kept_ns)
        self.frame_rate_hz = median_rate_hz(kept_ns)
        self.calibration = None
        if intrinsics is not None:
            camera = intrinsics.camera(self._layout.recorded_px, self._layout.size_px)
            self.calibration = Calibration(camera, frame_rate_hz=self.frame_rate_hz)

    def __len__(self) -> int:
        return self._count

    @property
    def size_px(self) -> tuple[int, int]:
        """Width and height of the frames."""
        return self._layout.size_px

    def frames(self, limit: int | None = None, start: int = 0) -> Iterator[ingest_pb2.Frame]:
        """Decode at most `limit` frames from `start`, a few ahead in one thread.

        Raises InputError, when it is reached, where the file is damaged or cut off.
        """
        return self._frames(frame_range(len(self), limit, start), is_limited=limit is not None)

    def _frames(self, indices: range, *, is_limited: bool) -> Iterator[ingest_pb2.Frame]:
        with closing(self._decoded()) as decoded:
            yield from read_ahead(map(self._frame, islice(decoded, indices.start, indices.stop)))
        found, declared = self._index.found, self._index.declared
        if found < declared and not is_limited:
            raise InputError(
                f"{self._path}: cut off after {found} of {declared} frames; with a "
                f"limit of {len(self)} what is there can be used"
            )

    def _frame(self, decoded: tuple[int, int, "VideoFrame"]) -> ingest_pb2.Frame:
        index, capture_ns, frame = decoded
        try:
            image = self._layout.image(frame)
        except _pyav().FFmpegError as error:
            raise InputError(
                f"{self._path}: frame {index} ({frame.format.name}, FFmpeg's colour space "
                f"{int(frame.colorspace)}) cannot be converted to I420: {error.strerror}"
            ) from None
        return ingest_pb2.Frame(index=index, capture_ns=capture_ns, color=image)

    def _decoded(self) -> Generator[tuple[int, int, "VideoFrame"]]:
        """Index, instant and picture of the frames that are kept."""
        beat, index = _Beat(self._interval_ns), 0
        try:
            with _opened(self._path) as (container, stream):
                for frame in container.decode(stream):
                    if frame.pts is None or frame.time_base is None:
                        continue
                    instant_ns = round(frame.pts * frame.time_base * 1_000_000_000)
                    if beat.takes(instant_ns):
                        yield index, instant_ns, frame
                        index += 1
        except InputError as error:
            raise InputError(f"{error} (after {index} frames)") from None


@dataclass(frozen=True, slots=True)
class _Index:
    """What a file's packets tell without being decoded."""

    shown_ns: list[int]
    """When each frame is shown, ascending; frames outside an edit list are decoded, not shown."""
    found: int
    """Frames with a time, shown or not."""
    declared: int
    """How many MP4 and MOV say there are; 0 for others, whose count may mean something else.

    An AVI's counts the repetitions that it leaves out.
    """

    @classmethod
    def of(cls, container: "InputContainer", stream: "VideoStream") -> Self:
        """Read a file to its end."""
        found, shown_ns = 0, []
        for packet in container.demux(stream):
            if packet.pts is None or not packet.time_base:
                continue
            found += 1
            if not packet.is_discard:
                shown_ns.append(round(packet.pts * packet.time_base * 1_000_000_000))
        # Not stream.frames: it counts, too, what an edit list leaves out altogether.
        declared = len(stream.index_entries) if "mp4" in container.format.name else 0
        return cls(sorted(shown_ns), found, declared)


class _Beat:
    """Keeps the instants that come no sooner than an interval after the last one it kept."""

    def __init__(self, interval_ns: int) -> None:
        self._interval_ns = interval_ns
        self._last_ns: int | None = None

    def takes(self, instant_ns: int) -> bool:
        """Whether to keep the next instant."""
        if self._last_ns is not None and instant_ns - self._last_ns < self._interval_ns:
            return False
        self._last_ns = instant_ns
        return True


def _interval_ns(instants_ns: list[int], rate_hz: float) -> int:
    """The least time between frames that are kept. Where the rate is low enough, it is any."""
    if not 0 < rate_hz <= 1000:
        raise InputError(f"rate_hz is {rate_hz}, must be in (0, 1000]")
    least_ns = 1e9 / (rate_hz * _UNEVEN)
    is_slow = len(instants_ns) < 2 or np.median(np.diff(instants_ns)) >= least_ns
    return 1 if is_slow else round(least_ns)


@contextmanager
def _opened(path: Path) -> Iterator[tuple["InputContainer", "VideoStream"]]:
    """A file's container and its best picture stream. What FFmpeg raises becomes InputError."""
    av: Any = _pyav()
    try:
        with av.open(str(path)) as container:
            stream = container.streams.best("video")
            if stream is None:
                raise InputError(f"{path}: {container.format.long_name} without a picture stream")
            yield container, stream
    except av.FFmpegError as error:
        raise InputError(f"{path}: cannot be decoded as a video: {error.strerror}") from None


def _pyav() -> Any:
    try:
        import av
    except ImportError as error:
        raise DependencyError(f"no PyAV ({error}): pip install 'av'") from None
    return av
