"""The IMU beside a bag's camera: which topic, how it lies and how noisy it is, its samples."""

import logging
from collections.abc import Iterator, Mapping
from dataclasses import astuple, dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from mapcast_client.errors import InputError
from mapcast_client.v1 import ingest_pb2
from replay.imu_yaml import GUESSED_NOISE, NAME, ImuYaml
from replay.ros_frames import StaticFrames, frame_name
from replay.ros_messages import stamp_ns
from slam.camera import ImuCalibration
from slam.geometry import Mat4

if TYPE_CHECKING:
    from rosbags.highlevel import AnyReader

logger = logging.getLogger(__name__)

_IMU = "sensor_msgs/msg/Imu"
_BATCH_S = 0.05
"""About a frame's worth: a batch is sent before the frame that it leads up to."""
_LOOKED_AT = 200
"""Samples that tell what is measured, and whether gravity is in it."""
_GRAVITY_RANGE = (5.0, 20.0)
"""m/s²; the median of a carried sensor lies near 9.81, that of one which gives g near 1."""


def imu_topics(reader: "AnyReader") -> list[str]:
    """The topics of sensor_msgs/Imu."""
    return sorted({item.topic for item in reader.connections if item.msgtype == _IMU})


@dataclass(frozen=True, slots=True, eq=False)
class BagImu:
    """An IMU that a session can use."""

    topic: str
    calibration: ImuCalibration
    stamps_ns: NDArray[np.int64]
    """(N,) of its samples, ascending, by its own clock."""
    late_ns: int = 0
    """Its clock minus the camera's."""

    def batches(self, reader: "AnyReader") -> Iterator[ingest_pb2.ImuBatch]:
        """All samples by the camera's clock, in the order of time."""
        size = max(1, round(self.calibration.rate_hz * _BATCH_S))
        samples = self._samples(reader)
        while batch := list(islice(samples, size)):
            yield ingest_pb2.ImuBatch(samples=batch)

    def _samples(self, reader: "AnyReader") -> Iterator[ingest_pb2.ImuSample]:
        """In the bag's order some come early: hold them; of several of one instant one counts."""
        awaited = iter(self.stamps_ns.tolist())
        next_ns = next(awaited, None)
        held: dict[int, ingest_pb2.ImuSample] = {}
        for capture_ns, message in _messages(reader, self.topic):
            if next_ns is None:
                return
            if capture_ns < next_ns or capture_ns in held:
                continue
            held[capture_ns] = self._sample(capture_ns, message)
            while next_ns is not None and next_ns in held:
                yield held.pop(next_ns)
                next_ns = next(awaited, None)

    def _sample(self, capture_ns: int, message: Any) -> ingest_pb2.ImuSample:
        """Units are ROS's own (REP 103): rad/s and m/s², with gravity."""
        values = (*_turn(message), *_force(message))
        if not np.isfinite(values).all():
            raise InputError(f"{self.topic}: the sample of {capture_ns} ns is not finite: {values}")
        gx, gy, gz, ax, ay, az = values
        return ingest_pb2.ImuSample(
            capture_ns=capture_ns - self.late_ns, gx=gx, gy=gy, gz=gz, ax=ax, ay=ay, az=az
        )


