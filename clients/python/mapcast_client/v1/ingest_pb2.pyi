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
    SENSOR_MONO: _ClassVar[Sensor]
    SENSOR_MONO_IMU: _ClassVar[Sensor]

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
    IMAGE_ENCODING_WEBP: _ClassVar[ImageEncoding]
    IMAGE_ENCODING_I420: _ClassVar[ImageEncoding]
    IMAGE_ENCODING_DEPTH_U16_ZSTD: _ClassVar[ImageEncoding]
    IMAGE_ENCODING_DEPTH_F32_ZSTD: _ClassVar[ImageEncoding]
    IMAGE_ENCODING_RGB8_ZSTD: _ClassVar[ImageEncoding]
    IMAGE_ENCODING_GRAY8_ZSTD: _ClassVar[ImageEncoding]

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
SENSOR_MONO: Sensor
SENSOR_MONO_IMU: Sensor
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
IMAGE_ENCODING_WEBP: ImageEncoding
IMAGE_ENCODING_I420: ImageEncoding
IMAGE_ENCODING_DEPTH_U16_ZSTD: ImageEncoding
IMAGE_ENCODING_DEPTH_F32_ZSTD: ImageEncoding
IMAGE_ENCODING_RGB8_ZSTD: ImageEncoding
IMAGE_ENCODING_GRAY8_ZSTD: ImageEncoding
TRACKING_STATE_UNSPECIFIED: TrackingState
TRACKING_STATE_INITIALIZING: TrackingState
TRACKING_STATE_TRACKING: TrackingState
TRACKING_STATE_LOST: TrackingState
TRACKING_STATE_RELOCALIZED: TrackingState
TRACKING_STATE_RESET: TrackingState

class ClientMessage(_message.Message):
    __slots__ = ("open", "frame", "control", "imu")
    OPEN_FIELD_NUMBER: _ClassVar[int]
    FRAME_FIELD_NUMBER: _ClassVar[int]
    CONTROL_FIELD_NUMBER: _ClassVar[int]
    IMU_FIELD_NUMBER: _ClassVar[int]
    open: OpenSession
    frame: Frame
    control: Control
    imu: ImuBatch
    def __init__(self, open: _Optional[_Union[OpenSession, _Mapping]] = ..., frame: _Optional[_Union[Frame, _Mapping]] = ..., control: _Optional[_Union[Control, _Mapping]] = ..., imu: _Optional[_Union[ImuBatch, _Mapping]] = ...) -> None: ...

class ServerMessage(_message.Message):
    __slots__ = ("opened", "result", "flow", "error", "finished", "corrections", "calibration_offer")
    OPENED_FIELD_NUMBER: _ClassVar[int]
    RESULT_FIELD_NUMBER: _ClassVar[int]
    FLOW_FIELD_NUMBER: _ClassVar[int]
    ERROR_FIELD_NUMBER: _ClassVar[int]
    FINISHED_FIELD_NUMBER: _ClassVar[int]
    CORRECTIONS_FIELD_NUMBER: _ClassVar[int]
    CALIBRATION_OFFER_FIELD_NUMBER: _ClassVar[int]
    opened: Opened
    result: FrameResult
    flow: Flow
    error: Error
    finished: Finished
    corrections: Corrections
    calibration_offer: CalibrationOffer
    def __init__(self, opened: _Optional[_Union[Opened, _Mapping]] = ..., result: _Optional[_Union[FrameResult, _Mapping]] = ..., flow: _Optional[_Union[Flow, _Mapping]] = ..., error: _Optional[_Union[Error, _Mapping]] = ..., finished: _Optional[_Union[Finished, _Mapping]] = ..., corrections: _Optional[_Union[Corrections, _Mapping]] = ..., calibration_offer: _Optional[_Union[CalibrationOffer, _Mapping]] = ...) -> None: ...

