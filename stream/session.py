"""A session: one map in the making, its sender, its worker and its hub."""

import asyncio
import logging
import time
from functools import partial
from pathlib import Path

from mapcast_client.delta import Status
from mapcast_client.errors import InputError
from mapcast_client.v1 import ingest_pb2, maps_pb2
from mapcast_client.v1.ingest_pb2 import Control, FrameResult
from replay.recording import RESET
from slam.imu import ImuSamples
from stream.config import ServerConfig
from stream.counts import FrameCounts
from stream.errors import SessionBusy, WorkerDied, wire_error
from stream.hub import Hub
from stream.listener import Received, Successor
from stream.mesh_updates import MeshUpdates
from stream.metrics import Metrics
from stream.newest_picture import NewestPicture
from stream.published_poses import publish_corrections, publish_pose
from stream.pulse import Pulse
from stream.recorded_past import RecordedPast
from stream.recorder import NoRecorder, Recorder
from stream.recovery import NoRecovery, Recovery
from stream.refinement_tally import RefinementTally
from stream.sender import Sender
from stream.session_info import session_info, session_status
from stream.session_state import SessionState
from stream.worker_link import SERVER_RESTARTED, WAS_RESET, WorkerLink
from stream.worker_pb2 import MapFrame, MeshUpdate, Query, Refined
from stream.worker_process import WorkerProcess

logger = logging.getLogger(__name__)