@dataclass(frozen=True, slots=True, eq=False)
class ImuSearch:
    """Looks for the IMU beside the camera of a bag."""

    path: Path
    color_topic: str
    camera_frame: str
    """The frame_id of its images."""
    stamps_ns: Mapping[str, NDArray[np.int64]]
    """Topic → ascending instants, of the colour and of all topics with IMU samples."""

    def find(self, reader: "AnyReader", wanted: str = "") -> BagImu | None:
        """The IMU of a topic, or else the only one; None where the bag has none.

        One that cannot be used is left out with a warning that says why. It is an InputError if
        the topic is named, or if a file beside the bag calibrates it.
        """
        if not wanted and not imu_topics(reader):
            return None
        file = ImuYaml.beside(self.path)
        calibrated = None if file is None else ImuYaml.read(file, self.color_topic)
        try:
            return self._usable(reader, wanted, calibrated)
        except InputError as error:
            if wanted or calibrated is not None:
                raise
            logger.warning("%s: read without its IMU", error)
            return None

    def _usable(self, reader: "AnyReader", wanted: str, calibrated: ImuYaml | None) -> BagImu:
        topic = self._topic(reader, wanted, calibrated)
        message = self._plausible(reader, topic)
        late_ns = 0 if calibrated is None else round(calibrated.late_s * 1e9)
        stamps_ns, rate_hz = self._clock(topic, late_ns)
        camera_from_imu = self._camera_from_imu(reader, topic, message, calibrated)
        noise = None if calibrated is None else calibrated.noise
        try:
            calibration = ImuCalibration(camera_from_imu, rate_hz, *astuple(noise or GUESSED_NOISE))
        except InputError as error:
            raise InputError(f"{self.path}: {topic}: {error}") from None
        if noise is None:
            logger.warning(
                "%s: %s: how noisy the IMU is was guessed, as no bag says it: %g rad/s/√Hz and "
                "%g m/s²/√Hz; %s beside the bag tells",
                self.path,
                topic,
                calibration.gyroscope_noise,
                calibration.accelerometer_noise,
                NAME,
            )
        return BagImu(topic, calibration, stamps_ns, late_ns)

    def _topic(self, reader: "AnyReader", wanted: str, calibrated: ImuYaml | None) -> str:
        """The named one, that of the calibration, or the only one that measures both."""
        topics = imu_topics(reader)
        listed = ", ".join(topics) or "none"
        if wanted:
            if wanted not in topics:
                raise InputError(f"{self.path}: has no IMU samples on {wanted}; has {listed}")
            return wanted
        if calibrated is not None and calibrated.topic in topics:
            return calibrated.topic
        whole = [topic for topic in topics if _measures_both(_beginning(reader, topic))]
        if len(whole) > 1:
            raise InputError(
                f"{self.path}: has several IMUs, {', '.join(whole)}; name one with --imu-topic "
                f"of `mapcast convert`, or as rostopic in {NAME} beside the bag"
            )
        if not whole:
            raise InputError(
                f"{self.path}: no topic has samples with both angular velocity and acceleration; "
                f"has {listed}"
            )
        return whole[0]

    def _plausible(self, reader: "AnyReader", topic: str) -> Any:
        """Check what the first samples say of the units; returns the first message."""
        messages = _beginning(reader, topic)
        if not _measures_both(messages):
            raise InputError(
                f"{self.path}: {topic}: the first {len(messages)} samples do not have both angular "
                "velocity and acceleration"
            )
        median = float(np.median(np.linalg.norm([_force(message) for message in messages], axis=1)))
        least, most = _GRAVITY_RANGE
        if not least <= median <= most:
            raise InputError(
                f"{self.path}: {topic}: acceleration is {median:.3g} in the median of the first "
                f"{len(messages)} samples, must be {least:g} to {most:g}: m/s² with gravity"
            )
        return messages[0]

    def _clock(self, topic: str, late_ns: int) -> tuple[NDArray[np.int64], float]:
        """Its samples' instants and their rate, where they are those of the frames."""
        stamps_ns, frames_ns = self.stamps_ns[topic], self.stamps_ns[self.color_topic]
        if len(stamps_ns) < 2:
            raise InputError(f"{self.path}: {topic} has {len(stamps_ns)} instants, must have 2")
        first_ns, last_ns = (int(stamps_ns[row]) - late_ns for row in (0, -1))
        if last_ns < frames_ns[0] or first_ns > frames_ns[-1]:
            raise InputError(
                f"{self.path}: {topic} is of {first_ns} to {last_ns} ns, the images of "
                f"{frames_ns[0]} to {frames_ns[-1]} ns: not at the same time"
            )
        return stamps_ns, float(1e9 / np.median(np.diff(stamps_ns)))

    def _camera_from_imu(
        self, reader: "AnyReader", topic: str, message: Any, calibrated: ImuYaml | None
    ) -> Mat4:
        """A calibration's, else from /tf_static.

        Two sensors are never in one place: the same frame_id means that nobody cared to set it.
        """
        if calibrated is not None and calibrated.camera_from_imu is not None:
            return calibrated.camera_from_imu
        camera, imu = frame_name(self.camera_frame), frame_name(message.header.frame_id)
        found = None
        if camera and imu and camera != imu:
            found = StaticFrames.read(reader).between(camera, imu)
        if found is None:
            raise InputError(
                f"{self.path}: nothing says how the IMU of {topic} (frame {imu!r}) lies against "
                f"the camera (frame {camera!r}): neither /tf_static nor T_cam_imu in {NAME} "
                "beside the bag"
            )
        return found


def _beginning(reader: "AnyReader", topic: str) -> list[Any]:
    return [message for _, message in islice(_messages(reader, topic), _LOOKED_AT)]


def _measures_both(messages: list[Any]) -> bool:
    """Whether angular velocity and acceleration are there.

    What is not measured has a covariance of −1 (sensor_msgs/Imu), or is all zeros where drivers
    give each sensor a topic.
    """
    if not messages:
        return False
    first = messages[0]
    both = (first.angular_velocity_covariance, first.linear_acceleration_covariance)
    is_declared = all(covariance[0] != -1 for covariance in both)
    return is_declared and all(
        np.any([axes(message) for message in messages]) for axes in (_turn, _force)
    )


def _turn(message: Any) -> tuple[float, float, float]:
    turn = message.angular_velocity
    return turn.x, turn.y, turn.z


def _force(message: Any) -> tuple[float, float, float]:
    force = message.linear_acceleration
    return force.x, force.y, force.z


def _messages(reader: "AnyReader", topic: str) -> Iterator[tuple[int, Any]]:
    """(stamp, message) of one topic, in the bag's order."""
    connections = [
        item for item in reader.connections if item.topic == topic and item.msgtype == _IMU
    ]
    for connection, _, data in reader.messages(connections=connections):
        yield stamp_ns(data, not reader.is2), reader.deserialize(data, connection.msgtype)
