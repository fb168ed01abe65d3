"""ROS 1 and ROS 2 bags: colour, depth, their camera_info and an IMU, read with rosbags."""

import logging
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from mapcast_client.errors import DependencyError, InputError
from mapcast_client.v1 import ingest_pb2
from replay.association import associate
from replay.intrinsics import Intrinsics
from replay.ros_imu import BagImu, ImuSearch, imu_topics
from replay.ros_messages import (
    COLOR_ENCODINGS,
    DEPTH_ENCODINGS,
    camera_of,
    color_image,
    depth_image,
    stamp_ns,
)
from replay.sequence import (
    MONO,
    MONO_IMU,
    RGBD,
    Sensor,
    frame_range,
    median_rate_hz,
    read_ahead,
)
from slam.camera import Calibration
from slam.images import color_size

if TYPE_CHECKING:
    from rosbags.highlevel import AnyReader

logger = logging.getLogger(__name__)

_ASSOCIATION_NS = 20_000_000
_IMAGES = ("sensor_msgs/msg/Image", "sensor_msgs/msg/CompressedImage")
_CAMERA_INFO = "sensor_msgs/msg/CameraInfo"


@dataclass(frozen=True, slots=True)
class Topics:
    """Which topics of a bag are a sequence; an empty name is to be found."""

    color: str = ""
    depth: str | None = ""
    """None: left out. The recording is monocular, as one where none is found."""
    imu: str | None = ""
    """None: left out. One is read with colour alone: no session takes depth and an IMU."""


