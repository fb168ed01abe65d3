"""How a session's settings become a map, with a camera that is given or guessed."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from fusion.align import AlignmentSettings
from fusion.depth.description import NetworkDescription, Quantity
from fusion.depth.opening import open_depth_source
from fusion.frame_store import MEMORY_BYTES, MemoryFrames
from fusion.live_map import LiveMap
from fusion.monocular import Monocular, Scale
from fusion.refinement import MapRefinement
from fusion.volume import VolumeSettings
from gpu.backend import Backend
from gpu.discovery import CPU, described
from mapcast_client.v1 import ingest_pb2
from mapcast_client.v1.ingest_pb2 import DepthSettings
from slam.camera import Calibration, Camera
from slam.frame import Frame
from slam.guessed import guess_camera
from slam.images import color_size, decode_frame, decode_monocular_frame
from slam.rectify import Rectifier
from slam.refine import Refiner, RefineSettings, why_unavailable
from slam.tracker import Tracker
from slam.trackers import open_tracker
from stream.stored_frames import RecordedFrames, RecordedViews
from stream.worker_pb2 import MapFrame

DEPTH_SOURCES = {
    DepthSettings.SOURCE_MOTION_STEREO: "motion_stereo",
    DepthSettings.SOURCE_NETWORK: "network",
    DepthSettings.SOURCE_FUSED: "fused",
}
_SCALE_SOURCES = {ingest_pb2.SENSOR_RGBD: "sensor", ingest_pb2.SENSOR_MONO_IMU: "imu"}

MONOCULAR_MIN_WEIGHT = 6
"""One sure estimate, or several unsure ones that agree."""
FILTERED_MIN_WEIGHT = 5
"""More than the 4 observations that a near pixel of filtered depth counts for: no view is meshed
alone."""
UNSCALED_VOXEL = 0.005
"""In map units, which are about the depth of the first scene: pixels are half of that apart."""


class MapBuilder:
    """Decodes a session's frames, on one thread, and makes its maps, on any."""

    def __init__(
        self,
        settings: ingest_pb2.OpenSession,
        vocabulary: Path,
        recording: Path | None = None,
        record: Callable[[ingest_pb2.FusedView], None] | None = None,
        backend: Backend | None = None,
        matching: str = CPU,
    ) -> None:
        """`recording` is the session's folder, `record` has views written there; None: none is.

        `backend` is where volumes are; None: in main memory. `matching` is where refinement
        matches: a choice as `gpu.discovery` takes it.

        Raises InputError for settings that do not do.
        """
        self._settings = settings
        self._vocabulary = vocabulary
        self._backend = backend
        self._matching = matching
        self._is_monocular = settings.sensor != ingest_pb2.SENSOR_RGBD
        self.guesses_camera = self._is_monocular and not settings.calibration.HasField("camera")
        """Whether the camera is unknown before the first frame."""
        self.volume_settings = volume_settings(settings)
        self._calibration: Calibration
        self._rectifier: Rectifier | None = None
        self.frames = self._open_frames(recording, record)
        """Where the views of this session's maps are kept."""
        if not self.guesses_camera:
            self._use(settings.calibration)

    def decode(self, message: ingest_pb2.Frame) -> Frame:
        """A rectified frame. The first one tells a guessed camera's size. Raises FrameError."""
        frame = self._decoded(message)
        self.frames.arrived(message)
        return frame

    def _decoded(self, message: ingest_pb2.Frame) -> Frame:
        if self._rectifier is None:
            calibration = ingest_pb2.Calibration()
            calibration.CopyFrom(self._settings.calibration)
            calibration.camera.CopyFrom(guess_camera(*color_size(message)).to_message())
            self._use(calibration)
        assert self._rectifier is not None
        if self._is_monocular:
            frame = decode_monocular_frame(message, self._calibration.camera)
        else:
            frame = decode_frame(message, self._calibration)
        return self._rectifier.rectify(frame)

    def _open_frames(
        self, recording: Path | None, record: Callable[[ingest_pb2.FusedView], None] | None
    ) -> MemoryFrames | RecordedFrames | RecordedViews:
        if recording is None or record is None:
            # Views with estimated depth are not what their message says.
            return MemoryFrames(MEMORY_BYTES, None if self._is_monocular else self._decoded)
        if self._is_monocular:
            return RecordedViews(recording, record)
        return RecordedFrames(recording, self._decoded)

    def forget_camera(self) -> None:
        """Guess the camera anew from the next frame, if it is guessed."""
        if self.guesses_camera:
            self._rectifier = None

    @property
    def calibration(self) -> Calibration | None:
        """Of the rectified frames that `decode` returns; None before a guess."""
        if self._rectifier is None:
            return None
        return replace(self._calibration, camera=self._rectifier.camera)

    def open_tracker(self, calibration: Calibration) -> Tracker:
        """A tracker of the session's kind. Raises InputError as `build` does."""
        return open_tracker(
            self._settings.sensor, self._settings.pose_source, calibration, self._vocabulary
        )

    def build(self, calibration: Calibration, tracker: Tracker | None = None) -> LiveMap:
        """An empty map; `tracker`: instead of a new one.

        Raises InputError for a camera that the tracker cannot work with, and a network that cannot
        be loaded, DependencyError for one whose runtime is missing.
        """
        camera = calibration.camera
        monocular = self._monocular(camera) if self._is_monocular else None
        tracker = tracker or self.open_tracker(calibration)
        return LiveMap(
            camera,
            self.volume_settings,
            tracker,
            _tracker_scale(self._settings),
            monocular,
            self.frames,
            alignment=_alignment(self._settings),
            refinement=self._refinement(camera),
            backend=self._backend,
        )

    def _refinement(self, camera: Camera) -> MapRefinement | None:
        """Where the server has it and the session does not refuse it."""
        asked = self._settings.refine
        if asked.off or not self._settings.HasField("refine") or why_unavailable():
            return None
        # What is stored of monocular frames is as it was fused: smaller, with estimated depth.
        frames = None if self._is_monocular else self.frames
        settings = RefineSettings(free_intrinsics=asked.free_intrinsics, backend=self._matching)
        distortion = tuple(self._settings.calibration.camera.distortion)
        return MapRefinement(Refiner(replace(camera, distortion=distortion), settings), frames)

    def map_frame(self, live_map: LiveMap | None, epoch: int) -> MapFrame:
        """What the coordinates of a map mean, and where it is.

        None: before the first frame of a guessed camera.
        """
        scale = _tracker_scale(self._settings) if live_map is None else live_map.scale
        if not scale.is_known and self._settings.scene_depth_m:
            scale = Scale("declared", 0.0)  # in metres from the first frame with a pose on
        return MapFrame(
            epoch=epoch,
            units="m" if scale.is_known else "unscaled",
            scale_source=scale.source,
            metres_per_unit=scale.metres_per_unit if scale.is_known else 0.0,
            rescaled_by=0.0 if live_map is None else live_map.rescaled_by,
            camera=None if live_map is None else live_map.camera.to_message(),
            camera_guessed=self.guesses_camera,
            depth_source=self._depth_kind if self._is_monocular else "sensor",
            device=described(self._backend),
        )

    def _use(self, calibration: ingest_pb2.Calibration) -> None:
        self._calibration = Calibration.from_message(calibration)
        self._rectifier = Rectifier(self._calibration.camera)

    @property
    def _depth_kind(self) -> str:
        """Which depth source was asked for, or is best of what is there."""
        default = "fused" if self._settings.depth.model else "motion_stereo"
        return DEPTH_SOURCES.get(self._settings.depth.source, default)

    def _monocular(self, camera: Camera) -> Monocular:
        model = Path(self._settings.depth.model) if self._settings.depth.model else None
        source = open_depth_source(
            self._depth_kind, camera, model, self.volume_settings.truncation_m
        )
        return Monocular(source, self._settings.scene_depth_m)


