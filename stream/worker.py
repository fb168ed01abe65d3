"""A session's worker process: `python -m stream.worker FD VOCABULARY`.

Three threads pass each message on in order: decode, track, fuse (which also meshes and answers).
The queues between them are bounded by the credits the server was granted.
"""

import os
import queue
import socket
import sys
import tempfile
import threading
import time
import traceback
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from fusion.export import encode_mesh
from fusion.live_map import FusedFrame, LiveMap
from fusion.volume import VolumeSettings
from fusion.warm_up import warm_up
from mapcast_client.errors import InputError, MapcastError
from mapcast_client.mesh import TriangleMesh
from mapcast_client.v1 import ingest_pb2
from slam.camera import Calibration, Camera
from slam.frame import Frame
from slam.geometry import Mat4, from_pose_vector, pose_vector
from slam.given import GivenPoseTracker
from slam.images import decode_frame
from slam.orbslam3 import OrbSlam3Tracker
from slam.pose_graph import UPRIGHT
from slam.rectify import Rectifier
from slam.tracker import TrackedFrame, Tracker, TrackingState
from stream import ipc, worker_pb2
from stream.publisher import IDLE_S, Publisher, milliseconds_since

CREDITS = 4
"""Frames in the worker at most: one in each stage and one waiting."""
LARGE_ANSWER_BYTES = 1 << 20

WIRE_STATE = {
    TrackingState.INITIALIZING: ingest_pb2.TRACKING_STATE_INITIALIZING,
    TrackingState.TRACKING: ingest_pb2.TRACKING_STATE_TRACKING,
    TrackingState.LOST: ingest_pb2.TRACKING_STATE_LOST,
    TrackingState.RELOCALIZED: ingest_pb2.TRACKING_STATE_RELOCALIZED,
    TrackingState.RESET: ingest_pb2.TRACKING_STATE_RESET,
}

NO_POSE = {
    TrackingState.INITIALIZING: "no pose yet: the tracker needs texture and depth to begin",
    TrackingState.LOST: "no pose: tracking is lost; show a place that is mapped already",
    TrackingState.RESET: (
        "no pose: tracking was lost for long and began another map, not connected to this one; "
        "show a place that is mapped already, or reset the session to start over"
    ),
}


@dataclass(slots=True)
class Job:
    """A message on its way through the stages."""

    message: worker_pb2.ToWorker
    map: LiveMap | None = None
    frame: Frame | None = None
    tracked: TrackedFrame | None = None
    refused: str = ""
    stages: ingest_pb2.StageTimes = field(default_factory=ingest_pb2.StageTimes)


Jobs = queue.Queue[Job | None]