class RosBagSequence:
    """A bag as a sequence: colour and depth associated within 20 ms by their headers' stamps.

    Implements `InertialSequence` where an IMU is beside a camera that has no depth.
    """

    @staticmethod
    def recognises(path: Path) -> bool:
        """Whether it is named or laid out as a bag: a .bag file, a folder with a metadata.yaml."""
        return path.suffix == ".bag" if path.is_file() else (path / "metadata.yaml").is_file()

    def __init__(
        self, path: Path, topics: Topics | None = None, intrinsics: Intrinsics | None = None
    ) -> None:
        """Find the topics and index the stamps: reads the bag once.

        `intrinsics` are of the colour camera, instead of camera_info, where there is no depth.
        Raises InputError where there is no colour, no camera_info beside depth, an IMU was named
        that cannot be used, or the bag cannot be read; DependencyError without rosbags.
        """
        self.name = path.stem
        self._path = path
        wanted = topics or Topics()
        with closing(_open(path)) as reader:
            self._color, self._depth = _found(reader, wanted, path)
            imus = [] if self._depth else imu_topics(reader)
            stamps = _stamps(reader, [self._color, self._depth, *imus])
            if len(stamps[self._color]) == 0:
                raise InputError(f"{path}: no images on {self._color}")
            self._pairs = _pairs(stamps[self._color], stamps.get(self._depth), path)
            self.frame_rate_hz = median_rate_hz(self._pairs[:, 0])
            self.calibration = self._calibration(reader, intrinsics)
            self._imu = None if wanted.imu is None else self._found_imu(reader, wanted.imu, stamps)
        self.sensor: Sensor = RGBD if self._depth else MONO
        if self._imu is not None and self.calibration is not None:
            self.sensor = MONO_IMU
            self.calibration = replace(self.calibration, imu=self._imu.calibration)
        self.ground_truth = None

    def __len__(self) -> int:
        return len(self._pairs)

    def frames(self, limit: int | None = None, start: int = 0) -> Iterator[ingest_pb2.Frame]:
        """Read at most `limit` frames from `start`, a few ahead in one thread."""
        return read_ahead(self._frames(frame_range(len(self), limit, start)))

    def imu(self) -> Iterator[ingest_pb2.ImuBatch]:
        """All samples, in the order of time; none unless the sensor is `mono_imu`."""
        return read_ahead(self._imu_batches())

    def _imu_batches(self) -> Iterator[ingest_pb2.ImuBatch]:
        if self._imu is not None:
            with closing(_open(self._path)) as reader:
                yield from self._imu.batches(reader)

    def _frames(self, wanted: range) -> Iterator[ingest_pb2.Frame]:
        """In the bag's order the two images of a frame may be apart: hold what waits."""
        row_of = [{int(self._pairs[row, column]): row for row in wanted} for column in (0, 1)]
        images: list[dict[int, ingest_pb2.Image]] = [{}, {}]
        rows = iter(wanted)
        row = next(rows, None)
        with closing(_open(self._path)) as reader:
            for column, capture_ns, message in self._messages(reader):
                if row is None:
                    return
                at = row_of[column].get(capture_ns)
                if at is None:
                    continue
                where = f"{self._path}: frame {at}"
                read = depth_image if column else color_image
                images[column][at] = read(message(), where)
                while row is not None and all(row in held for held in images[: self._columns]):
                    yield self._frame(row, images)
                    row = next(rows, None)

    @property
    def _columns(self) -> int:
        return 2 if self._depth else 1

    def _frame(self, row: int, images: list[dict[int, ingest_pb2.Image]]) -> ingest_pb2.Frame:
        color, depth = images[0].pop(row), images[1].pop(row, None)
        return ingest_pb2.Frame(
            index=row, capture_ns=int(self._pairs[row, 0]), color=color, depth=depth
        )

    def _messages(self, reader: "AnyReader") -> Iterator[tuple[int, int, Any]]:
        """(0 colour or 1 depth, stamp, what deserialises it) of every image, in the bag's order."""
        topics = (self._color, self._depth)
        connections = [item for item in reader.connections if item.topic in topics]
        for connection, _, data in reader.messages(connections=connections):
            capture_ns = stamp_ns(data, not reader.is2)

            def message(data: bytes = data, kind: str = connection.msgtype) -> Any:
                return reader.deserialize(data, kind)

            yield topics.index(connection.topic), capture_ns, message

    def _calibration(
        self, reader: "AnyReader", intrinsics: Intrinsics | None
    ) -> Calibration | None:
        """Of the colour camera, to which depth must be registered."""
        if intrinsics is not None:
            if self._depth:
                raise InputError(
                    f"{self._path}: it brings its own calibration; depth can be left out as mono"
                )
            size_px = self._size_px(reader)
            camera = intrinsics.camera(size_px, size_px)
            return Calibration(camera, frame_rate_hz=self.frame_rate_hz)
        names = _info_topics(self._color)
        for connection in reader.connections:
            if connection.topic in names and connection.msgtype == _CAMERA_INFO:
                for _, _, data in reader.messages(connections=[connection]):
                    message = reader.deserialize(data, connection.msgtype)
                    where = f"{self._path}: {connection.topic}"
                    camera = camera_of(message, where, "image_rect" in self._color)
                    return Calibration(camera, 0.001, 0, self.frame_rate_hz)
        if self._depth:
            raise InputError(f"{self._path}: has depth and none of the topics {', '.join(names)}")
        return None

    def _size_px(self, reader: "AnyReader") -> tuple[int, int]:
        image = color_image(_first(reader, self._color), f"{self._path}: frame 0")
        return color_size(ingest_pb2.Frame(color=image))

    def _found_imu(
        self, reader: "AnyReader", wanted: str, stamps: dict[str, NDArray[np.int64]]
    ) -> BagImu | None:
        """The IMU that a session can use; None without one, or with a word on why not."""
        reason = ""
        if self._depth:
            reason = "an IMU is read with colour alone: --mono leaves out the depth"
        elif self.calibration is None:
            reason = "an IMU needs a known camera: no camera_info, and none was given"
        if not reason:
            frame_id = _first(reader, self._color).header.frame_id
            search = ImuSearch(self._path, self._color, frame_id, stamps)
            return search.find(reader, wanted)
        if wanted:
            raise InputError(f"{self._path}: {reason}; {wanted} was asked for")
        if topics := imu_topics(reader):
            level = logging.INFO if self._depth else logging.WARNING
            logger.log(level, "%s: %s was not read: %s", self._path, ", ".join(topics), reason)
        return None


