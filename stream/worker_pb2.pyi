from mapcast_client.v1 import ingest_pb2 as _ingest_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class ToWorker(_message.Message):
    __slots__ = ("open", "frame", "control", "query", "imu")
    OPEN_FIELD_NUMBER: _ClassVar[int]
    FRAME_FIELD_NUMBER: _ClassVar[int]
    CONTROL_FIELD_NUMBER: _ClassVar[int]
    QUERY_FIELD_NUMBER: _ClassVar[int]
    IMU_FIELD_NUMBER: _ClassVar[int]
    open: Open
    frame: _ingest_pb2.Frame
    control: _ingest_pb2.Control
    query: Query
    imu: _ingest_pb2.ImuBatch
    def __init__(self, open: _Optional[_Union[Open, _Mapping]] = ..., frame: _Optional[_Union[_ingest_pb2.Frame, _Mapping]] = ..., control: _Optional[_Union[_ingest_pb2.Control, _Mapping]] = ..., query: _Optional[_Union[Query, _Mapping]] = ..., imu: _Optional[_Union[_ingest_pb2.ImuBatch, _Mapping]] = ...) -> None: ...

class FromWorker(_message.Message):
    __slots__ = ("ready", "opened", "result", "mesh", "answer", "finished", "failure", "corrections", "refused", "map_frame", "fused_view", "restored", "refined")
    READY_FIELD_NUMBER: _ClassVar[int]
    OPENED_FIELD_NUMBER: _ClassVar[int]
    RESULT_FIELD_NUMBER: _ClassVar[int]
    MESH_FIELD_NUMBER: _ClassVar[int]
    ANSWER_FIELD_NUMBER: _ClassVar[int]
    FINISHED_FIELD_NUMBER: _ClassVar[int]
    FAILURE_FIELD_NUMBER: _ClassVar[int]
    CORRECTIONS_FIELD_NUMBER: _ClassVar[int]
    REFUSED_FIELD_NUMBER: _ClassVar[int]
    MAP_FRAME_FIELD_NUMBER: _ClassVar[int]
    FUSED_VIEW_FIELD_NUMBER: _ClassVar[int]
    RESTORED_FIELD_NUMBER: _ClassVar[int]
    REFINED_FIELD_NUMBER: _ClassVar[int]
    ready: Ready
    opened: Opened
    result: _ingest_pb2.FrameResult
    mesh: MeshUpdate
    answer: Answer
    finished: Finished
    failure: Failure
    corrections: _ingest_pb2.Corrections
    refused: Refused
    map_frame: MapFrame
    fused_view: _ingest_pb2.FusedView
    restored: Restored
    refined: Refined
    def __init__(self, ready: _Optional[_Union[Ready, _Mapping]] = ..., opened: _Optional[_Union[Opened, _Mapping]] = ..., result: _Optional[_Union[_ingest_pb2.FrameResult, _Mapping]] = ..., mesh: _Optional[_Union[MeshUpdate, _Mapping]] = ..., answer: _Optional[_Union[Answer, _Mapping]] = ..., finished: _Optional[_Union[Finished, _Mapping]] = ..., failure: _Optional[_Union[Failure, _Mapping]] = ..., corrections: _Optional[_Union[_ingest_pb2.Corrections, _Mapping]] = ..., refused: _Optional[_Union[Refused, _Mapping]] = ..., map_frame: _Optional[_Union[MapFrame, _Mapping]] = ..., fused_view: _Optional[_Union[_ingest_pb2.FusedView, _Mapping]] = ..., restored: _Optional[_Union[Restored, _Mapping]] = ..., refined: _Optional[_Union[Refined, _Mapping]] = ...) -> None: ...

class Ready(_message.Message):
    __slots__ = ("device",)
    DEVICE_FIELD_NUMBER: _ClassVar[int]
    device: str
    def __init__(self, device: _Optional[str] = ...) -> None: ...

class Open(_message.Message):
    __slots__ = ("settings", "recording", "checkpoint", "restore", "epoch", "map_epoch", "saved_map")
    SETTINGS_FIELD_NUMBER: _ClassVar[int]
    RECORDING_FIELD_NUMBER: _ClassVar[int]
    CHECKPOINT_FIELD_NUMBER: _ClassVar[int]
    RESTORE_FIELD_NUMBER: _ClassVar[int]
    EPOCH_FIELD_NUMBER: _ClassVar[int]
    MAP_EPOCH_FIELD_NUMBER: _ClassVar[int]
    SAVED_MAP_FIELD_NUMBER: _ClassVar[int]
    settings: _ingest_pb2.OpenSession
    recording: str
    checkpoint: str
    restore: bool
    epoch: int
    map_epoch: int
    saved_map: str
    def __init__(self, settings: _Optional[_Union[_ingest_pb2.OpenSession, _Mapping]] = ..., recording: _Optional[str] = ..., checkpoint: _Optional[str] = ..., restore: _Optional[bool] = ..., epoch: _Optional[int] = ..., map_epoch: _Optional[int] = ..., saved_map: _Optional[str] = ...) -> None: ...