class Worker:
    """The stages and what they own: the tracker by `track`, the volume by `fuse`."""

    def __init__(self, pipe: socket.socket, vocabulary: Path) -> None:
        self._pipe = pipe
        self._writing = threading.Lock()
        self._vocabulary = vocabulary
        self._settings = ingest_pb2.OpenSession()
        self._calibration: Calibration
        self._rectifier: Rectifier
        self._map: LiveMap | None = None
        self._publisher: Publisher
        self._keyframes: Mapping[int, Mat4] = {}
        self._queues: list[Jobs] = [queue.Queue(2 * CREDITS) for _ in range(3)]

    def run(self) -> None:
        """Serve until the server closes the pipe."""
        warm_up()
        self._send(worker_pb2.FromWorker(ready=worker_pb2.Ready()))
        while self._map is None:
            if (message := ipc.receive_blocking(self._pipe)) is None:
                return
            self._open(message.open)
        decoding, tracking, fusing = self._queues
        stages = [
            threading.Thread(
                target=self._guard, args=(self._pass_on, self._decode, decoding, tracking)
            ),
            threading.Thread(
                target=self._guard, args=(self._pass_on, self._track, tracking, fusing)
            ),
            threading.Thread(target=self._guard, args=(self._fuse_all, fusing)),
        ]
        for stage in stages:
            stage.start()
        with suppress(ConnectionError):  # the server is gone, and did not read what we said last
            while (message := ipc.receive_blocking(self._pipe)) is not None:
                decoding.put(Job(message))
        decoding.put(None)
        for stage in stages:
            stage.join()

    def _open(self, settings: ingest_pb2.OpenSession) -> None:
        try:
            self._settings = settings
            self._calibration = Calibration.from_message(settings.calibration)
            self._rectifier = Rectifier(self._calibration.camera)
            self._map = self._new_map()
        except MapcastError as error:
            self._send(worker_pb2.FromWorker(refused=worker_pb2.Refused(reason=str(error))))
            return
        self._publisher = Publisher(self._send, settings.fusion.mesh_rate_hz)
        voxel_size_m = volume_settings(settings.fusion).voxel_size_m
        opened = worker_pb2.Opened(credits=CREDITS, voxel_size_m=voxel_size_m)
        self._send(worker_pb2.FromWorker(opened=opened))

    def _new_map(self) -> LiveMap:
        camera, fusion = self._rectifier.camera, self._settings.fusion
        calibration = Calibration(
            camera,
            self._calibration.depth_scale_m,
            self._calibration.depth_invalid,
            self._calibration.frame_rate_hz,
        )
        tracker: Tracker
        if self._settings.pose_source == ingest_pb2.POSE_SOURCE_GIVEN:
            tracker, world_from_tracker = GivenPoseTracker(calibration), np.eye(4)
        else:
            tracker, world_from_tracker = OrbSlam3Tracker(calibration, self._vocabulary), UPRIGHT
        return LiveMap(camera, volume_settings(fusion), tracker, world_from_tracker)

    def _pass_on(self, work: Callable[[Job], None], inbox: Jobs, outbox: Jobs) -> None:
        while (job := inbox.get()) is not None:
            if not job.refused:
                try:
                    work(job)
                except InputError as error:
                    job.refused = str(error)
            outbox.put(job)
        outbox.put(None)

    def _decode(self, job: Job) -> None:
        if job.message.HasField("frame"):
            start = time.perf_counter()
            frame = decode_frame(job.message.frame, self._calibration)
            job.frame = self._rectifier.rectify(frame)
            job.stages.decode_ms = milliseconds_since(start)

    def _track(self, job: Job) -> None:
        action = job.message.control.action
        if action in (ingest_pb2.Control.ACTION_RESET, ingest_pb2.Control.ACTION_FINISH):
            assert self._map is not None
            self._map.close()  # the tracker's memory and threads; the map stays
        if action == ingest_pb2.Control.ACTION_RESET:
            self._map = self._new_map()
        job.map = self._map
        if job.frame is not None and job.map is not None:
            start = time.perf_counter()
            job.tracked = job.map.track(job.frame)
            job.stages.track_ms = milliseconds_since(start)

    def _fuse_all(self, inbox: Jobs) -> None:
        live_map, epoch = self._map, 0
        assert live_map is not None
        while True:
            self._publisher.flush_if_idle(live_map, epoch)
            try:
                job = inbox.get(timeout=IDLE_S / 2)
            except queue.Empty:
                continue
            if job is None:
                live_map.close()
                return
            if job.map is not None and job.map is not live_map:
                live_map, epoch = job.map, epoch + 1
                self._keyframes = {}
                self._publisher.restart(live_map, epoch)
            self._finish_job(job, live_map, epoch)

    def _finish_job(self, job: Job, live_map: LiveMap, epoch: int) -> None:
        kind = job.message.WhichOneof("message")
        if kind == "frame":
            self._fuse(job, live_map, epoch)
        elif kind == "query":
            self._answer(job.message.query, live_map)
        elif job.message.control.action == ingest_pb2.Control.ACTION_FINISH:
            self._publisher.flush(live_map, epoch)
            self._send(worker_pb2.FromWorker(finished=worker_pb2.Finished(epoch=epoch)))

    def _fuse(self, job: Job, live_map: LiveMap, epoch: int) -> None:
        start = time.perf_counter()
        fused = None
        if job.frame is not None and job.tracked is not None:
            try:
                fused = live_map.fuse(job.frame, job.tracked)
            except InputError as error:
                job.refused = f"frame {job.frame.index}: {error}"
            job.stages.fuse_ms = milliseconds_since(start)
        job.stages.mesh_ms = self._publisher.take_mesh_ms()
        self._send(worker_pb2.FromWorker(result=_result(job, fused)))
        if fused is not None:
            self._tell_keyframes(fused.tracked.keyframes)
        if fused is not None and fused.world_from_camera is not None:
            self._publisher.fused(live_map, epoch, job.message.frame)

    def _tell_keyframes(self, keyframes: Mapping[int, Mat4]) -> None:
        """A tracker decides late that a frame was a keyframe: tell of those since the last call."""
        if keyframes is not self._keyframes:
            fresh = worker_pb2.Keyframes(capture_ns=keyframes.keys() - self._keyframes.keys())
            self._keyframes = keyframes
            self._send(worker_pb2.FromWorker(keyframes=fresh))

    def _answer(self, query: worker_pb2.Query, live_map: LiveMap) -> None:
        kind = query.WhichOneof("query")
        if kind == "export_format":
            arguments = (query.id, live_map.mesh(), query.export_format)
            threading.Thread(target=self._guard, args=(self._export, *arguments)).start()
            return
        answer = worker_pb2.Answer(id=query.id)
        if kind == "raycast":
            try:
                pose = query.raycast.world_from_camera
                vector = np.array([pose.tx, pose.ty, pose.tz, pose.qx, pose.qy, pose.qz, pose.qw])
                view = live_map.view(
                    Camera.from_message(query.raycast.camera), from_pose_vector(vector)
                )
            except (MapcastError, ValueError) as error:
                answer.error = str(error)
            else:
                images = (view.color, view.depth_m, view.normals_world)
                _fill(answer, *(image.tobytes() for image in images))
        else:
            _fill(answer, live_map.trajectory().to_tum().encode())
        self._send(worker_pb2.FromWorker(answer=answer))

    def _export(self, query_id: int, mesh: TriangleMesh, mesh_format: str) -> None:
        answer = worker_pb2.Answer(id=query_id)
        try:
            _fill(answer, encode_mesh(mesh, mesh_format))
        except MapcastError as error:
            answer.error = str(error)
        self._send(worker_pb2.FromWorker(answer=answer))

    def _send(self, message: worker_pb2.FromWorker) -> None:
        with self._writing:
            self._pipe.sendall(ipc.pack(message))

    def _guard(self, work: Callable[..., None], *arguments: object) -> None:
        """Run a thread; any error that it does not expect ends the process, with the reason."""
        try:
            work(*arguments)
        except ConnectionError:
            os._exit(0)  # the server is gone
        except BaseException as error:
            traceback.print_exc()
            reason = f"{type(error).__name__}: {error}"
            with suppress(ConnectionError):
                self._send(worker_pb2.FromWorker(failure=worker_pb2.Failure(reason=reason)))
            os._exit(1)


