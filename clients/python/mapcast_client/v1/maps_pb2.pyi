from mapcast_client.v1 import ingest_pb2 as _ingest_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class ListSessionsRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class ListSessionsResponse(_message.Message):
    __slots__ = ("sessions",)
    SESSIONS_FIELD_NUMBER: _ClassVar[int]
    sessions: _containers.RepeatedCompositeFieldContainer[SessionInfo]
    def __init__(self, sessions: _Optional[_Iterable[_Union[SessionInfo, _Mapping]]] = ...) -> None: ...

class GetSessionRequest(_message.Message):
    __slots__ = ("session",)
    SESSION_FIELD_NUMBER: _ClassVar[int]
    session: str
    def __init__(self, session: _Optional[str] = ...) -> None: ...

class SessionInfo(_message.Message):
    __slots__ = ("session", "name", "state", "reason", "epoch", "revision", "map_hash", "frames", "fused", "dropped", "blocks", "triangles", "subscribers", "voxel_size_m", "created_ns", "tracking", "frames_per_s", "full", "sensor", "units", "scale_source", "metres_per_unit", "camera", "camera_guessed", "depth_source", "calibration_offer", "device")
    SESSION_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    EPOCH_FIELD_NUMBER: _ClassVar[int]
    REVISION_FIELD_NUMBER: _ClassVar[int]
    MAP_HASH_FIELD_NUMBER: _ClassVar[int]
    FRAMES_FIELD_NUMBER: _ClassVar[int]
    FUSED_FIELD_NUMBER: _ClassVar[int]
    DROPPED_FIELD_NUMBER: _ClassVar[int]
    BLOCKS_FIELD_NUMBER: _ClassVar[int]
    TRIANGLES_FIELD_NUMBER: _ClassVar[int]
    SUBSCRIBERS_FIELD_NUMBER: _ClassVar[int]
    VOXEL_SIZE_M_FIELD_NUMBER: _ClassVar[int]
    CREATED_NS_FIELD_NUMBER: _ClassVar[int]
    TRACKING_FIELD_NUMBER: _ClassVar[int]
    FRAMES_PER_S_FIELD_NUMBER: _ClassVar[int]
    FULL_FIELD_NUMBER: _ClassVar[int]
    SENSOR_FIELD_NUMBER: _ClassVar[int]
    UNITS_FIELD_NUMBER: _ClassVar[int]
    SCALE_SOURCE_FIELD_NUMBER: _ClassVar[int]
    METRES_PER_UNIT_FIELD_NUMBER: _ClassVar[int]
    CAMERA_FIELD_NUMBER: _ClassVar[int]
    CAMERA_GUESSED_FIELD_NUMBER: _ClassVar[int]
    DEPTH_SOURCE_FIELD_NUMBER: _ClassVar[int]
    CALIBRATION_OFFER_FIELD_NUMBER: _ClassVar[int]
    DEVICE_FIELD_NUMBER: _ClassVar[int]
    session: str
    name: str
    state: str
    reason: str
    epoch: int
    revision: int
    map_hash: int
    frames: int
    fused: int
    dropped: int
    blocks: int
    triangles: int
    subscribers: int
    voxel_size_m: float
    created_ns: int
    tracking: _ingest_pb2.TrackingState
    frames_per_s: float
    full: bool
    sensor: _ingest_pb2.Sensor
    units: str
    scale_source: str
    metres_per_unit: float
    camera: _ingest_pb2.Camera
    camera_guessed: bool
    depth_source: str
    calibration_offer: _ingest_pb2.CalibrationOffer
    device: str
    def __init__(self, session: _Optional[str] = ..., name: _Optional[str] = ..., state: _Optional[str] = ..., reason: _Optional[str] = ..., epoch: _Optional[int] = ..., revision: _Optional[int] = ..., map_hash: _Optional[int] = ..., frames: _Optional[int] = ..., fused: _Optional[int] = ..., dropped: _Optional[int] = ..., blocks: _Optional[int] = ..., triangles: _Optional[int] = ..., subscribers: _Optional[int] = ..., voxel_size_m: _Optional[float] = ..., created_ns: _Optional[int] = ..., tracking: _Optional[_Union[_ingest_pb2.TrackingState, str]] = ..., frames_per_s: _Optional[float] = ..., full: _Optional[bool] = ..., sensor: _Optional[_Union[_ingest_pb2.Sensor, str]] = ..., units: _Optional[str] = ..., scale_source: _Optional[str] = ..., metres_per_unit: _Optional[float] = ..., camera: _Optional[_Union[_ingest_pb2.Camera, _Mapping]] = ..., camera_guessed: _Optional[bool] = ..., depth_source: _Optional[str] = ..., calibration_offer: _Optional[_Union[_ingest_pb2.CalibrationOffer, _Mapping]] = ..., device: _Optional[str] = ...) -> None: ...