class Restored(_message.Message):
    __slots__ = ("answered_through", "frames")
    ANSWERED_THROUGH_FIELD_NUMBER: _ClassVar[int]
    FRAMES_FIELD_NUMBER: _ClassVar[int]
    answered_through: int
    frames: int
    def __init__(self, answered_through: _Optional[int] = ..., frames: _Optional[int] = ...) -> None: ...

class Refined(_message.Message):
    __slots__ = ("accepted", "reason", "loops", "offer", "why_no_offer")
    ACCEPTED_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    LOOPS_FIELD_NUMBER: _ClassVar[int]
    OFFER_FIELD_NUMBER: _ClassVar[int]
    WHY_NO_OFFER_FIELD_NUMBER: _ClassVar[int]
    accepted: bool
    reason: str
    loops: int
    offer: _ingest_pb2.CalibrationOffer
    why_no_offer: str
    def __init__(self, accepted: _Optional[bool] = ..., reason: _Optional[str] = ..., loops: _Optional[int] = ..., offer: _Optional[_Union[_ingest_pb2.CalibrationOffer, _Mapping]] = ..., why_no_offer: _Optional[str] = ...) -> None: ...

class Opened(_message.Message):
    __slots__ = ("credits", "voxel_size_m")
    CREDITS_FIELD_NUMBER: _ClassVar[int]
    VOXEL_SIZE_M_FIELD_NUMBER: _ClassVar[int]
    credits: int
    voxel_size_m: float
    def __init__(self, credits: _Optional[int] = ..., voxel_size_m: _Optional[float] = ...) -> None: ...

class Refused(_message.Message):
    __slots__ = ("reason",)
    REASON_FIELD_NUMBER: _ClassVar[int]
    reason: str
    def __init__(self, reason: _Optional[str] = ...) -> None: ...

class MapFrame(_message.Message):
    __slots__ = ("epoch", "units", "scale_source", "metres_per_unit", "camera", "camera_guessed", "depth_source", "rescaled_by", "device")
    EPOCH_FIELD_NUMBER: _ClassVar[int]
    UNITS_FIELD_NUMBER: _ClassVar[int]
    SCALE_SOURCE_FIELD_NUMBER: _ClassVar[int]
    METRES_PER_UNIT_FIELD_NUMBER: _ClassVar[int]
    CAMERA_FIELD_NUMBER: _ClassVar[int]
    CAMERA_GUESSED_FIELD_NUMBER: _ClassVar[int]
    DEPTH_SOURCE_FIELD_NUMBER: _ClassVar[int]
    RESCALED_BY_FIELD_NUMBER: _ClassVar[int]
    DEVICE_FIELD_NUMBER: _ClassVar[int]
    epoch: int
    units: str
    scale_source: str
    metres_per_unit: float
    camera: _ingest_pb2.Camera
    camera_guessed: bool
    depth_source: str
    rescaled_by: float
    device: str
    def __init__(self, epoch: _Optional[int] = ..., units: _Optional[str] = ..., scale_source: _Optional[str] = ..., metres_per_unit: _Optional[float] = ..., camera: _Optional[_Union[_ingest_pb2.Camera, _Mapping]] = ..., camera_guessed: _Optional[bool] = ..., depth_source: _Optional[str] = ..., rescaled_by: _Optional[float] = ..., device: _Optional[str] = ...) -> None: ...