def volume_settings(settings: ingest_pb2.OpenSession) -> VolumeSettings:
    """The wire's settings, with our defaults where it is silent. Raises InputError."""
    given = {
        name: getattr(settings.fusion, name)
        for name in ("voxel_size_m", "truncation_vox", "depth_min_m", "depth_max_m", "max_blocks")
        if getattr(settings.fusion, name)
    }
    if not _will_be_scaled(settings):
        given.setdefault("voxel_size_m", UNSCALED_VOXEL)
    if settings.sensor != ingest_pb2.SENSOR_RGBD:
        given["min_weight"] = MONOCULAR_MIN_WEIGHT
    elif settings.fusion.depth_filter:
        given |= {"depth_filter": True, "min_weight": FILTERED_MIN_WEIGHT}
    return VolumeSettings(**given)


def _alignment(settings: ingest_pb2.OpenSession) -> AlignmentSettings | None:
    """Given poses are the sender's to know; estimated depth is aligned as it is made."""
    is_tracked = settings.pose_source != ingest_pb2.POSE_SOURCE_GIVEN
    is_rgbd = settings.sensor == ingest_pb2.SENSOR_RGBD
    wanted = is_rgbd and is_tracked and not settings.fusion.no_alignment
    return AlignmentSettings() if wanted else None


def _will_be_scaled(settings: ingest_pb2.OpenSession) -> bool:
    """Whether anything gives the map metres, sooner or later."""
    if settings.scene_depth_m or _tracker_scale(settings).is_known:
        return True
    model = settings.depth.model
    return bool(model) and NetworkDescription.find(model).quantity is Quantity.METRIC


def _tracker_scale(settings: ingest_pb2.OpenSession) -> Scale:
    """What the tracker's own unit is."""
    if settings.pose_source == ingest_pb2.POSE_SOURCE_GIVEN:
        return Scale("given")
    return Scale(_SCALE_SOURCES.get(settings.sensor, "none"))