class OpenSession(_message.Message):
    __slots__ = ("session", "name", "sensor", "calibration", "policy", "pose_source", "fusion", "depth", "scene_depth_m", "map", "localization_only", "refine")
    SESSION_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    SENSOR_FIELD_NUMBER: _ClassVar[int]
    CALIBRATION_FIELD_NUMBER: _ClassVar[int]
    POLICY_FIELD_NUMBER: _ClassVar[int]
    POSE_SOURCE_FIELD_NUMBER: _ClassVar[int]
    FUSION_FIELD_NUMBER: _ClassVar[int]
    DEPTH_FIELD_NUMBER: _ClassVar[int]
    SCENE_DEPTH_M_FIELD_NUMBER: _ClassVar[int]
    MAP_FIELD_NUMBER: _ClassVar[int]
    LOCALIZATION_ONLY_FIELD_NUMBER: _ClassVar[int]
    REFINE_FIELD_NUMBER: _ClassVar[int]
    session: str
    name: str
    sensor: Sensor
    calibration: Calibration
    policy: Policy
    pose_source: PoseSource
    fusion: FusionSettings
    depth: DepthSettings
    scene_depth_m: float
    map: str
    localization_only: bool
    refine: RefineSettings
    def __init__(self, session: _Optional[str] = ..., name: _Optional[str] = ..., sensor: _Optional[_Union[Sensor, str]] = ..., calibration: _Optional[_Union[Calibration, _Mapping]] = ..., policy: _Optional[_Union[Policy, str]] = ..., pose_source: _Optional[_Union[PoseSource, str]] = ..., fusion: _Optional[_Union[FusionSettings, _Mapping]] = ..., depth: _Optional[_Union[DepthSettings, _Mapping]] = ..., scene_depth_m: _Optional[float] = ..., map: _Optional[str] = ..., localization_only: _Optional[bool] = ..., refine: _Optional[_Union[RefineSettings, _Mapping]] = ...) -> None: ...

class RefineSettings(_message.Message):
    __slots__ = ("off", "free_intrinsics")
    OFF_FIELD_NUMBER: _ClassVar[int]
    FREE_INTRINSICS_FIELD_NUMBER: _ClassVar[int]
    off: bool
    free_intrinsics: bool
    def __init__(self, off: _Optional[bool] = ..., free_intrinsics: _Optional[bool] = ...) -> None: ...

