"""A map brought back in a new worker: from its last checkpoint and the recording's tail."""

import logging
import os
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from fusion.live_map import LiveMap
from fusion.map_versions import MapVersions
from fusion.saved_map import SavedMap
from mapcast_client.errors import InputError
from mapcast_client.v1 import ingest_pb2
from mapcast_client.v1.ingest_pb2 import FrameResult
from replay.recording import IMU
from replay.recording_reader import RecordingReader
from slam.anchored import AnchoredTracker, Lesson
from slam.camera import Calibration
from slam.frame import Frame
from slam.fused_view import decode_view
from slam.geometry import Mat4
from slam.given import GivenPoseTracker
from slam.imu import ImuSamples
from slam.tracker import TrackedFrame, TrackingState
from stream.checkpoints import newest_checkpoint
from stream.map_builder import MapBuilder
from stream.recorded_tail import HAS_POSE, RecordedPose, RecordedTail
from stream.worker_pb2 import FromWorker, Open, Ready

logger = logging.getLogger(__name__)

LESSONS = {
    ingest_pb2.SENSOR_RGBD: 45,
    ingest_pb2.SENSOR_MONO: 150,
    ingest_pb2.SENSOR_MONO_IMU: 360,
}
"""Frames that a new tracker is shown: one that sees no depth takes longer to begin."""
LOADED_LESSONS = 400
"""Of a map that was loaded, from all along its path: the camera may be anywhere in it."""
IMU_BEFORE_NS = 1_000_000_000
BETWEEN_SESSIONS_NS = 10_000_000_000
LONG_AGO_NS = -(1 << 63)
"""Before any frame."""
SETTLE_S = 1.0
"""Of moving views, between two signs of life."""


@dataclass(frozen=True, slots=True)
class RestoredMap:
    """A map as it was, and how far it goes."""

    live_map: LiveMap
    newest: ingest_pb2.Frame
    """Index and instant of the newest frame that was answered."""
    frames: int
    """Views that were fused again."""


