"""ROS bags of either version, with real images and IMU samples."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from rosbags.rosbag1 import Writer as Writer1
from rosbags.rosbag2 import Writer as Writer2
from rosbags.typesys import Stores, get_types_from_msg, get_typestore

from slam.geometry import pose_vector

START_NS = 1_700_000_000_000_000_000
STEP_NS = 33_000_000
WIDTH_PX, HEIGHT_PX = 64, 48
COLOR, DEPTH = "/camera/color/image_raw", "/camera/aligned_depth_to_color/image_raw"
INFRARED_DEPTH = "/camera/depth/image_rect_raw"
INFO = "/camera/color/camera_info"
IMU = "/camera/imu"
CAMERA_FRAME, IMU_FRAME = "camera_color_optical_frame", "camera_imu_frame"


def picture(number: int) -> np.ndarray:
    rng = np.random.default_rng(number)
    return rng.integers(0, 255, (HEIGHT_PX, WIDTH_PX, 3), np.uint8)


def depth(number: int) -> np.ndarray:
    return (np.arange(HEIGHT_PX * WIDTH_PX).reshape(HEIGHT_PX, WIDTH_PX) + number).astype(np.uint16)


class Bag:
    """Writes either version of a bag with real images."""

    def __init__(self, folder: Path, version: int) -> None:
        self.version = version
        self.path = folder / ("walk.bag" if version == 1 else "walk")
        self.types = get_typestore(Stores.ROS1_NOETIC if version == 1 else Stores.ROS2_HUMBLE)
        self.writer: Any = Writer1(self.path) if version == 1 else Writer2(self.path, version=9)
        self.connections: dict[str, Any] = {}
        if version == 1:  # it is no part of ROS's common messages there
            definition = "geometry_msgs/TransformStamped[] transforms"
            self.types.register(get_types_from_msg(definition, "tf2_msgs/msg/TFMessage"))

    def header(self, ns: int, frame_id: str = CAMERA_FRAME) -> Any:
        stamp = self.types.types["builtin_interfaces/msg/Time"](ns // 10**9, ns % 10**9)
        sequence = (0,) if self.version == 1 else ()
        return self.types.types["std_msgs/msg/Header"](*sequence, stamp, frame_id)

    def image(self, topic: str, ns: int, pixels: np.ndarray, encoding: str) -> None:
        row_bytes = pixels.strides[0]
        padded = np.zeros((len(pixels), row_bytes + 8), np.uint8)  # steps may be longer than rows
        padded[:, :row_bytes] = pixels.reshape(len(pixels), -1).view(np.uint8)
        kind = self.types.types["sensor_msgs/msg/Image"]
        height_px, width_px = pixels.shape[:2]
        message = kind(
            self.header(ns), height_px, width_px, encoding, 0, row_bytes + 8, padded.ravel()
        )
        self.write(topic, ns, message)

    def compressed(self, topic: str, ns: int, data: bytes, form: str) -> None:
        kind = self.types.types["sensor_msgs/msg/CompressedImage"]
        self.write(topic, ns, kind(self.header(ns), form, np.frombuffer(data, np.uint8)))

    def info(self, ns: int, model: str = "plumb_bob") -> None:
        region = self.types.types["sensor_msgs/msg/RegionOfInterest"](0, 0, 0, 0, False)
        matrix = np.array([50, 0, 31.5, 0, 51, 23.5, 0, 0, 1], np.float64)
        lens = (model, np.array([0.1, -0.2, 0, 0, 0.05]), matrix, np.eye(3).ravel(), np.zeros(12))
        kind = self.types.types["sensor_msgs/msg/CameraInfo"]
        message = kind(self.header(ns), HEIGHT_PX, WIDTH_PX, *lens, 0, 0, region)
        self.write(INFO, ns, message)

    def imu(
        self,
        ns: int,
        turn: Sequence[float] = (0.1, 0.2, 0.3),
        force: Sequence[float] = (0.0, 0.0, 9.8),
        topic: str = IMU,
        unmeasured: str = "",
        frame_id: str = IMU_FRAME,
    ) -> None:
        self.write(topic, ns, self.imu_message(ns, turn, force, unmeasured, frame_id))

    def imu_message(
        self,
        ns: int,
        turn: Sequence[float],
        force: Sequence[float],
        unmeasured: str = "",
        frame_id: str = IMU_FRAME,
    ) -> Any:
        """`unmeasured`: "turn" or "force", whose covariance then says so."""
        vector = self.types.types["geometry_msgs/msg/Vector3"]
        upright = self.types.types["geometry_msgs/msg/Quaternion"](0.0, 0.0, 0.0, 1.0)
        covariance = {name: np.zeros(9) for name in ("turn", "force")}
        if unmeasured:
            covariance[unmeasured][0] = -1
        kind = self.types.types["sensor_msgs/msg/Imu"]
        return kind(
            self.header(ns, frame_id),
            upright,
            np.zeros(9),
            vector(*turn),
            covariance["turn"],
            vector(*force),
            covariance["force"],
        )

    def static(
        self, parent: str, child: str, parent_from_child: np.ndarray, topic: str = "/tf_static"
    ) -> None:
        kinds = self.types.types
        tx, ty, tz, *quat_xyzw = pose_vector(parent_from_child).tolist()
        shift = kinds["geometry_msgs/msg/Vector3"](tx, ty, tz)
        turn = kinds["geometry_msgs/msg/Quaternion"](*quat_xyzw)
        stamped = kinds["geometry_msgs/msg/TransformStamped"](
            self.header(START_NS, parent),
            child,
            kinds["geometry_msgs/msg/Transform"](shift, turn),
        )
        self.write(topic, START_NS, kinds["tf2_msgs/msg/TFMessage"]([stamped]))

    def write(self, topic: str, ns: int, message: Any) -> None:
        name = message.__msgtype__
        if topic not in self.connections:
            self.connections[topic] = self.writer.add_connection(topic, name, typestore=self.types)
        serialise = self.types.serialize_ros1 if self.version == 1 else self.types.serialize_cdr
        self.writer.write(self.connections[topic], ns, serialise(message, name))