class Session:
    """Takes frames by policy, has its worker fuse them, and publishes what it says.

    Implements `Listener`.
    """

    def __init__(
        self,
        session_id: str,
        request: ingest_pb2.OpenSession,
        worker: WorkerProcess | None,
        voxel_size_m: float,
        config: ServerConfig,
        metrics: Metrics,
        created_ns: int,
        recorder: Recorder | NoRecorder,
        recovery: Recovery | NoRecovery,
        past: RecordedPast | None = None,
    ) -> None:
        """`recovery`: how its worker is replaced; `past`: before its server ended, without one."""
        self.id = session_id
        self.name = request.name or session_id
        self.created_ns = created_ns
        self.voxel_size_m = voxel_size_m
        self.world = "given" if request.pose_source == ingest_pb2.POSE_SOURCE_GIVEN else "z-up"
        self.hub = Hub(self.created_ns // 1_000_000 if past is None else past.epoch + 1)
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
        self._recovery = recovery
        self._recorder = recorder
        self._mesh = MeshUpdates(self.hub, metrics)
        self._config = config
        self._metrics = metrics
        self.refinements = RefinementTally(self.id, metrics, None if past is None else past.offer)
        self._counts = FrameCounts()
        is_over = past is not None and past.record.is_over
        self._state = SessionState.FINISHING if is_over else SessionState.WAITING
        self._sender: Sender | None = None
        self._waiting_since_s = time.monotonic()
        self._patience_s = config.first_sender_timeout_s
        """How long it waits for a sender."""
        self._pool_full = False
        self._taking = asyncio.Lock()
        """Held from when a lossless frame is recorded until it is with the link."""
        self._finishing: asyncio.Task[None] | None = None
        again = [] if past is None else past.received(time.perf_counter())
        self._link = WorkerLink(worker, config.queue_frames, config.stall_timeout_s, self, again)
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
            async with self._taking:
                await self._recorder.record(frame)
                await self._link.put(received)
        elif why_not := self._recorder.why_not(frame):
            self._reject(received, why_not)
        elif not self._recorder.offer(frame, partial(self._take_newest, received)):
            self._drop(received, "the disk is too slow to record it")

    def _take_newest(self, received: Received) -> None:
        """Have a frame of a live session fused, now that it is recorded."""
        if self.is_over:  # since it came
            self._drop(received, f"the session is {self._state.value}")
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
            self._recorder.note(batch)
            await self._link.put_imu(batch)

    def _drop(self, received: Received, reason: str) -> None:
        self._counts.dropped += 1
        self._metrics.frames.labels("dropped").inc()
        self._answer(received, received.unfused(FrameResult.STATUS_DROPPED, reason, self.hub.epoch))

    def _reject(self, received: Received, reason: str) -> None:
        """Answer a frame that is not recorded; nor is its answer: another one has its instant."""
        self._metrics.frames.labels("rejected").inc()
        result = received.unfused(FrameResult.STATUS_REJECTED, reason, self.hub.epoch)
        result.recorded_through = self._recorder.recorded_through
        received.sender.answer(result)

    def _answer(self, received: Received, result: FrameResult) -> None:
        result.recorded_through = self._recorder.recorded_through
        self._recorder.note(result)
        received.sender.answer(result)

    def pause(self) -> None:
        """Answer frames as dropped until `resume`."""
        if self._state is SessionState.ACTIVE:
            self._recorder.note(Control(action=Control.ACTION_PAUSE))
            self._set_state(SessionState.PAUSED)

    def resume(self) -> None:
        """Take frames again."""
        if self._state is SessionState.PAUSED:
            self._recorder.note(Control(action=Control.ACTION_RESUME))
            self._set_state(SessionState.ACTIVE)

    async def reset(self) -> None:
        """Start over with an empty map in a new epoch; frames that wait are dropped.

        Raises SessionBusy when the map is final, or about to be.
        """
        if not self._takes_senders:
            raise SessionBusy(f"session {self.id} is {self._state.value} and cannot be reset")
        async with self._taking:
            await self._recorder.record(RESET, self._start_over)
            await self._link.reset()

    def _start_over(self) -> None:
        """Forget the map, at the very place where it is recorded."""
        for received in self._link.start_over():
            self._drop(received, WAS_RESET)

    async def finish(self) -> ingest_pb2.Finished:
        """Process what was taken, publish the exact map, take no more. Raises WorkerDied."""
        if self._takes_senders:
            self._set_state(SessionState.FINISHING)
        if self._state is SessionState.FAILED:
            raise WorkerDied(self.reason)
        async with self._taking:
            await self._recorder.drained()
        await self._link.finish()
        if self._state is SessionState.FINISHING:
            self._set_state(SessionState.FINISHED)
            self._recovery.note(is_over=True)
            self._recorder.note(Control(action=Control.ACTION_FINISH))
        await self._recorder.close()
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
        self._counts.answered(result, now_s)
        self._metrics.observe(result)
        if result.status in (FrameResult.STATUS_FUSED, FrameResult.STATUS_TRACKED):
            publish_pose(self.hub, result)
            self.changed.fire()
        self._answer(received, result)

    def meshed(self, update: MeshUpdate) -> None:
        """Publish changed blocks."""
        self._enter_epoch(update.epoch)
        self._mesh.publish(update)
        self.changed.fire()
        if update.is_last:
            frame = ingest_pb2.Frame(index=update.frame_index, capture_ns=update.capture_ns)
            self.newest_frame = frame
            self._note_pool(update.pool_blocks, update.pool_full)

    def described(self, map_frame: MapFrame) -> None:
        """Note what the map's coordinates mean, from now on."""
        self._enter_epoch(map_frame.epoch, map_frame.rescaled_by)
        self.map_frame = map_frame
        self._set_state(self._state)

    def _enter_epoch(self, epoch: int, rescaled_by: float = 0.0) -> None:
        if epoch != self.hub.epoch:
            self.hub.restart(epoch, rescaled_by)
            self._recovery.note(epoch=epoch, map_epoch=epoch)
            self.reason = ""
            self._set_state(self._state)

    def corrected(self, corrections: ingest_pb2.Corrections) -> None:
        """Tell the sender and the subscribers which keyframes moved."""
        publish_corrections(self.hub, corrections)
        self._recorder.note(corrections)
        self.changed.fire()
        if self._sender is not None:
            self._sender.correct(corrections)

    def viewed(self, view: ingest_pb2.FusedView) -> None:
        """Record what was fused of a frame whose depth was estimated."""
        self._recorder.note(view)

    def refined(self, refined: Refined) -> None:
        """Note what became of a run of refinement; tell the sender of the camera it found."""
        if (offer := self.refinements.take(refined)) is not None:
            self._recorder.note(offer)
            if self._sender is not None:
                self._sender.tell(ingest_pb2.ServerMessage(calibration_offer=offer))

    async def successor(self, reason: str, in_flight: list[Received]) -> Successor | None:
        """A worker that takes the place of a dead one, if the session is recorded."""
        if self._state is SessionState.FAILED or self.is_closed:
            return None
        self._metrics.worker_deaths.inc(reason != SERVER_RESTARTED)
        if isinstance(self._recovery, NoRecovery):
            return None
        logger.warning("session %s recovers: %s", self.id, reason)
        self.reason = f"recovering: {reason}"
        self._set_state(self._state)
        self._mesh.begin()
        await self._recorder.drained()
        return await self._recovery.successor(reason, in_flight, self._counts.answered_frames)

    async def relive(self, past: RecordedPast) -> None:
        """Publish again what was told of frames before its server ended."""
        await past.tell(self.hub, self._counts)

    def restored(self) -> None:
        """Go on."""
        logger.info("session %s has its map", self.id)
        self._recovery.end_turn()
        self.reason = ""
        self._set_state(self._state)

    def lost(self, received: Received, reason: str) -> None:
        """Tell the sender of a frame that no worker will answer."""
        self._drop(received, reason)

    def died(self, reason: str, unanswered: list[Received]) -> None:
        """Keep the map so far; tell the sender."""
        self._recovery.end_turn()
        for received in unanswered:
            self._drop(received, reason)
        if self._state in (SessionState.FINISHED, SessionState.FAILED):
            return  # a map that is final does not need its worker
        self.reason = reason
        if not self.is_closed:
            logger.error("session %s failed: %s", self.id, reason)
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

    async def save(self, folder: Path) -> None:
        """Have the map written as the newest version in a folder of them. Raises as `query`."""
        await self._link.query(Query(save=str(folder)))

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
        reason = self.reason or self._recorder.failure
        return session_status(self.hub, self._counts, self._state, reason, self._pool_full)

    def info(self) -> maps_pb2.SessionInfo:
        """What the lists of sessions say of it."""
        return session_info(self, self._counts.tracking)

    async def close(self, reason: str) -> None:
        """End the session and its worker; its sender and its subscribers are told."""
        self.is_closed = True
        self._ticking.cancel()
        await self._link.close(reason)
        await self._recorder.close()
        self._mesh.close()
        self.changed.fire()
