"""A session: one map in the making, its sender, its worker and its hub."""

import asyncio
import logging
import time
from enum import Enum

import numpy as np

from mapcast_client.delta import Status
from mapcast_client.errors import InputError
from mapcast_client.rows import MeshRows
from mapcast_client.v1 import ingest_pb2, maps_pb2
from mapcast_client.v1.ingest_pb2 import FrameResult
from slam.imu import ImuSamples
from stream.config import ServerConfig
from stream.counts import TRACKING_NAMES, FrameCounts
from stream.errors import SessionBusy, WorkerDied, wire_error
from stream.hub import Hub
from stream.metrics import Metrics
from stream.newest_picture import NewestPicture
from stream.pulse import Pulse
from stream.sender import Sender
from stream.worker_link import Received, WorkerLink
from stream.worker_pb2 import MapFrame, MeshUpdate, Opened, Query
from stream.worker_process import WorkerProcess

logger = logging.getLogger(__name__)


class SessionState(Enum):
    """Where a session stands; values are the wire's names."""

    ACTIVE = "active"
    WAITING = "waiting"
    """Without a sender, for a while."""
    PAUSED = "paused"
    FINISHING = "finishing"
    """Takes no more frames; answers those it took."""
    FINISHED = "finished"
    FAILED = "failed"
    """Its worker died; the map so far is served."""