class MeshUpdate(_message.Message):
    __slots__ = ("epoch", "blocks", "vertex_counts", "triangle_counts", "vertices", "colors", "triangles", "frame_index", "capture_ns", "pool_blocks", "pool_full", "mesh_ms", "is_last", "is_whole", "moved_views", "frozen_views", "pending_views", "content_hashes", "device_bytes", "spilled_blocks", "device_limit_bytes")
    EPOCH_FIELD_NUMBER: _ClassVar[int]
    BLOCKS_FIELD_NUMBER: _ClassVar[int]
    VERTEX_COUNTS_FIELD_NUMBER: _ClassVar[int]
    TRIANGLE_COUNTS_FIELD_NUMBER: _ClassVar[int]
    VERTICES_FIELD_NUMBER: _ClassVar[int]
    COLORS_FIELD_NUMBER: _ClassVar[int]
    TRIANGLES_FIELD_NUMBER: _ClassVar[int]
    FRAME_INDEX_FIELD_NUMBER: _ClassVar[int]
    CAPTURE_NS_FIELD_NUMBER: _ClassVar[int]
    POOL_BLOCKS_FIELD_NUMBER: _ClassVar[int]
    POOL_FULL_FIELD_NUMBER: _ClassVar[int]
    MESH_MS_FIELD_NUMBER: _ClassVar[int]
    IS_LAST_FIELD_NUMBER: _ClassVar[int]
    IS_WHOLE_FIELD_NUMBER: _ClassVar[int]
    MOVED_VIEWS_FIELD_NUMBER: _ClassVar[int]
    FROZEN_VIEWS_FIELD_NUMBER: _ClassVar[int]
    PENDING_VIEWS_FIELD_NUMBER: _ClassVar[int]
    CONTENT_HASHES_FIELD_NUMBER: _ClassVar[int]
    DEVICE_BYTES_FIELD_NUMBER: _ClassVar[int]
    SPILLED_BLOCKS_FIELD_NUMBER: _ClassVar[int]
    DEVICE_LIMIT_BYTES_FIELD_NUMBER: _ClassVar[int]
    epoch: int
    blocks: bytes
    vertex_counts: bytes
    triangle_counts: bytes
    vertices: bytes
    colors: bytes
    triangles: bytes
    frame_index: int
    capture_ns: int
    pool_blocks: int
    pool_full: bool
    mesh_ms: float
    is_last: bool
    is_whole: bool
    moved_views: int
    frozen_views: int
    pending_views: int
    content_hashes: bytes
    device_bytes: int
    spilled_blocks: int
    device_limit_bytes: int
    def __init__(self, epoch: _Optional[int] = ..., blocks: _Optional[bytes] = ..., vertex_counts: _Optional[bytes] = ..., triangle_counts: _Optional[bytes] = ..., vertices: _Optional[bytes] = ..., colors: _Optional[bytes] = ..., triangles: _Optional[bytes] = ..., frame_index: _Optional[int] = ..., capture_ns: _Optional[int] = ..., pool_blocks: _Optional[int] = ..., pool_full: _Optional[bool] = ..., mesh_ms: _Optional[float] = ..., is_last: _Optional[bool] = ..., is_whole: _Optional[bool] = ..., moved_views: _Optional[int] = ..., frozen_views: _Optional[int] = ..., pending_views: _Optional[int] = ..., content_hashes: _Optional[bytes] = ..., device_bytes: _Optional[int] = ..., spilled_blocks: _Optional[int] = ..., device_limit_bytes: _Optional[int] = ...) -> None: ...

class Query(_message.Message):
    __slots__ = ("id", "export_format", "raycast", "trajectory", "save")
    ID_FIELD_NUMBER: _ClassVar[int]
    EXPORT_FORMAT_FIELD_NUMBER: _ClassVar[int]
    RAYCAST_FIELD_NUMBER: _ClassVar[int]
    TRAJECTORY_FIELD_NUMBER: _ClassVar[int]
    SAVE_FIELD_NUMBER: _ClassVar[int]
    id: int
    export_format: str
    raycast: Raycast
    trajectory: bool
    save: str
    def __init__(self, id: _Optional[int] = ..., export_format: _Optional[str] = ..., raycast: _Optional[_Union[Raycast, _Mapping]] = ..., trajectory: _Optional[bool] = ..., save: _Optional[str] = ...) -> None: ...

class Raycast(_message.Message):
    __slots__ = ("camera", "world_from_camera")
    CAMERA_FIELD_NUMBER: _ClassVar[int]
    WORLD_FROM_CAMERA_FIELD_NUMBER: _ClassVar[int]
    camera: _ingest_pb2.Camera
    world_from_camera: _ingest_pb2.Pose
    def __init__(self, camera: _Optional[_Union[_ingest_pb2.Camera, _Mapping]] = ..., world_from_camera: _Optional[_Union[_ingest_pb2.Pose, _Mapping]] = ...) -> None: ...

class Answer(_message.Message):
    __slots__ = ("id", "error", "parts", "files")
    ID_FIELD_NUMBER: _ClassVar[int]
    ERROR_FIELD_NUMBER: _ClassVar[int]
    PARTS_FIELD_NUMBER: _ClassVar[int]
    FILES_FIELD_NUMBER: _ClassVar[int]
    id: int
    error: str
    parts: _containers.RepeatedScalarFieldContainer[bytes]
    files: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, id: _Optional[int] = ..., error: _Optional[str] = ..., parts: _Optional[_Iterable[bytes]] = ..., files: _Optional[_Iterable[str]] = ...) -> None: ...

class Finished(_message.Message):
    __slots__ = ("epoch",)
    EPOCH_FIELD_NUMBER: _ClassVar[int]
    epoch: int
    def __init__(self, epoch: _Optional[int] = ...) -> None: ...

class Failure(_message.Message):
    __slots__ = ("reason",)
    REASON_FIELD_NUMBER: _ClassVar[int]
    reason: str
    def __init__(self, reason: _Optional[str] = ...) -> None: ...
