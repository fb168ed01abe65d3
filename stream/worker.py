"""A session's worker: what its process does, see `stream.worker_main`.

Three threads pass each message on in order: decode, track, fuse (which also meshes and answers).
The queues between them are bounded by the credits the server was granted. The depth of monocular
frames is estimated beside them in a live session, and in turn in a lossless one.
"""

import os
import queue
import socket
import threading
import time
import traceback
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from fusion.live_map import FusedFrame, LiveMap
from gpu.backend import Backend
from gpu.discovery import CPU, described
from mapcast_client.errors import InputError, MapcastError
from mapcast_client.v1 import ingest_pb2
from slam.camera import Calibration
from slam.imu import ImuSamples
from stream import ipc, worker_pb2
from stream.checkpoints import Checkpointer, snapshot
from stream.corrections import CorrectionPublisher
from stream.depth_thread import DepthThread
from stream.job import Job, Jobs
from stream.map_builder import MapBuilder
from stream.map_follower import MapFollower
from stream.mesh_publisher import IDLE_S, MeshPublisher, milliseconds_since
from stream.refinements import finish_refinement, tell_refinements
from stream.restore import LONG_AGO_NS, Restoring
from stream.worker_answers import (
    export_answer,
    fused_result,
    raycast_answer,
    refused_result,
    save_answer,
    trajectory_answer,
)

CREDITS = 4
"""Frames in the worker at most: one in each stage and one waiting."""

SETTLE_S = 0.5

Action = ingest_pb2.Control.Action


