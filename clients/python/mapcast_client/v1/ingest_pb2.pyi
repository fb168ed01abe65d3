from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Sensor(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    SENSOR_UNSPECIFIED: _ClassVar[Sensor]
    SENSOR_RGBD: _ClassVar[Sensor]

class Policy(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    POLICY_UNSPECIFIED: _ClassVar[Policy]
    POLICY_LIVE: _ClassVar[Policy]
    POLICY_LOSSLESS: _ClassVar[Policy]

class PoseSource(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    POSE_SOURCE_UNSPECIFIED: _ClassVar[PoseSource]
    POSE_SOURCE_TRACKED: _ClassVar[PoseSource]
    POSE_SOURCE_GIVEN: _ClassVar[PoseSource]

class ImageEncoding(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    IMAGE_ENCODING_UNSPECIFIED: _ClassVar[ImageEncoding]
    IMAGE_ENCODING_JPEG: _ClassVar[ImageEncoding]
    IMAGE_ENCODING_PNG: _ClassVar[ImageEncoding]
    IMAGE_ENCODING_RGB8: _ClassVar[ImageEncoding]
    IMAGE_ENCODING_DEPTH_U16: _ClassVar[ImageEncoding]
    IMAGE_ENCODING_DEPTH_F32: _ClassVar[ImageEncoding]

class TrackingState(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    TRACKING_STATE_UNSPECIFIED: _ClassVar[TrackingState]
    TRACKING_STATE_INITIALIZING: _ClassVar[TrackingState]
    TRACKING_STATE_TRACKING: _ClassVar[TrackingState]
    TRACKING_STATE_LOST: _ClassVar[TrackingState]
    TRACKING_STATE_RELOCALIZED: _ClassVar[TrackingState]
    TRACKING_STATE_RESET: _ClassVar[TrackingState]
SENSOR_UNSPECIFIED: Sensor
SENSOR_RGBD: Sensor
POLICY_UNSPECIFIED: Policy
POLICY_LIVE: Policy
POLICY_LOSSLESS: Policy
POSE_SOURCE_UNSPECIFIED: PoseSource
POSE_SOURCE_TRACKED: PoseSource
POSE_SOURCE_GIVEN: PoseSource
IMAGE_ENCODING_UNSPECIFIED: ImageEncoding
IMAGE_ENCODING_JPEG: ImageEncoding
IMAGE_ENCODING_PNG: ImageEncoding
IMAGE_ENCODING_RGB8: ImageEncoding
IMAGE_ENCODING_DEPTH_U16: ImageEncoding
IMAGE_ENCODING_DEPTH_F32: ImageEncoding
TRACKING_STATE_UNSPECIFIED: TrackingState
TRACKING_STATE_INITIALIZING: TrackingState
TRACKING_STATE_TRACKING: TrackingState
TRACKING_STATE_LOST: TrackingState
TRACKING_STATE_RELOCALIZED: TrackingState
TRACKING_STATE_RESET: TrackingState

class ClientMessage(_message.Message):
    __slots__ = ("open", "frame", "control")
    OPEN_FIELD_NUMBER: _ClassVar[int]
    FRAME_FIELD_NUMBER: _ClassVar[int]
    CONTROL_FIELD_NUMBER: _ClassVar[int]
    open: OpenSession
    frame: Frame
    control: Control
    def __init__(self, open: _Optional[_Union[OpenSession, _Mapping]] = ..., frame: _Optional[_Union[Frame, _Mapping]] = ..., control: _Optional[_Union[Control, _Mapping]] = ...) -> None: ...

class ServerMessage(_message.Message):
    __slots__ = ("opened", "result", "flow", "error", "finished")
    OPENED_FIELD_NUMBER: _ClassVar[int]
    RESULT_FIELD_NUMBER: _ClassVar[int]
    FLOW_FIELD_NUMBER: _ClassVar[int]
    ERROR_FIELD_NUMBER: _ClassVar[int]
    FINISHED_FIELD_NUMBER: _ClassVar[int]
    opened: Opened
    result: FrameResult
    flow: Flow
    error: Error
    finished: Finished
    def __init__(self, opened: _Optional[_Union[Opened, _Mapping]] = ..., result: _Optional[_Union[FrameResult, _Mapping]] = ..., flow: _Optional[_Union[Flow, _Mapping]] = ..., error: _Optional[_Union[Error, _Mapping]] = ..., finished: _Optional[_Union[Finished, _Mapping]] = ...) -> None: ...

class OpenSession(_message.Message):
    __slots__ = ("session", "name", "sensor", "calibration", "policy", "pose_source", "fusion")
    SESSION_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    SENSOR_FIELD_NUMBER: _ClassVar[int]
    CALIBRATION_FIELD_NUMBER: _ClassVar[int]
    POLICY_FIELD_NUMBER: _ClassVar[int]
    POSE_SOURCE_FIELD_NUMBER: _ClassVar[int]
    FUSION_FIELD_NUMBER: _ClassVar[int]
    session: str
    name: str
    sensor: Sensor
    calibration: Calibration
    policy: Policy
    pose_source: PoseSource
    fusion: FusionSettings
    def __init__(self, session: _Optional[str] = ..., name: _Optional[str] = ..., sensor: _Optional[_Union[Sensor, str]] = ..., calibration: _Optional[_Union[Calibration, _Mapping]] = ..., policy: _Optional[_Union[Policy, str]] = ..., pose_source: _Optional[_Union[PoseSource, str]] = ..., fusion: _Optional[_Union[FusionSettings, _Mapping]] = ...) -> None: ...

class Camera(_message.Message):
    __slots__ = ("width_px", "height_px", "fx_px", "fy_px", "cx_px", "cy_px", "distortion")
    WIDTH_PX_FIELD_NUMBER: _ClassVar[int]
    HEIGHT_PX_FIELD_NUMBER: _ClassVar[int]
    FX_PX_FIELD_NUMBER: _ClassVar[int]
    FY_PX_FIELD_NUMBER: _ClassVar[int]
    CX_PX_FIELD_NUMBER: _ClassVar[int]
    CY_PX_FIELD_NUMBER: _ClassVar[int]
    DISTORTION_FIELD_NUMBER: _ClassVar[int]
    width_px: int
    height_px: int
    fx_px: float
    fy_px: float
    cx_px: float
    cy_px: float
    distortion: _containers.RepeatedScalarFieldContainer[float]
    def __init__(self, width_px: _Optional[int] = ..., height_px: _Optional[int] = ..., fx_px: _Optional[float] = ..., fy_px: _Optional[float] = ..., cx_px: _Optional[float] = ..., cy_px: _Optional[float] = ..., distortion: _Optional[_Iterable[float]] = ...) -> None: ...

class Calibration(_message.Message):
    __slots__ = ("camera", "depth_scale_m", "depth_invalid", "frame_rate_hz")
    CAMERA_FIELD_NUMBER: _ClassVar[int]
    DEPTH_SCALE_M_FIELD_NUMBER: _ClassVar[int]
    DEPTH_INVALID_FIELD_NUMBER: _ClassVar[int]
    FRAME_RATE_HZ_FIELD_NUMBER: _ClassVar[int]
    camera: Camera
    depth_scale_m: float
    depth_invalid: int
    frame_rate_hz: float
    def __init__(self, camera: _Optional[_Union[Camera, _Mapping]] = ..., depth_scale_m: _Optional[float] = ..., depth_invalid: _Optional[int] = ..., frame_rate_hz: _Optional[float] = ...) -> None: ...

class FusionSettings(_message.Message):
    __slots__ = ("voxel_size_m", "truncation_vox", "depth_min_m", "depth_max_m", "max_blocks", "mesh_rate_hz")
    VOXEL_SIZE_M_FIELD_NUMBER: _ClassVar[int]
    TRUNCATION_VOX_FIELD_NUMBER: _ClassVar[int]
    DEPTH_MIN_M_FIELD_NUMBER: _ClassVar[int]
    DEPTH_MAX_M_FIELD_NUMBER: _ClassVar[int]
    MAX_BLOCKS_FIELD_NUMBER: _ClassVar[int]
    MESH_RATE_HZ_FIELD_NUMBER: _ClassVar[int]
    voxel_size_m: float
    truncation_vox: int
    depth_min_m: float
    depth_max_m: float
    max_blocks: int
    mesh_rate_hz: float
    def __init__(self, voxel_size_m: _Optional[float] = ..., truncation_vox: _Optional[int] = ..., depth_min_m: _Optional[float] = ..., depth_max_m: _Optional[float] = ..., max_blocks: _Optional[int] = ..., mesh_rate_hz: _Optional[float] = ...) -> None: ...

class Image(_message.Message):
    __slots__ = ("encoding", "width_px", "height_px", "data")
    ENCODING_FIELD_NUMBER: _ClassVar[int]
    WIDTH_PX_FIELD_NUMBER: _ClassVar[int]
    HEIGHT_PX_FIELD_NUMBER: _ClassVar[int]
    DATA_FIELD_NUMBER: _ClassVar[int]
    encoding: ImageEncoding
    width_px: int
    height_px: int
    data: bytes
    def __init__(self, encoding: _Optional[_Union[ImageEncoding, str]] = ..., width_px: _Optional[int] = ..., height_px: _Optional[int] = ..., data: _Optional[bytes] = ...) -> None: ...

class Pose(_message.Message):
    __slots__ = ("tx", "ty", "tz", "qx", "qy", "qz", "qw")
    TX_FIELD_NUMBER: _ClassVar[int]
    TY_FIELD_NUMBER: _ClassVar[int]
    TZ_FIELD_NUMBER: _ClassVar[int]
    QX_FIELD_NUMBER: _ClassVar[int]
    QY_FIELD_NUMBER: _ClassVar[int]
    QZ_FIELD_NUMBER: _ClassVar[int]
    QW_FIELD_NUMBER: _ClassVar[int]
    tx: float
    ty: float
    tz: float
    qx: float
    qy: float
    qz: float
    qw: float
    def __init__(self, tx: _Optional[float] = ..., ty: _Optional[float] = ..., tz: _Optional[float] = ..., qx: _Optional[float] = ..., qy: _Optional[float] = ..., qz: _Optional[float] = ..., qw: _Optional[float] = ...) -> None: ...

class Frame(_message.Message):
    __slots__ = ("index", "capture_ns", "color", "depth", "world_from_camera")
    INDEX_FIELD_NUMBER: _ClassVar[int]
    CAPTURE_NS_FIELD_NUMBER: _ClassVar[int]
    COLOR_FIELD_NUMBER: _ClassVar[int]
    DEPTH_FIELD_NUMBER: _ClassVar[int]
    WORLD_FROM_CAMERA_FIELD_NUMBER: _ClassVar[int]
    index: int
    capture_ns: int
    color: Image
    depth: Image
    world_from_camera: Pose
    def __init__(self, index: _Optional[int] = ..., capture_ns: _Optional[int] = ..., color: _Optional[_Union[Image, _Mapping]] = ..., depth: _Optional[_Union[Image, _Mapping]] = ..., world_from_camera: _Optional[_Union[Pose, _Mapping]] = ...) -> None: ...

class Control(_message.Message):
    __slots__ = ("action",)
    class Action(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        ACTION_UNSPECIFIED: _ClassVar[Control.Action]
        ACTION_PAUSE: _ClassVar[Control.Action]
        ACTION_RESUME: _ClassVar[Control.Action]
        ACTION_RESET: _ClassVar[Control.Action]
        ACTION_FINISH: _ClassVar[Control.Action]
    ACTION_UNSPECIFIED: Control.Action
    ACTION_PAUSE: Control.Action
    ACTION_RESUME: Control.Action
    ACTION_RESET: Control.Action
    ACTION_FINISH: Control.Action
    ACTION_FIELD_NUMBER: _ClassVar[int]
    action: Control.Action
    def __init__(self, action: _Optional[_Union[Control.Action, str]] = ...) -> None: ...

class Opened(_message.Message):
    __slots__ = ("session", "window", "epoch", "viewer_path")
    SESSION_FIELD_NUMBER: _ClassVar[int]
    WINDOW_FIELD_NUMBER: _ClassVar[int]
    EPOCH_FIELD_NUMBER: _ClassVar[int]
    VIEWER_PATH_FIELD_NUMBER: _ClassVar[int]
    session: str
    window: int
    epoch: int
    viewer_path: str
    def __init__(self, session: _Optional[str] = ..., window: _Optional[int] = ..., epoch: _Optional[int] = ..., viewer_path: _Optional[str] = ...) -> None: ...

class FrameResult(_message.Message):
    __slots__ = ("index", "capture_ns", "status", "reason", "tracking", "inliers", "world_from_camera", "keyframe", "latency_ms", "stages")
    class Status(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        STATUS_UNSPECIFIED: _ClassVar[FrameResult.Status]
        STATUS_FUSED: _ClassVar[FrameResult.Status]
        STATUS_NOT_FUSED: _ClassVar[FrameResult.Status]
        STATUS_DROPPED: _ClassVar[FrameResult.Status]
        STATUS_REJECTED: _ClassVar[FrameResult.Status]
    STATUS_UNSPECIFIED: FrameResult.Status
    STATUS_FUSED: FrameResult.Status
    STATUS_NOT_FUSED: FrameResult.Status
    STATUS_DROPPED: FrameResult.Status
    STATUS_REJECTED: FrameResult.Status
    INDEX_FIELD_NUMBER: _ClassVar[int]
    CAPTURE_NS_FIELD_NUMBER: _ClassVar[int]
    STATUS_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    TRACKING_FIELD_NUMBER: _ClassVar[int]
    INLIERS_FIELD_NUMBER: _ClassVar[int]
    WORLD_FROM_CAMERA_FIELD_NUMBER: _ClassVar[int]
    KEYFRAME_FIELD_NUMBER: _ClassVar[int]
    LATENCY_MS_FIELD_NUMBER: _ClassVar[int]
    STAGES_FIELD_NUMBER: _ClassVar[int]
    index: int
    capture_ns: int
    status: FrameResult.Status
    reason: str
    tracking: TrackingState
    inliers: int
    world_from_camera: Pose
    keyframe: bool
    latency_ms: float
    stages: StageTimes
    def __init__(self, index: _Optional[int] = ..., capture_ns: _Optional[int] = ..., status: _Optional[_Union[FrameResult.Status, str]] = ..., reason: _Optional[str] = ..., tracking: _Optional[_Union[TrackingState, str]] = ..., inliers: _Optional[int] = ..., world_from_camera: _Optional[_Union[Pose, _Mapping]] = ..., keyframe: _Optional[bool] = ..., latency_ms: _Optional[float] = ..., stages: _Optional[_Union[StageTimes, _Mapping]] = ...) -> None: ...

class StageTimes(_message.Message):
    __slots__ = ("decode_ms", "track_ms", "fuse_ms", "mesh_ms")
    DECODE_MS_FIELD_NUMBER: _ClassVar[int]
    TRACK_MS_FIELD_NUMBER: _ClassVar[int]
    FUSE_MS_FIELD_NUMBER: _ClassVar[int]
    MESH_MS_FIELD_NUMBER: _ClassVar[int]
    decode_ms: float
    track_ms: float
    fuse_ms: float
    mesh_ms: float
    def __init__(self, decode_ms: _Optional[float] = ..., track_ms: _Optional[float] = ..., fuse_ms: _Optional[float] = ..., mesh_ms: _Optional[float] = ...) -> None: ...

class Flow(_message.Message):
    __slots__ = ("window",)
    WINDOW_FIELD_NUMBER: _ClassVar[int]
    window: int
    def __init__(self, window: _Optional[int] = ...) -> None: ...

class Error(_message.Message):
    __slots__ = ("code", "message", "fatal")
    class Code(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        CODE_UNSPECIFIED: _ClassVar[Error.Code]
        CODE_INVALID_ARGUMENT: _ClassVar[Error.Code]
        CODE_UNKNOWN_MESSAGE: _ClassVar[Error.Code]
        CODE_BUSY: _ClassVar[Error.Code]
        CODE_NOT_FOUND: _ClassVar[Error.Code]
        CODE_SESSION_FAILED: _ClassVar[Error.Code]
        CODE_MAP_FULL: _ClassVar[Error.Code]
    CODE_UNSPECIFIED: Error.Code
    CODE_INVALID_ARGUMENT: Error.Code
    CODE_UNKNOWN_MESSAGE: Error.Code
    CODE_BUSY: Error.Code
    CODE_NOT_FOUND: Error.Code
    CODE_SESSION_FAILED: Error.Code
    CODE_MAP_FULL: Error.Code
    CODE_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    FATAL_FIELD_NUMBER: _ClassVar[int]
    code: Error.Code
    message: str
    fatal: bool
    def __init__(self, code: _Optional[_Union[Error.Code, str]] = ..., message: _Optional[str] = ..., fatal: _Optional[bool] = ...) -> None: ...

class Finished(_message.Message):
    __slots__ = ("frames", "fused", "dropped", "revision", "map_hash", "epoch")
    FRAMES_FIELD_NUMBER: _ClassVar[int]
    FUSED_FIELD_NUMBER: _ClassVar[int]
    DROPPED_FIELD_NUMBER: _ClassVar[int]
    REVISION_FIELD_NUMBER: _ClassVar[int]
    MAP_HASH_FIELD_NUMBER: _ClassVar[int]
    EPOCH_FIELD_NUMBER: _ClassVar[int]
    frames: int
    fused: int
    dropped: int
    revision: int
    map_hash: int
    epoch: int
    def __init__(self, frames: _Optional[int] = ..., fused: _Optional[int] = ..., dropped: _Optional[int] = ..., revision: _Optional[int] = ..., map_hash: _Optional[int] = ..., epoch: _Optional[int] = ...) -> None: ...