class DepthSettings(_message.Message):
    __slots__ = ("source", "model")
    class Source(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        SOURCE_UNSPECIFIED: _ClassVar[DepthSettings.Source]
        SOURCE_MOTION_STEREO: _ClassVar[DepthSettings.Source]
        SOURCE_NETWORK: _ClassVar[DepthSettings.Source]
        SOURCE_FUSED: _ClassVar[DepthSettings.Source]
    SOURCE_UNSPECIFIED: DepthSettings.Source
    SOURCE_MOTION_STEREO: DepthSettings.Source
    SOURCE_NETWORK: DepthSettings.Source
    SOURCE_FUSED: DepthSettings.Source
    SOURCE_FIELD_NUMBER: _ClassVar[int]
    MODEL_FIELD_NUMBER: _ClassVar[int]
    source: DepthSettings.Source
    model: str
    def __init__(self, source: _Optional[_Union[DepthSettings.Source, str]] = ..., model: _Optional[str] = ...) -> None: ...

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
    __slots__ = ("camera", "depth_scale_m", "depth_invalid", "frame_rate_hz", "imu")
    CAMERA_FIELD_NUMBER: _ClassVar[int]
    DEPTH_SCALE_M_FIELD_NUMBER: _ClassVar[int]
    DEPTH_INVALID_FIELD_NUMBER: _ClassVar[int]
    FRAME_RATE_HZ_FIELD_NUMBER: _ClassVar[int]
    IMU_FIELD_NUMBER: _ClassVar[int]
    camera: Camera
    depth_scale_m: float
    depth_invalid: int
    frame_rate_hz: float
    imu: ImuCalibration
    def __init__(self, camera: _Optional[_Union[Camera, _Mapping]] = ..., depth_scale_m: _Optional[float] = ..., depth_invalid: _Optional[int] = ..., frame_rate_hz: _Optional[float] = ..., imu: _Optional[_Union[ImuCalibration, _Mapping]] = ...) -> None: ...

class CalibrationOffer(_message.Message):
    __slots__ = ("camera", "keyframes", "reprojection_px")
    CAMERA_FIELD_NUMBER: _ClassVar[int]
    KEYFRAMES_FIELD_NUMBER: _ClassVar[int]
    REPROJECTION_PX_FIELD_NUMBER: _ClassVar[int]
    camera: Camera
    keyframes: int
    reprojection_px: float
    def __init__(self, camera: _Optional[_Union[Camera, _Mapping]] = ..., keyframes: _Optional[int] = ..., reprojection_px: _Optional[float] = ...) -> None: ...

class ImuCalibration(_message.Message):
    __slots__ = ("camera_from_imu", "rate_hz", "gyroscope_noise", "accelerometer_noise", "gyroscope_walk", "accelerometer_walk")
    CAMERA_FROM_IMU_FIELD_NUMBER: _ClassVar[int]
    RATE_HZ_FIELD_NUMBER: _ClassVar[int]
    GYROSCOPE_NOISE_FIELD_NUMBER: _ClassVar[int]
    ACCELEROMETER_NOISE_FIELD_NUMBER: _ClassVar[int]
    GYROSCOPE_WALK_FIELD_NUMBER: _ClassVar[int]
    ACCELEROMETER_WALK_FIELD_NUMBER: _ClassVar[int]
    camera_from_imu: Pose
    rate_hz: float
    gyroscope_noise: float
    accelerometer_noise: float
    gyroscope_walk: float
    accelerometer_walk: float
    def __init__(self, camera_from_imu: _Optional[_Union[Pose, _Mapping]] = ..., rate_hz: _Optional[float] = ..., gyroscope_noise: _Optional[float] = ..., accelerometer_noise: _Optional[float] = ..., gyroscope_walk: _Optional[float] = ..., accelerometer_walk: _Optional[float] = ...) -> None: ...

class ImuSample(_message.Message):
    __slots__ = ("capture_ns", "gx", "gy", "gz", "ax", "ay", "az")
    CAPTURE_NS_FIELD_NUMBER: _ClassVar[int]
    GX_FIELD_NUMBER: _ClassVar[int]
    GY_FIELD_NUMBER: _ClassVar[int]
    GZ_FIELD_NUMBER: _ClassVar[int]
    AX_FIELD_NUMBER: _ClassVar[int]
    AY_FIELD_NUMBER: _ClassVar[int]
    AZ_FIELD_NUMBER: _ClassVar[int]
    capture_ns: int
    gx: float
    gy: float
    gz: float
    ax: float
    ay: float
    az: float
    def __init__(self, capture_ns: _Optional[int] = ..., gx: _Optional[float] = ..., gy: _Optional[float] = ..., gz: _Optional[float] = ..., ax: _Optional[float] = ..., ay: _Optional[float] = ..., az: _Optional[float] = ...) -> None: ...

class ImuBatch(_message.Message):
    __slots__ = ("samples",)
    SAMPLES_FIELD_NUMBER: _ClassVar[int]
    samples: _containers.RepeatedCompositeFieldContainer[ImuSample]
    def __init__(self, samples: _Optional[_Iterable[_Union[ImuSample, _Mapping]]] = ...) -> None: ...

class FusionSettings(_message.Message):
    __slots__ = ("voxel_size_m", "truncation_vox", "depth_min_m", "depth_max_m", "max_blocks", "mesh_rate_hz", "no_alignment", "depth_filter")
    VOXEL_SIZE_M_FIELD_NUMBER: _ClassVar[int]
    TRUNCATION_VOX_FIELD_NUMBER: _ClassVar[int]
    DEPTH_MIN_M_FIELD_NUMBER: _ClassVar[int]
    DEPTH_MAX_M_FIELD_NUMBER: _ClassVar[int]
    MAX_BLOCKS_FIELD_NUMBER: _ClassVar[int]
    MESH_RATE_HZ_FIELD_NUMBER: _ClassVar[int]
    NO_ALIGNMENT_FIELD_NUMBER: _ClassVar[int]
    DEPTH_FILTER_FIELD_NUMBER: _ClassVar[int]
    voxel_size_m: float
    truncation_vox: int
    depth_min_m: float
    depth_max_m: float
    max_blocks: int
    mesh_rate_hz: float
    no_alignment: bool
    depth_filter: bool
    def __init__(self, voxel_size_m: _Optional[float] = ..., truncation_vox: _Optional[int] = ..., depth_min_m: _Optional[float] = ..., depth_max_m: _Optional[float] = ..., max_blocks: _Optional[int] = ..., mesh_rate_hz: _Optional[float] = ..., no_alignment: _Optional[bool] = ..., depth_filter: _Optional[bool] = ...) -> None: ...

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

class FusedView(_message.Message):
    __slots__ = ("capture_ns", "color", "depth", "confidence", "depth_scale")
    CAPTURE_NS_FIELD_NUMBER: _ClassVar[int]
    COLOR_FIELD_NUMBER: _ClassVar[int]
    DEPTH_FIELD_NUMBER: _ClassVar[int]
    CONFIDENCE_FIELD_NUMBER: _ClassVar[int]
    DEPTH_SCALE_FIELD_NUMBER: _ClassVar[int]
    capture_ns: int
    color: Image
    depth: Image
    confidence: Image
    depth_scale: float
    def __init__(self, capture_ns: _Optional[int] = ..., color: _Optional[_Union[Image, _Mapping]] = ..., depth: _Optional[_Union[Image, _Mapping]] = ..., confidence: _Optional[_Union[Image, _Mapping]] = ..., depth_scale: _Optional[float] = ...) -> None: ...

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
    __slots__ = ("session", "window", "epoch", "viewer_path", "publish_token", "watch_token")
    SESSION_FIELD_NUMBER: _ClassVar[int]
    WINDOW_FIELD_NUMBER: _ClassVar[int]
    EPOCH_FIELD_NUMBER: _ClassVar[int]
    VIEWER_PATH_FIELD_NUMBER: _ClassVar[int]
    PUBLISH_TOKEN_FIELD_NUMBER: _ClassVar[int]
    WATCH_TOKEN_FIELD_NUMBER: _ClassVar[int]
    session: str
    window: int
    epoch: int
    viewer_path: str
    publish_token: str
    watch_token: str
    def __init__(self, session: _Optional[str] = ..., window: _Optional[int] = ..., epoch: _Optional[int] = ..., viewer_path: _Optional[str] = ..., publish_token: _Optional[str] = ..., watch_token: _Optional[str] = ...) -> None: ...

class FrameResult(_message.Message):
    __slots__ = ("index", "capture_ns", "status", "reason", "tracking", "inliers", "world_from_camera", "keyframe", "latency_ms", "stages", "odom_from_camera", "recorded_through", "epoch", "keyframe_ns", "keyframe_from_camera")
    class Status(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        STATUS_UNSPECIFIED: _ClassVar[FrameResult.Status]
        STATUS_FUSED: _ClassVar[FrameResult.Status]
        STATUS_NOT_FUSED: _ClassVar[FrameResult.Status]
        STATUS_DROPPED: _ClassVar[FrameResult.Status]
        STATUS_REJECTED: _ClassVar[FrameResult.Status]
        STATUS_TRACKED: _ClassVar[FrameResult.Status]
    STATUS_UNSPECIFIED: FrameResult.Status
    STATUS_FUSED: FrameResult.Status
    STATUS_NOT_FUSED: FrameResult.Status
    STATUS_DROPPED: FrameResult.Status
    STATUS_REJECTED: FrameResult.Status
    STATUS_TRACKED: FrameResult.Status
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
    ODOM_FROM_CAMERA_FIELD_NUMBER: _ClassVar[int]
    RECORDED_THROUGH_FIELD_NUMBER: _ClassVar[int]
    EPOCH_FIELD_NUMBER: _ClassVar[int]
    KEYFRAME_NS_FIELD_NUMBER: _ClassVar[int]
    KEYFRAME_FROM_CAMERA_FIELD_NUMBER: _ClassVar[int]
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
    odom_from_camera: Pose
    recorded_through: int
    epoch: int
    keyframe_ns: int
    keyframe_from_camera: Pose
    def __init__(self, index: _Optional[int] = ..., capture_ns: _Optional[int] = ..., status: _Optional[_Union[FrameResult.Status, str]] = ..., reason: _Optional[str] = ..., tracking: _Optional[_Union[TrackingState, str]] = ..., inliers: _Optional[int] = ..., world_from_camera: _Optional[_Union[Pose, _Mapping]] = ..., keyframe: _Optional[bool] = ..., latency_ms: _Optional[float] = ..., stages: _Optional[_Union[StageTimes, _Mapping]] = ..., odom_from_camera: _Optional[_Union[Pose, _Mapping]] = ..., recorded_through: _Optional[int] = ..., epoch: _Optional[int] = ..., keyframe_ns: _Optional[int] = ..., keyframe_from_camera: _Optional[_Union[Pose, _Mapping]] = ...) -> None: ...

class KeyframePose(_message.Message):
    __slots__ = ("capture_ns", "world_from_keyframe", "scale")
    CAPTURE_NS_FIELD_NUMBER: _ClassVar[int]
    WORLD_FROM_KEYFRAME_FIELD_NUMBER: _ClassVar[int]
    SCALE_FIELD_NUMBER: _ClassVar[int]
    capture_ns: int
    world_from_keyframe: Pose
    scale: float
    def __init__(self, capture_ns: _Optional[int] = ..., world_from_keyframe: _Optional[_Union[Pose, _Mapping]] = ..., scale: _Optional[float] = ...) -> None: ...

class FrameHang(_message.Message):
    __slots__ = ("capture_ns", "keyframe_ns", "keyframe_from_camera")
    CAPTURE_NS_FIELD_NUMBER: _ClassVar[int]
    KEYFRAME_NS_FIELD_NUMBER: _ClassVar[int]
    KEYFRAME_FROM_CAMERA_FIELD_NUMBER: _ClassVar[int]
    capture_ns: int
    keyframe_ns: int
    keyframe_from_camera: Pose
    def __init__(self, capture_ns: _Optional[int] = ..., keyframe_ns: _Optional[int] = ..., keyframe_from_camera: _Optional[_Union[Pose, _Mapping]] = ...) -> None: ...

class Corrections(_message.Message):
    __slots__ = ("epoch", "keyframes", "frames")
    EPOCH_FIELD_NUMBER: _ClassVar[int]
    KEYFRAMES_FIELD_NUMBER: _ClassVar[int]
    FRAMES_FIELD_NUMBER: _ClassVar[int]
    epoch: int
    keyframes: _containers.RepeatedCompositeFieldContainer[KeyframePose]
    frames: _containers.RepeatedCompositeFieldContainer[FrameHang]
    def __init__(self, epoch: _Optional[int] = ..., keyframes: _Optional[_Iterable[_Union[KeyframePose, _Mapping]]] = ..., frames: _Optional[_Iterable[_Union[FrameHang, _Mapping]]] = ...) -> None: ...

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
        CODE_UNAUTHENTICATED: _ClassVar[Error.Code]
        CODE_FORBIDDEN: _ClassVar[Error.Code]
    CODE_UNSPECIFIED: Error.Code
    CODE_INVALID_ARGUMENT: Error.Code
    CODE_UNKNOWN_MESSAGE: Error.Code
    CODE_BUSY: Error.Code
    CODE_NOT_FOUND: Error.Code
    CODE_SESSION_FAILED: Error.Code
    CODE_MAP_FULL: Error.Code
    CODE_UNAUTHENTICATED: Error.Code
    CODE_FORBIDDEN: Error.Code
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