class Restoring:
    """One restoration, step by step."""

    def __init__(
        self, request: Open, builder: MapBuilder, send: Callable[[FromWorker], None]
    ) -> None:
        """All the while it sends that the worker lives.

        Raises InputError for a recording that is none, a saved map that is broken, or one that the
        session's settings do not fit.
        """
        self._request = request
        self._builder = builder
        self._send = send
        self._beat_s = 0.0
        self._sensor = request.settings.sensor
        self._reader = RecordingReader(_folder(request.recording))
        self._earlier_by_ns = 0
        self._saved: SavedMap | None = None
        if request.restore:
            self._saved = newest_checkpoint(Path(request.checkpoint), request.map_epoch)
        self._loaded: SavedMap | None = None
        if request.saved_map:
            self._loaded = self._load_again(Path(request.saved_map))
        self._saved = self._saved or self._loaded
        if self._saved is not None and builder.calibration is not None:
            self._saved.require_fits(builder.calibration.camera, builder.volume_settings)

    def _load_again(self, folder: Path) -> SavedMap | None:
        """The saved map; None if it is gone since, and a checkpoint holds what it held."""
        try:
            return self._load(folder)
        except InputError as error:
            if self._saved is None:
                raise
            logger.warning("goes on without the map that was loaded: %s", error)
            return None

    def _load(self, folder: Path) -> SavedMap:
        """A saved map, earlier than anything that a session of its own clock will bring."""
        broken: list[str] = []
        saved = MapVersions(folder).newest(broken)
        if saved is None:
            raise InputError("; ".join(broken) or f"{folder}: there is no saved map")
        self._earlier_by_ns = saved.newest_ns + BETWEEN_SESSIONS_NS
        return saved.earlier(self._earlier_by_ns)

    def run(self) -> RestoredMap | None:
        """The map; None where no frame was recorded that would tell its camera.

        Raises MapcastError for what the first worker would have refused, too.
        """
        with self._reader:
            saved = self._saved
            newest_ns = LONG_AGO_NS if saved is None else saved.newest_ns
            tail = RecordedTail.read(self._reader, self._request.map_epoch, newest_ns)
            calibration = self._calibration()
            if calibration is None:
                if self._loaded is not None:
                    raise InputError("a saved map needs the session's calibration")
                return None
            if self._request.settings.pose_source == ingest_pb2.POSE_SOURCE_GIVEN:
                live_map, frames = self._with_given_poses(calibration, saved, tail)
            else:
                live_map, frames = self._with_a_tracker(calibration, saved, tail)
            if self._request.settings.localization_only:
                live_map.only_localize()
            logger.info("restored %d blocks, %d views anew", live_map.block_count, frames)
            return RestoredMap(live_map, _newest(saved, tail), frames)

    def _calibration(self) -> Calibration | None:
        """Of the rectified frames; a camera that is guessed is so from the first one's size."""
        instants = self._reader.capture_ns
        if self._builder.calibration is None and len(instants):
            first = self._reader.frame(int(instants[0]))
            if first is not None:
                self._builder.decode(first)
        return self._builder.calibration

    # --- given poses: the tracker only checks them, so that it can do so again ---

    def _with_given_poses(
        self, calibration: Calibration, saved: SavedMap | None, tail: RecordedTail
    ) -> tuple[LiveMap, int]:
        tracker = GivenPoseTracker(calibration)
        live_map = self._builder.build(calibration, tracker)
        fused = 0
        if saved is not None:
            live_map.restore(saved)
            if saved is self._loaded:
                live_map.begin_segment()
            else:
                self._resume(tracker, live_map, saved.newest_ns)
        for result in _later(saved, tail):
            frame = self._frame(result.capture_ns)
            if frame is None:
                continue
            with suppress(InputError):  # it was refused the first time, too
                tracked = tracker.track(frame)
                if result.status in HAS_POSE:
                    view = frame if frame.depth is not None else self._view(result)
                    live_map.recall(frame.index, frame.capture_ns, tracked, view)
                    fused += view is not None
        return live_map, fused

    def _resume(self, tracker: GivenPoseTracker, live_map: LiveMap, newest_ns: int) -> None:
        """Go on with the session's own keyframes, those of a map that it loaded aside."""
        after_ns = -BETWEEN_SESSIONS_NS if self._request.saved_map else LONG_AGO_NS
        keyframes = live_map.graph.keyframes().items()
        own = {ns: pose.world_from_keyframe for ns, pose in keyframes if ns > after_ns}
        frames = int((live_map.trajectory().capture_ns > after_ns).sum())
        tracker.resume(own, frames, newest_ns)

    # --- a tracker of our own: where it was is known, what it knew is lost ---

    def _with_a_tracker(
        self, calibration: Calibration, saved: SavedMap | None, tail: RecordedTail
    ) -> tuple[LiveMap, int]:
        poses = {
            result.capture_ns: tail.tracked(result)
            for result in _later(saved, tail)
            if result.status in HAS_POSE
        }
        if not poses and _has_no_path(saved):
            return self._builder.build(calibration), 0  # there is nothing to find oneself in
        is_metric = self._sensor != ingest_pb2.SENSOR_MONO
        tracker = AnchoredTracker(lambda: self._builder.open_tracker(calibration), is_metric)
        live_map = self._builder.build(calibration, tracker)
        fused = 0
        if saved is not None:
            live_map.restore(saved)
            live_map.begin_segment()
        keyframes = _keyframes(tail, poses)
        live_map.graph.update(keyframes)
        live_map.graph.recall(tail.moved)
        for capture_ns, pose in poses.items():
            result = tail.results[capture_ns]
            tracked = TrackedFrame(
                TrackingState.TRACKING, pose.world_from_camera, keyframes=keyframes
            )
            view = self._view(result)
            live_map.recall(result.index, capture_ns, tracked, view, pose.keyframe_ns)
            fused += view is not None
        while not live_map.settle(SETTLE_S):
            self._beat()
        lessons = self._lessons(live_map, _newest(saved, tail).capture_ns)
        tracker.teach(lessons, list(self._imu(lessons)))
        live_map.begin_segment()
        return live_map, fused

    def _lessons(self, live_map: LiveMap, newest_ns: int) -> list[Lesson]:
        """Frames whose poses are known: the last ones, or those of the map that was loaded."""
        path = live_map.trajectory()
        known = dict(zip(path.capture_ns.tolist(), path.world_from_camera, strict=True))
        instants = self._reader.capture_ns.tolist()
        last_ns = max((ns for ns in instants if ns in known and ns <= newest_ns), default=None)
        if last_ns is not None:
            shown = [ns for ns in instants if ns <= last_ns][-LESSONS[self._sensor] :]
            return list(self._taught(self._reader, shown, known))
        if self._loaded is None:
            return []
        with RecordingReader(_folder(self._loaded.recording)) as reader:
            shown = [ns for ns in reader.capture_ns.tolist() if ns - self._earlier_by_ns in known]
            return list(self._taught(reader, _evenly(shown), known, self._earlier_by_ns))

    def _taught(
        self,
        reader: RecordingReader,
        instants: list[int],
        known: Mapping[int, Mat4],
        by_ns: int = 0,
    ) -> Iterator[Lesson]:
        """Lessons from a recording; `by_ns`: how much earlier it is in the map."""
        for capture_ns in instants:
            frame = self._frame(capture_ns, reader)
            if frame is not None:
                earlier_ns = capture_ns - by_ns
                yield Lesson(replace(frame, capture_ns=earlier_ns), known.get(earlier_ns))

    def _imu(self, lessons: list[Lesson]) -> Iterator[ImuSamples]:
        """All samples since shortly before the first lesson."""
        if lessons and self._sensor == ingest_pb2.SENSOR_MONO_IMU:
            after_ns = lessons[0].frame.capture_ns - IMU_BEFORE_NS
            for recorded in self._reader.messages({IMU}, after_ns):
                if isinstance(recorded.message, ingest_pb2.ImuBatch):
                    yield ImuSamples.from_message(recorded.message)

    def _beat(self) -> None:
        """Say, once a second, that the worker is at it."""
        if time.monotonic() > self._beat_s + 1:
            self._beat_s = time.monotonic()
            self._send(FromWorker(ready=Ready()))

    # --- what is stored ---

    def _frame(self, capture_ns: int, reader: RecordingReader | None = None) -> Frame | None:
        """A frame as the tracker saw it; None: it is not stored, or was refused."""
        self._beat()
        message = (reader or self._reader).frame(capture_ns)
        if message is None:
            return None
        try:
            return self._builder.decode(message)
        except InputError:
            return None

    def _view(self, result: FrameResult) -> Frame | None:
        """What was fused of a frame; None: nothing, or it is not stored."""
        self._beat()
        if result.status != FrameResult.STATUS_FUSED:
            return None
        if self._sensor == ingest_pb2.SENSOR_RGBD:
            return self._frame(result.capture_ns)
        message = self._reader.fused_view(result.capture_ns)
        return None if message is None else decode_view(message, result.index)