class Vec3(_message.Message):
    __slots__ = ("x", "y", "z")
    X_FIELD_NUMBER: _ClassVar[int]
    Y_FIELD_NUMBER: _ClassVar[int]
    Z_FIELD_NUMBER: _ClassVar[int]
    x: float
    y: float
    z: float
    def __init__(self, x: _Optional[float] = ..., y: _Optional[float] = ..., z: _Optional[float] = ...) -> None: ...

class SubscribeRequest(_message.Message):
    __slots__ = ("session", "layers", "since", "epoch", "compression", "max_bytes_per_s", "max_messages_per_s", "viewpoint")
    SESSION_FIELD_NUMBER: _ClassVar[int]
    LAYERS_FIELD_NUMBER: _ClassVar[int]
    SINCE_FIELD_NUMBER: _ClassVar[int]
    EPOCH_FIELD_NUMBER: _ClassVar[int]
    COMPRESSION_FIELD_NUMBER: _ClassVar[int]
    MAX_BYTES_PER_S_FIELD_NUMBER: _ClassVar[int]
    MAX_MESSAGES_PER_S_FIELD_NUMBER: _ClassVar[int]
    VIEWPOINT_FIELD_NUMBER: _ClassVar[int]
    session: str
    layers: _containers.RepeatedScalarFieldContainer[str]
    since: int
    epoch: int
    compression: str
    max_bytes_per_s: float
    max_messages_per_s: float
    viewpoint: Vec3
    def __init__(self, session: _Optional[str] = ..., layers: _Optional[_Iterable[str]] = ..., since: _Optional[int] = ..., epoch: _Optional[int] = ..., compression: _Optional[str] = ..., max_bytes_per_s: _Optional[float] = ..., max_messages_per_s: _Optional[float] = ..., viewpoint: _Optional[_Union[Vec3, _Mapping]] = ...) -> None: ...

class MapDelta(_message.Message):
    __slots__ = ("arrow",)
    ARROW_FIELD_NUMBER: _ClassVar[int]
    arrow: bytes
    def __init__(self, arrow: _Optional[bytes] = ...) -> None: ...

class ExportRequest(_message.Message):
    __slots__ = ("session", "format")
    SESSION_FIELD_NUMBER: _ClassVar[int]
    FORMAT_FIELD_NUMBER: _ClassVar[int]
    session: str
    format: str
    def __init__(self, session: _Optional[str] = ..., format: _Optional[str] = ...) -> None: ...

class Chunk(_message.Message):
    __slots__ = ("data",)
    DATA_FIELD_NUMBER: _ClassVar[int]
    data: bytes
    def __init__(self, data: _Optional[bytes] = ...) -> None: ...

class RaycastRequest(_message.Message):
    __slots__ = ("session", "camera", "world_from_camera")
    SESSION_FIELD_NUMBER: _ClassVar[int]
    CAMERA_FIELD_NUMBER: _ClassVar[int]
    WORLD_FROM_CAMERA_FIELD_NUMBER: _ClassVar[int]
    session: str
    camera: _ingest_pb2.Camera
    world_from_camera: _ingest_pb2.Pose
    def __init__(self, session: _Optional[str] = ..., camera: _Optional[_Union[_ingest_pb2.Camera, _Mapping]] = ..., world_from_camera: _Optional[_Union[_ingest_pb2.Pose, _Mapping]] = ...) -> None: ...

class RaycastView(_message.Message):
    __slots__ = ("color", "depth", "normals")
    COLOR_FIELD_NUMBER: _ClassVar[int]
    DEPTH_FIELD_NUMBER: _ClassVar[int]
    NORMALS_FIELD_NUMBER: _ClassVar[int]
    color: bytes
    depth: bytes
    normals: bytes
    def __init__(self, color: _Optional[bytes] = ..., depth: _Optional[bytes] = ..., normals: _Optional[bytes] = ...) -> None: ...