def _found(reader: "AnyReader", wanted: Topics, path: Path) -> tuple[str, str]:
    """Colour and depth that were asked for, or by the encoding of their first image.

    An empty depth: there is none.
    """
    color, depth = wanted.color, wanted.depth
    images = [item for item in reader.connections if item.msgtype in _IMAGES]
    for name in filter(None, (color, depth)):
        if name not in {item.topic for item in images}:
            raise InputError(f"{path}: has no images on {name}; has {_listed(images)}")
    for connection in sorted(images, key=_preference):
        encoding = _encoding(reader, connection)
        if not color and encoding in COLOR_ENCODINGS:
            color = connection.topic
        elif depth == "" and encoding in DEPTH_ENCODINGS:
            depth = connection.topic
    if not color:
        raise InputError(f"{path}: no topic with colour images; has {_listed(images)}")
    return color, depth or ""


def _preference(connection: Any) -> tuple[bool, bool, str]:
    """Depth that is registered to colour first, and colour named so before infrared."""
    name = connection.topic
    is_registered = any(word in name for word in ("aligned", "registered"))
    return not is_registered, not ("color" in name or "rgb" in name), name


def _first(reader: "AnyReader", topic: str) -> Any:
    """The first message of a topic that has some."""
    connections = [item for item in reader.connections if item.topic == topic]
    connection, _, data = next(iter(reader.messages(connections=connections)))
    return reader.deserialize(data, connection.msgtype)


def _encoding(reader: "AnyReader", connection: Any) -> str:
    for _, _, data in reader.messages(connections=[connection]):
        message: Any = reader.deserialize(data, connection.msgtype)
        if not hasattr(message, "format"):
            return str(message.encoding)
        is_depth = "compressedDepth" in message.format or message.format.startswith("16UC1")
        return "16UC1" if is_depth else "rgb8"
    return ""


def _listed(connections: list[Any]) -> str:
    return ", ".join(sorted(item.topic for item in connections)) or "no images at all"


def _info_topics(color: str) -> list[str]:
    """camera_info lies beside the image: /camera/rgb/image_raw → /camera/rgb/camera_info."""
    above = color.rsplit("/", 1)[0]
    return [f"{above}/camera_info", f"{above.rsplit('/', 1)[0]}/camera_info"]


def _stamps(reader: "AnyReader", topics: list[str]) -> dict[str, NDArray[np.int64]]:
    """Topic → its messages' instants, ascending."""
    wanted = [item for item in reader.connections if item.topic in topics]
    stamps: dict[str, list[int]] = {item.topic: [] for item in wanted}
    for connection, _, data in reader.messages(connections=wanted):
        stamps[connection.topic].append(stamp_ns(data, not reader.is2))
    return {topic: np.unique(np.array(values, np.int64)) for topic, values in stamps.items()}


def _pairs(
    colors_ns: NDArray[np.int64], depths_ns: NDArray[np.int64] | None, path: Path
) -> NDArray[np.int64]:
    """(N, 2) instants of the colour and the depth image of each frame."""
    if depths_ns is None:
        return np.column_stack([colors_ns, colors_ns])
    pairs = associate(colors_ns, depths_ns, _ASSOCIATION_NS)
    if len(pairs) == 0:
        raise InputError(f"{path}: no colour image is within 20 ms of a depth image")
    return np.column_stack([colors_ns[pairs[:, 0]], depths_ns[pairs[:, 1]]])


def _open(path: Path) -> "AnyReader":
    try:
        from rosbags.highlevel import AnyReader, AnyReaderError
        from rosbags.typesys import Stores, get_typestore
    except ImportError:
        raise DependencyError("ROS bags need rosbags: pip install 'mapcast[convert]'") from None
    try:
        reader = AnyReader([path], default_typestore=get_typestore(Stores.ROS2_HUMBLE))
        reader.open()
    except (AnyReaderError, OSError, ValueError) as error:
        raise InputError(f"{path}: cannot be read as a ROS bag: {error}") from None
    return reader