class Session:
    """Takes frames by policy, has its worker fuse them, and publishes what it says.

    Implements `Listener`.
    """

    def __init__(
        self,
        session_id: str,
        request: ingest_pb2.OpenSession,
        worker: WorkerProcess,
        opened: Opened,
        config: ServerConfig,
        metrics: Metrics,
    ) -> None:
        self.id = session_id
        self.name = request.name or session_id
        self.created_ns = time.time_ns()
        self.voxel_size_m = opened.voxel_size_m
        self.world = "given" if request.pose_source == ingest_pb2.POSE_SOURCE_GIVEN else "z-up"
        self.hub = Hub(epoch=self.created_ns // 1_000_000)
        self.changed = Pulse()
        """Fires whenever a subscriber may have something new to take."""
        self.status_version = 0
        self.reason = ""
        self.newest_frame = ingest_pb2.Frame()
        """Index and capture time of the newest frame that the map contains."""
        self.newest_picture = NewestPicture()
        self.map_frame = MapFrame()
        """What the map's coordinates mean."""
        self.sensor = request.sensor
        self.guesses_camera = not request.calibration.HasField("camera")
        """From the first frame: before it there is no map, not even an empty one."""
        self.exporting = asyncio.Lock()
        """Exports take memory and the worker's time: one after the other."""
        self.is_closed = False
        self._is_lossless = request.policy == ingest_pb2.POLICY_LOSSLESS
        self._first_epoch = self.hub.epoch
        self._config = config
        self._metrics = metrics
        self._counts = FrameCounts()
        self._state = SessionState.WAITING
        self._sender: Sender | None = None
        self._waiting_since_s = time.monotonic()
        self._patience_s = config.first_sender_timeout_s
        """How long it waits for a sender."""
        self._pool_full = False
        self._finishing: asyncio.Task[None] | None = None
        self._link = WorkerLink(
            worker, opened.credits, config.queue_frames, config.stall_timeout_s, self
        )
        self._ticking = asyncio.create_task(self._tick())

    # --- the sender's side ---

    @property
    def state(self) -> SessionState:
        """Where the session stands."""
        return self._state

    @property
    def is_over(self) -> bool:
        """Whether its map is final."""
        return self._state in (SessionState.FINISHED, SessionState.FAILED)

    @property
    def _takes_senders(self) -> bool:
        return not self.is_over and self._state is not SessionState.FINISHING

    def attach(self, sender: Sender) -> None:
        """Give the session its sender. Raises SessionBusy if it has one, or is over."""
        if not self._takes_senders:
            raise SessionBusy(f"session {self.id} is {self._state.value} and takes no more frames")
        if self._sender is not None:
            raise SessionBusy(f"session {self.id} has a sender already; only one at a time")
        self._sender = sender
        self._patience_s = self._config.sender_timeout_s
        self._set_state(SessionState.ACTIVE)

    def detach(self, sender: Sender) -> None:
        """Take the sender away; the session waits for another one."""
        if self._sender is sender:
            self._sender = None
            self._waiting_since_s = time.monotonic()
            if self._takes_senders:
                self._set_state(SessionState.WAITING)

    async def submit(self, sender: Sender, frame: ingest_pb2.Frame) -> None:
        """Take a frame: a lossless session waits until it has room, a live one drops its oldest."""
        received = Received(frame, sender, time.perf_counter())
        sender.owe()
        self._counts.frames += 1
        self.newest_picture.take(frame.color)
        if self._state is not SessionState.ACTIVE:
            self._drop(received, f"the session is {self._state.value}")
        elif self._is_lossless:
            await self._link.put(received)
        elif (oldest := self._link.put_newest(received)) is not None:
            self._drop(oldest, "a newer frame took its place")

    async def submit_imu(self, sender: Sender, batch: ingest_pb2.ImuBatch) -> None:
        """Take IMU samples, which come before the frames that they lead up to.

        Raises InputError in a session whose sensor has no IMU, for too many samples, or for values
        that no sensor has; WorkerDied.
        """
        if self.sensor != ingest_pb2.SENSOR_MONO_IMU:
            raise InputError(f"session {self.id} takes no IMU samples: its sensor has none")
        ImuSamples.from_message(batch)  # raises
        if self._state is SessionState.ACTIVE and self._sender is sender:
            await self._link.put_imu(batch)

    def _drop(self, received: Received, reason: str) -> None:
        self._counts.dropped += 1
        self._metrics.frames.labels("dropped").inc()
        frame = received.frame
        result = FrameResult(index=frame.index, capture_ns=frame.capture_ns, reason=reason)
        result.status, result.epoch = FrameResult.STATUS_DROPPED, self.hub.epoch
        received.sender.answer(result)

    def pause(self) -> None:
        """Answer frames as dropped until `resume`."""
        if self._state is SessionState.ACTIVE:
            self._set_state(SessionState.PAUSED)

    def resume(self) -> None:
        """Take frames again."""
        if self._state is SessionState.PAUSED:
            self._set_state(SessionState.ACTIVE)

    async def reset(self) -> None:
        """Start over with an empty map in a new epoch; frames that wait are dropped.

        Raises SessionBusy when the map is final, or about to be.
        """
        if not self._takes_senders:
            raise SessionBusy(f"session {self.id} is {self._state.value} and cannot be reset")
        for received in await self._link.reset():
            self._drop(received, "the session was reset")

    async def finish(self) -> ingest_pb2.Finished:
        """Process what was taken, publish the exact map, take no more. Raises WorkerDied."""
        if self._takes_senders:
            self._set_state(SessionState.FINISHING)
        if self._state is SessionState.FAILED:
            raise WorkerDied(self.reason)
        await self._link.finish()
        if self._state is SessionState.FINISHING:
            self._set_state(SessionState.FINISHED)
        return ingest_pb2.Finished(
            frames=self._counts.frames,
            fused=self._counts.fused,
            dropped=self._counts.dropped,
            revision=self.hub.revision,
            map_hash=self.hub.map_hash,
            epoch=self.hub.epoch,
        )

    # --- what the worker says ---

    def answered(self, received: Received, result: FrameResult) -> None:
        """Pass a result on to the sender of its frame, and its pose to the subscribers."""
        now_s = time.perf_counter()
        result.latency_ms = 1e3 * (now_s - received.received_s)
        result.epoch += self._first_epoch
        self._counts.answered(result, now_s)
        self._metrics.observe(result)
        if result.status in (FrameResult.STATUS_FUSED, FrameResult.STATUS_TRACKED):
            pose = result.world_from_camera
            vector = (pose.tx, pose.ty, pose.tz, pose.qx, pose.qy, pose.qz, pose.qw)
            state = TRACKING_NAMES[result.tracking]
            self.hub.append_pose(result.index, result.capture_ns, vector, state, result.keyframe)
            self.changed.fire()
        received.sender.answer(result)

    def meshed(self, update: MeshUpdate) -> None:
        """Publish changed blocks."""
        self._enter_epoch(update.epoch)
        self.hub.publish(_rows(update).split())
        self.changed.fire()
        if update.is_last:
            frame = ingest_pb2.Frame(index=update.frame_index, capture_ns=update.capture_ns)
            self.newest_frame = frame
            self._metrics.stages.labels("mesh").observe(update.mesh_ms / 1e3)
            self._note_pool(update.pool_blocks, update.pool_full)

    def described(self, map_frame: MapFrame) -> None:
        """Note what the map's coordinates mean, from now on."""
        self._enter_epoch(map_frame.epoch, map_frame.rescaled_by)
        self.map_frame = map_frame
        self._set_state(self._state)

    def _enter_epoch(self, worker_epoch: int, rescaled_by: float = 0.0) -> None:
        epoch = self._first_epoch + worker_epoch
        if epoch != self.hub.epoch:
            self.hub.restart(epoch, rescaled_by)
            self.reason = ""
            self._set_state(self._state)

    def became_keyframes(self, capture_ns: list[int]) -> None:
        """Tell subscribers which frames are keyframes."""
        for instant in capture_ns:
            self.hub.mark_keyframe(instant)

    def died(self, reason: str, unanswered: list[Received]) -> None:
        """Keep the map so far; tell the sender."""
        for received in unanswered:
            self._drop(received, reason)
        if self._state in (SessionState.FINISHED, SessionState.FAILED):
            return  # a map that is final does not need its worker
        self.reason = reason
        if not self.is_closed:
            logger.error("session %s failed: %s", self.id, reason)
            self._metrics.worker_deaths.inc()
        if self._sender is not None:
            self._sender.tell(wire_error(WorkerDied(reason), fatal=True))
        self._set_state(SessionState.FAILED)

    def _note_pool(self, blocks: int, is_full: bool) -> None:
        was_full, self._pool_full = self._pool_full, is_full
        if is_full and not was_full:
            self.reason = (
                f"the map is full: {blocks} blocks are in use; known places are still refined, "
                "new ones are not added (a larger max_blocks or voxel_size_m holds more)"
            )
            if self._sender is not None:
                error = ingest_pb2.Error(code=ingest_pb2.Error.CODE_MAP_FULL, message=self.reason)
                self._sender.tell(ingest_pb2.ServerMessage(error=error))
            self._set_state(self._state)

    # --- everyone's side ---

    async def query(self, query: Query) -> list[bytes]:
        """Ask the worker. Raises InputError for what it cannot do, WorkerDied, ServerError."""
        return await self._link.query(query)

    async def _tick(self) -> None:
        """Once a second: tell the status; finish when no sender came for long."""
        while True:
            await asyncio.sleep(1)
            self._set_state(self._state)
            waited_s = time.monotonic() - self._waiting_since_s
            if self._state is SessionState.WAITING and waited_s > self._patience_s:
                self._set_state(SessionState.FINISHING)
            if self._state is SessionState.FINISHING and self._finishing is None:
                self._finishing = asyncio.create_task(self._finish_unattended())  # whoever leaves

    async def _finish_unattended(self) -> None:
        try:
            await self.finish()
        except WorkerDied as death:
            logger.warning("session %s: %s", self.id, death)

    def _set_state(self, state: SessionState) -> None:
        self._state = state
        self.status_version += 1
        self.changed.fire()

    def status(self) -> Status:
        """The session's health, as the `status` layer tells it."""
        counts, hub = self._counts, self.hub
        return Status(
            state=self._state.value,
            reason=self.reason,
            tracking=counts.tracking_name,
            frames=counts.frames,
            fused=counts.fused,
            dropped=counts.dropped,
            frames_per_s=counts.frames_per_s(time.perf_counter()),
            latency_ms=counts.latency_ms,
            blocks=hub.live_blocks,
            triangles=hub.triangles,
            subscribers=hub.subscriber_count,
            full=self._pool_full,
            map_hash=hub.map_hash,
        )

    def info(self) -> maps_pb2.SessionInfo:
        """What the lists of sessions say of it."""
        status = self.status()
        return maps_pb2.SessionInfo(
            session=self.id,
            name=self.name,
            state=status.state,
            reason=status.reason,
            epoch=self.hub.epoch,
            revision=self.hub.revision,
            map_hash=status.map_hash,
            frames=status.frames,
            fused=status.fused,
            dropped=status.dropped,
            blocks=status.blocks,
            triangles=status.triangles,
            subscribers=status.subscribers,
            voxel_size_m=self.voxel_size_m,
            created_ns=self.created_ns,
            tracking=self._counts.tracking,
            frames_per_s=status.frames_per_s,
            full=status.full,
            sensor=self.sensor,
            units=self.map_frame.units,
            scale_source=self.map_frame.scale_source,
            metres_per_unit=self.map_frame.metres_per_unit,
            camera=self.map_frame.camera if self.map_frame.HasField("camera") else None,
            camera_guessed=self.map_frame.camera_guessed,
            depth_source=self.map_frame.depth_source,
        )

    async def close(self, reason: str) -> None:
        """End the session and its worker; its sender and its subscribers are told."""
        self.is_closed = True
        self._ticking.cancel()
        await self._link.close(reason)
        self.changed.fire()


def _rows(update: MeshUpdate) -> MeshRows:
    return MeshRows(
        np.frombuffer(update.blocks, "<i4").reshape(-1, 3),
        np.frombuffer(update.vertex_counts, "<u4"),
        np.frombuffer(update.triangle_counts, "<u4"),
        np.frombuffer(update.vertices, np.uint8).reshape(-1, 3),
        np.frombuffer(update.colors, np.uint8).reshape(-1, 3),
        np.frombuffer(update.triangles, "<u2").reshape(-1, 3),
    )