class Worker:
    """The stages and what they own: the tracker by `track`, the volume by `fuse`."""

    def __init__(
        self, pipe: socket.socket, vocabulary: Path, backend: Backend | None, matching: str = CPU
    ) -> None:
        """`matching` is where refinement matches: a choice as `gpu.discovery` takes it."""
        self._pipe = pipe
        self._backend = backend
        self._matching = matching
        self._writing = threading.Lock()
        self._vocabulary = vocabulary
        self._builder: MapBuilder | None = None
        self._is_lossless = False
        self._publisher: MeshPublisher
        self._corrections: CorrectionPublisher
        self._queues: list[Jobs] = [queue.Queue(2 * CREDITS) for _ in range(3)]
        self._received_jobs = 0  # `run` counts; `fuse` reads
        self._depth = DepthThread(self._wake_fusion)
        # Owned by `track`.
        self._tracked_map: LiveMap | None = None
        self._no_map = ""
        # Owned by `fuse`.
        self._map: LiveMap | None = None
        self._follower = MapFollower()
        self._finished_jobs = 0
        self._generation = 0
        self._epoch = 0
        self._described = worker_pb2.MapFrame()
        self._opening = worker_pb2.Open()
        self._newest = ingest_pb2.Frame(capture_ns=LONG_AGO_NS)
        """Index and instant of the newest frame that the map knows."""
        self._checkpointer: Checkpointer | None = None

    def run(self) -> None:
        """Serve until the server closes the pipe."""
        self._send(worker_pb2.FromWorker(ready=worker_pb2.Ready(device=described(self._backend))))
        while self._builder is None:
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
                self._received_jobs += 1
                decoding.put(Job(message))
        decoding.put(None)
        for stage in stages:
            stage.join()

    def _open(self, request: worker_pb2.Open) -> None:
        settings = request.settings
        try:
            recording = Path(request.recording) if request.recording else None
            builder = MapBuilder(
                settings, self._vocabulary, recording, self._record, self._backend, self._matching
            )
            restoring = None
            if request.restore or request.saved_map:
                restoring = Restoring(request, builder, self._send)
            elif builder.calibration is not None:
                self._map = self._tracked_map = builder.build(builder.calibration)
        except MapcastError as error:
            self._send(worker_pb2.FromWorker(refused=worker_pb2.Refused(reason=str(error))))
            return
        self._builder = builder
        self._epoch, self._opening = request.epoch, request
        self._is_lossless = settings.policy == ingest_pb2.POLICY_LOSSLESS
        self._publisher = MeshPublisher(self._send, settings.fusion.mesh_rate_hz)
        self._corrections = CorrectionPublisher(self._send, settings.fusion.mesh_rate_hz)
        opened = worker_pb2.Opened(
            credits=CREDITS, voxel_size_m=builder.volume_settings.voxel_size_m
        )
        self._send(worker_pb2.FromWorker(opened=opened))
        if restoring is not None:
            self._guard(self._restore, restoring)
        self._describe_map()
        if request.checkpoint:
            self._checkpointer = Checkpointer(request)

    def _restore(self, restoring: Restoring) -> None:
        """Bring back the map of before, or nothing if no frame of it is known."""
        restored = restoring.run()
        done = worker_pb2.Restored(answered_through=LONG_AGO_NS)
        if restored is not None:
            self._map = self._tracked_map = restored.live_map
            self._generation = restored.live_map.generation
            self._newest = restored.newest
            self._describe_map()
            self._publisher.publish_whole(restored.live_map, self._epoch, restored.newest)
            done = worker_pb2.Restored(
                answered_through=restored.newest.capture_ns, frames=restored.frames
            )
        self._send(worker_pb2.FromWorker(restored=done))

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
        assert self._builder is not None
        if job.message.HasField("frame"):
            start = time.perf_counter()
            job.frame = self._builder.decode(job.message.frame)
            job.stages.decode_ms = milliseconds_since(start)
        elif job.message.control.action == Action.ACTION_RESET:
            self._builder.forget_camera()
        job.calibration = self._builder.calibration

    def _track(self, job: Job) -> None:
        assert self._builder is not None
        action = job.message.control.action
        if action in (Action.ACTION_RESET, Action.ACTION_FINISH) and self._tracked_map is not None:
            self._tracked_map.close()  # the tracker's memory and threads; the map stays
        if action == Action.ACTION_RESET:
            self._tracked_map = None
            self._no_map = ""
        if self._tracked_map is None and job.calibration is not None:
            self._tracked_map = self._build(job.calibration)
        job.map = self._tracked_map
        if job.map is None:
            return
        if job.message.HasField("imu"):
            job.map.add_imu(ImuSamples.from_message(job.message.imu))
        if job.frame is not None:
            start = time.perf_counter()
            job.tracked = job.map.track(job.frame)
            job.stages.track_ms = milliseconds_since(start)

    def _build(self, calibration: Calibration) -> LiveMap:
        """A map; what refused it once refuses it until a reset, without another try."""
        assert self._builder is not None
        if not self._no_map:
            try:
                return self._builder.build(calibration)
            except MapcastError as error:
                self._no_map = str(error)
        raise InputError(self._no_map)

    def _fuse_all(self, inbox: Jobs) -> None:
        while True:
            self._integrate_estimate()
            if self._map is not None:
                self._corrections.flush_if_idle(self._map.graph, self._epoch)
                self._publisher.flush_if_idle(self._map, self._epoch)
                # A frame whose depth is being estimated counts as known, but is not in the map.
                if self._checkpointer is not None and self._depth.is_free:
                    self._checkpointer.offer(self._map, self._newest, self._epoch)
            try:
                job = inbox.get(timeout=self._follow_corrections())
            except queue.Empty:
                continue
            if job is None:
                self._depth.close()
                if self._checkpointer is not None:
                    self._checkpointer.close()
                if self._map is not None:
                    self._map.close()
                    self._map.close_refinement()
                return
            self._finish_job(job)

    def _finish_job(self, job: Job) -> None:
        kind = job.message.WhichOneof("message")
        if kind is None:  # an estimate is ready
            return
        self._finished_jobs += 1
        action = job.message.control.action
        if action == Action.ACTION_RESET:
            self._newest = ingest_pb2.Frame(capture_ns=LONG_AGO_NS)  # clocks may begin anew
            self._begin_epoch(job.map)
        elif job.map is not None and job.map is not self._map:  # a guessed camera's first frame
            self._map = job.map
            self._describe_map()
        if kind == "frame":
            self._fuse(job)
        elif kind == "query":
            self._answer(job.message.query)
        elif action == Action.ACTION_FINISH:
            self._integrate_estimate(wait=True)
            if self._map is not None:
                finish_refinement(self._map, self._follow_corrections)
                self._map.graph.settle()
                self._corrections.flush(self._map.graph, self._epoch)
                self._settle(self._map)
                self._publisher.flush(self._map, self._epoch)
            self._send(worker_pb2.FromWorker(finished=worker_pb2.Finished(epoch=self._epoch)))

    def _fuse(self, job: Job) -> None:
        start = time.perf_counter()
        fused = None
        if job.frame is not None and job.tracked is not None:
            assert self._map is not None
            try:
                fused = self._map.fuse(job.frame, job.tracked, self._depth.is_free)
            except InputError as error:
                job.refused = f"frame {job.frame.index}: {error}"
            self._note_replaced()
        job.stages.fuse_ms = milliseconds_since(start)
        job.stages.mesh_ms = self._publisher.take_mesh_ms()
        self._send_result(job, fused)
        if fused is None or self._map is None:
            return
        self._corrections.tracked(self._map.graph, self._epoch)
        if fused.request is not None:
            self._depth.begin(self._map, fused.request)
            if self._is_lossless:
                self._integrate_estimate(wait=True)
        elif fused.is_fused and job.frame is not None:
            self._publisher.fused(self._map, self._epoch, job.frame)

    def _integrate_estimate(self, wait: bool = False) -> None:
        """Put a depth that was estimated since into the map."""
        live_map, estimate = self._map, None
        try:
            estimate = self._depth.take(self._map, wait)
        except MapcastError:  # this one could not be made; the next may
            traceback.print_exc()
        if estimate is None or live_map is None:
            return
        is_fused = False
        with suppress(InputError):  # its pose has moved out of the grid since
            is_fused = live_map.integrate(estimate)
        self._note_replaced()
        if is_fused:
            self._publisher.fused(live_map, self._epoch, estimate.request.frame)

    def _follow_corrections(self) -> float:
        """Move a few views to where their poses are now; how long may be waited after that."""
        if self._map is None:
            return IDLE_S / 2
        jobs_come = self._finished_jobs < self._received_jobs
        if self._follower.tick(self._map, not self._queues[-1].empty(), jobs_come):
            self._publisher.changed(self._map, self._epoch)
        tell_refinements(self._map, self._send)
        return self._follower.wait_s(self._map)

    def _settle(self, live_map: LiveMap) -> None:
        """Move all views that are off; what changes is published, so that the server hears us."""
        while not live_map.settle(SETTLE_S):
            self._publisher.changed(live_map, self._epoch)

    def _wake_fusion(self) -> None:
        """Have the fusing thread look for an estimate; while it has jobs it will anyway."""
        with suppress(queue.Full):
            self._queues[-1].put_nowait(Job(worker_pb2.ToWorker()))

    def _note_replaced(self) -> None:
        """Begin an epoch if the map replaced itself; tell of its scale if that changed."""
        assert self._map is not None
        if self._map.generation != self._generation:
            self._begin_epoch(self._map)
        else:
            self._describe_map()

    def _begin_epoch(self, live_map: LiveMap | None) -> None:
        if self._map is not None and self._map is not live_map:
            self._map.close_refinement()
            self._map.close_volume()
        self._map = live_map
        self._generation = 0 if live_map is None else live_map.generation
        self._epoch += 1
        self._corrections.restart()
        if self._checkpointer is not None:
            self._checkpointer.hurry()
        self._describe_map()
        self._publisher.restart(self._epoch, live_map)

    def _describe_map(self) -> None:
        """Say what the map's coordinates mean, unless that is what was said last."""
        assert self._builder is not None
        description = self._builder.map_frame(self._map, self._epoch)
        if description != self._described:
            self._described = description
            self._send(worker_pb2.FromWorker(map_frame=description))

    def _send_result(self, job: Job, fused: FusedFrame | None) -> None:
        frame = job.message.frame
        if fused is None or self._map is None:
            result = refused_result(frame, job.refused)
        else:
            result = fused_result(frame, fused, self._map.graph)
            self._newest = ingest_pb2.Frame(index=frame.index, capture_ns=frame.capture_ns)
        result.epoch = self._epoch
        result.stages.CopyFrom(job.stages)
        self._send(worker_pb2.FromWorker(result=result))

    def _answer(self, query: worker_pb2.Query) -> None:
        kind = query.WhichOneof("query")
        if self._map is None:
            error = "no frame has come yet: the camera, and so the map, is not known"
            self._send(worker_pb2.FromWorker(answer=worker_pb2.Answer(id=query.id, error=error)))
        elif kind == "save":
            saved = snapshot(self._map, self._newest, self._epoch, self._opening)
            self._reply_later(save_answer, query, saved)
        elif kind == "export_format":
            self._reply_later(export_answer, query, self._map.mesh())
        elif kind == "raycast":
            self._reply(raycast_answer, query, self._map)
        else:
            self._reply(trajectory_answer, query, self._map)

    def _reply(self, answer: Callable[..., worker_pb2.Answer], *arguments: object) -> None:
        self._send(worker_pb2.FromWorker(answer=answer(*arguments)))

    def _reply_later(self, *answer: object) -> None:
        threading.Thread(target=self._guard, args=(self._reply, *answer)).start()

    def _record(self, view: ingest_pb2.FusedView) -> None:
        self._send(worker_pb2.FromWorker(fused_view=view))

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