def _folder(path: str) -> Path:
    """A recording's folder; where there is none, one without anything in it."""
    return Path(path or os.devnull)


def _has_no_path(saved: SavedMap | None) -> bool:
    """Whether no frame had a pose yet."""
    return saved is None or not len(saved.graph.get("frames.capture_ns", ()))


def _evenly(instants: list[int]) -> list[int]:
    """At most every third frame of as many as can be taught, and the last ones."""
    stride = min(max(len(instants) // LOADED_LESSONS, 1), 3)
    return instants[::-stride][:LOADED_LESSONS][::-1]


def _later(saved: SavedMap | None, tail: RecordedTail) -> Iterator[FrameResult]:
    """What was answered since the checkpoint."""
    since_ns = LONG_AGO_NS if saved is None else saved.newest_ns
    return (result for capture_ns, result in tail.results.items() if capture_ns > since_ns)


def _keyframes(tail: RecordedTail, poses: Mapping[int, RecordedPose]) -> dict[int, Mat4]:
    """capture_ns → pose of the keyframes that frames hang on."""
    keyframes = {ns: keyframe.world_from_keyframe for ns, keyframe in tail.keyframes.items()}
    own = {ns: pose.world_from_camera for ns, pose in poses.items() if pose.keyframe_ns == ns}
    return own | keyframes


def _newest(saved: SavedMap | None, tail: RecordedTail) -> ingest_pb2.Frame:
    """The newest frame that the checkpoint or the tail knows."""
    newest = ingest_pb2.Frame(capture_ns=LONG_AGO_NS)
    if saved is not None:
        newest = ingest_pb2.Frame(index=saved.newest_index, capture_ns=saved.newest_ns)
    for result in tail.results.values():
        if result.capture_ns > newest.capture_ns:
            newest = ingest_pb2.Frame(index=result.index, capture_ns=result.capture_ns)
    return newest