def volume_settings(message: ingest_pb2.FusionSettings) -> VolumeSettings:
    """The wire's settings, with our defaults where it is silent. Raises InputError."""
    given = {
        name: getattr(message, name)
        for name in ("voxel_size_m", "truncation_vox", "depth_min_m", "depth_max_m", "max_blocks")
        if getattr(message, name)
    }
    return VolumeSettings(**given)


def _fill(answer: worker_pb2.Answer, *parts: bytes) -> None:
    """Put the parts into the answer; large ones go through files, past the server's event loop."""
    if sum(map(len, parts)) <= LARGE_ANSWER_BYTES:
        answer.parts.extend(parts)
        return
    for part in parts:
        with tempfile.NamedTemporaryFile(prefix="mapcast-", delete=False) as file:
            file.write(part)
        answer.files.append(file.name)


def _result(job: Job, fused: FusedFrame | None) -> ingest_pb2.FrameResult:
    frame, Result = job.message.frame, ingest_pb2.FrameResult
    result = Result(index=frame.index, capture_ns=frame.capture_ns, stages=job.stages)
    if fused is None:
        result.status, result.reason = Result.STATUS_REJECTED, job.refused
        return result
    result.tracking = WIRE_STATE[fused.tracked.state]
    result.inliers, result.keyframe = fused.tracked.inliers, fused.tracked.is_keyframe
    if fused.world_from_camera is None:
        result.status = Result.STATUS_NOT_FUSED
        result.reason = NO_POSE[fused.tracked.state]
        return result
    tx, ty, tz, qx, qy, qz, qw = pose_vector(fused.world_from_camera)
    pose = ingest_pb2.Pose(tx=tx, ty=ty, tz=tz, qx=qx, qy=qy, qz=qz, qw=qw)
    result.world_from_camera.CopyFrom(pose)
    result.status = Result.STATUS_FUSED
    return result


def main() -> None:
    """Entry point of the process."""
    os.dup2(2, 1)  # what ORB-SLAM3 prints belongs in the log, which is standard error
    with socket.socket(fileno=int(sys.argv[1])) as pipe:
        Worker(pipe, Path(sys.argv[2])).run()


if __name__ == "__main__":
    main()
