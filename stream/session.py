"""A session: one map in the making, its sender, its worker and its hub."""

import asyncio
import logging
import time
from collections import deque
from dataclasses import dataclass, field
from enum import Enum
from itertools import islice
from typing import Any

import numpy as np

from mapcast_client.delta import Status
from mapcast_client.errors import InputError
from mapcast_client.rows import MeshRows
from mapcast_client.v1 import ingest_pb2, maps_pb2
from mapcast_client.v1.ingest_pb2 import FrameResult
from stream.config import ServerConfig
from stream.errors import SessionBusy, WorkerDied, wire_error
from stream.hub import Hub
from stream.metrics import Metrics
from stream.pulse import Pulse
from stream.sender import Sender
from stream.worker_pb2 import FromWorker, MeshUpdate, Opened, Query, ToWorker
from stream.worker_process import WorkerProcess

logger = logging.getLogger(__name__)

ROWS_AT_ONCE = 512
"""Rows published before other work on the event loop gets its turn."""
QUERY_TIMEOUT_S = 120.0
TRACKING_NAMES = {
    value.number: value.name.removeprefix("TRACKING_STATE_").lower()
    for value in ingest_pb2.TrackingState.DESCRIPTOR.values
}


class SessionState(Enum):
    """Where a session stands; values are the wire's names."""

    ACTIVE = "active"
    WAITING = "waiting"
    """Without a sender, for a while."""
    PAUSED = "paused"
    FINISHED = "finished"
    FAILED = "failed"
    """Its worker died; the map so far is served."""


@dataclass(slots=True)
class _Received:
    """A frame that was taken from a sender and not answered yet."""

    frame: ingest_pb2.Frame
    sender: Sender
    received_s: float


@dataclass(slots=True)
class _Counts:
    frames: int = 0
    fused: int = 0
    dropped: int = 0
    tracking: ingest_pb2.TrackingState = ingest_pb2.TRACKING_STATE_UNSPECIFIED
    latencies_ms: deque[float] = field(default_factory=lambda: deque(maxlen=100))
    answered_s: deque[float] = field(default_factory=lambda: deque(maxlen=60))

    def frames_per_s(self, now_s: float) -> float:
        """Answered frames per second, over the last 60 of them; 0 after a pause of 2 s."""
        if len(self.answered_s) < 2 or now_s - self.answered_s[-1] > 2:
            return 0.0
        return (len(self.answered_s) - 1) / (self.answered_s[-1] - self.answered_s[0] + 1e-9)


class Session:
    """Takes frames by policy, hands them to its worker by credits, publishes the answers."""

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
        self.lossless = request.policy == ingest_pb2.POLICY_LOSSLESS
        self.world = "given" if request.pose_source == ingest_pb2.POSE_SOURCE_GIVEN else "z-up"
        self.hub = Hub(epoch=self.created_ns // 1_000_000)
        self.changed = Pulse()
        """Fires whenever a subscriber may have something new to take."""
        self.status_version = 0
        self.reason = ""
        self.newest_frame = ingest_pb2.Frame()
        """Index and capture time of the newest frame that the map contains."""
        self._first_epoch = self.hub.epoch
        self._config = config
        self._metrics = metrics
        self._worker = worker
        self._counts = _Counts()
        self._state = SessionState.WAITING
        self._sender: Sender | None = None
        self._waiting_since_s = time.monotonic()
        self._queue: asyncio.Queue[_Received] = asyncio.Queue(config.queue_frames)
        self._credits = asyncio.Semaphore(opened.credits)
        self._in_flight: deque[_Received] = deque()
        self._queries: dict[int, asyncio.Future[list[bytes]]] = {}
        self._finished: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._pool_blocks, self._pool_full = 0, False
        self._tasks = [
            asyncio.create_task(work) for work in (self._pump(), self._listen(), self._tick())
        ]

    # --- the sender's side ---

    @property
    def state(self) -> SessionState:
        """Where the session stands."""
        return self._state

    @property
    def is_over(self) -> bool:
        """Whether it takes no more frames, for good."""
        return self._state in (SessionState.FINISHED, SessionState.FAILED)

    def attach(self, sender: Sender) -> None:
        """Give the session its sender. Raises SessionBusy if it has one, or is over."""
        if self.is_over:
            raise SessionBusy(f"session {self.id} is {self._state.value} and takes no more frames")
        if self._sender is not None:
            raise SessionBusy(f"session {self.id} has a sender already; only one at a time")
        self._sender = sender
        self._set_state(SessionState.ACTIVE)

    def detach(self, sender: Sender) -> None:
        """Take the sender away; the session waits for another one."""
        if self._sender is sender:
            self._sender = None
            self._waiting_since_s = time.monotonic()
            if not self.is_over:
                self._set_state(SessionState.WAITING)

    async def submit(self, sender: Sender, frame: ingest_pb2.Frame) -> None:
        """Take a frame: a lossless session waits until it has room, a live one drops its oldest."""
        received = _Received(frame, sender, time.perf_counter())
        await sender.room()
        self._counts.frames += 1
        if self._state is not SessionState.ACTIVE:
            self._drop(received, f"session is {self._state.value}")
            return
        if not self.lossless and self._queue.full():
            self._drop(self._queue.get_nowait(), "a newer frame took its place")
            self._queue.task_done()
        await self._queue.put(received)
        if self.is_over:  # it ended while we waited
            self._drop_all(self.reason)

    def _drop(self, received: _Received, reason: str) -> None:
        self._counts.dropped += 1
        self._metrics.frames.labels("dropped").inc()
        frame = received.frame
        result = FrameResult(index=frame.index, capture_ns=frame.capture_ns, reason=reason)
        result.status = FrameResult.STATUS_DROPPED
        received.sender.tell(ingest_pb2.ServerMessage(result=result))

    def pause(self) -> None:
        """Answer frames as dropped until `resume`."""
        if self._state is SessionState.ACTIVE:
            self._set_state(SessionState.PAUSED)

    def resume(self) -> None:
        """Take frames again."""
        if self._state is SessionState.PAUSED:
            self._set_state(SessionState.ACTIVE)

    async def reset(self) -> None:
        """Start over with an empty map in a new epoch; frames that wait are dropped."""
        while not self._queue.empty():
            self._drop(self._queue.get_nowait(), "the session was reset")
            self._queue.task_done()
        action = ingest_pb2.Control(action=ingest_pb2.Control.ACTION_RESET)
        await self._worker.send(ToWorker(control=action))

    async def finish(self) -> ingest_pb2.Finished:
        """Process what was taken, publish the exact map, take no more. Raises WorkerDied."""
        if self._state is not SessionState.FINISHED:
            await self._queue.join()
            self._raise_if_failed()
            action = ingest_pb2.Control(action=ingest_pb2.Control.ACTION_FINISH)
            await self._worker.send(ToWorker(control=action))
            await asyncio.shield(self._finished)
        self._raise_if_failed()
        return ingest_pb2.Finished(
            frames=self._counts.frames,
            fused=self._counts.fused,
            dropped=self._counts.dropped,
            revision=self.hub.revision,
            map_hash=self.hub.map_hash,
            epoch=self.hub.epoch,
        )

    def _raise_if_failed(self) -> None:
        if self._state is SessionState.FAILED:
            raise WorkerDied(self.reason)

    # --- the worker's side ---

    async def _pump(self) -> None:
        """Hand waiting frames to the worker, the newest state of the queue at each credit."""
        try:
            while True:
                await self._credits.acquire()
                received = await self._queue.get()
                self._in_flight.append(received)
                await self._worker.send(ToWorker(frame=received.frame))
                received.frame = _without_images(received.frame)
        except WorkerDied:
            pass  # _listen tells everyone

    async def _listen(self) -> None:
        try:
            async for message in self._worker.messages():
                await self._handle(message)
        except WorkerDied as death:
            logger.error("session %s failed: %s", self.id, death)
            self._metrics.worker_deaths.inc()
            self._fail(str(death))

    async def _handle(self, message: FromWorker) -> None:
        kind = message.WhichOneof("message")
        if kind == "result":
            self._answer(message.result)
        elif kind == "mesh":
            await self._publish(message.mesh)
        elif kind == "answer":
            waiting = self._queries.pop(message.answer.id, None)
            if waiting is not None and not waiting.done():
                if message.answer.error:
                    waiting.set_exception(InputError(message.answer.error))
                else:
                    waiting.set_result(list(message.answer.parts))
        elif kind == "keyframes":
            for capture_ns in message.keyframes.capture_ns:
                self.hub.mark_keyframe(capture_ns)
        elif kind == "finished":
            self._set_state(SessionState.FINISHED)
            self._finished.set_result(None)

    def _answer(self, result: FrameResult) -> None:
        received = self._in_flight.popleft()
        self._credits.release()
        self._queue.task_done()
        now_s = time.perf_counter()
        result.latency_ms = 1e3 * (now_s - received.received_s)
        counts = self._counts
        counts.latencies_ms.append(result.latency_ms)
        counts.answered_s.append(now_s)
        self._metrics.observe(result)
        if result.status == FrameResult.STATUS_FUSED:
            counts.fused += 1
            pose = result.world_from_camera
            vector = (pose.tx, pose.ty, pose.tz, pose.qx, pose.qy, pose.qz, pose.qw)
            state = TRACKING_NAMES[result.tracking]
            self.hub.append_pose(result.index, result.capture_ns, vector, state, result.keyframe)
            self.changed.fire()
        if result.status != FrameResult.STATUS_REJECTED:
            counts.tracking = result.tracking
        if received.sender is self._sender:
            received.sender.tell(ingest_pb2.ServerMessage(result=result))

    async def _publish(self, update: MeshUpdate) -> None:
        epoch = self._first_epoch + update.epoch
        if epoch != self.hub.epoch:
            self.hub.restart(epoch)
            self._set_state(self._state)
        self._pool_blocks, was_full = update.pool_blocks, self._pool_full
        self._pool_full = update.pool_full
        self._metrics.stages.labels("mesh").observe(update.mesh_ms / 1e3)
        rows = _rows(update).split()
        while True:
            self.hub.publish(chunk := list(islice(rows, ROWS_AT_ONCE)))
            self.changed.fire()
            if len(chunk) < ROWS_AT_ONCE:
                break
            await asyncio.sleep(0)
        self.newest_frame = ingest_pb2.Frame(index=update.frame_index, capture_ns=update.capture_ns)
        if self._pool_full and not was_full:
            self._warn_full()

    def _warn_full(self) -> None:
        self.reason = (
            f"the map is full: {self._pool_blocks} blocks are in use; known places are still "
            "refined, new ones are not added (a larger max_blocks or voxel_size_m holds more)"
        )
        if self._sender is not None:
            error = ingest_pb2.Error(code=ingest_pb2.Error.CODE_MAP_FULL, message=self.reason)
            self._sender.tell(ingest_pb2.ServerMessage(error=error))
        self._set_state(self._state)

    def _fail(self, reason: str) -> None:
        self.reason = reason
        if not self.is_over:
            self._set_state(SessionState.FAILED)
        self._drop_all(reason)
        if self._sender is not None:
            self._sender.tell(wire_error(WorkerDied(reason), fatal=True))
        waiting: list[asyncio.Future[Any]] = [*self._queries.values(), self._finished]
        for future in waiting:
            if not future.done():
                future.set_exception(WorkerDied(reason))
                future.exception()  # nobody needs to have been waiting
        self._queries.clear()

    def _drop_all(self, reason: str) -> None:
        while not self._queue.empty():
            self._in_flight.append(self._queue.get_nowait())
        while self._in_flight:
            self._drop(self._in_flight.popleft(), reason)
            self._queue.task_done()

    async def query(self, query: Query) -> list[bytes]:
        """Ask the worker. Raises WorkerDied, or InputError for what it cannot do."""
        self._raise_if_failed()
        query.id = time.monotonic_ns()
        waiting: asyncio.Future[list[bytes]] = asyncio.get_running_loop().create_future()
        self._queries[query.id] = waiting
        await self._worker.send(ToWorker(query=query))
        async with asyncio.timeout(QUERY_TIMEOUT_S):
            return await waiting

    # --- everyone's side ---

    async def _tick(self) -> None:
        """Once a second: tell the status, finish when no sender came, kill a stalled worker."""
        while True:
            await asyncio.sleep(1)
            self._set_state(self._state)
            now_s = time.monotonic()
            if self._state is SessionState.WAITING:
                if now_s - self._waiting_since_s > self._config.sender_timeout_s:
                    await self.finish()
            elif self._in_flight:
                stalled_s = time.perf_counter() - self._in_flight[0].received_s
                if stalled_s > self._config.stall_timeout_s:
                    logger.error(
                        "session %s: worker answered nothing for %.0f s", self.id, stalled_s
                    )
                    await self._worker.kill()

    def _set_state(self, state: SessionState) -> None:
        self._state = state
        self.status_version += 1
        self.changed.fire()

    def status(self) -> Status:
        """The session's health, as the `status` layer tells it."""
        counts, hub = self._counts, self.hub
        latencies = sorted(counts.latencies_ms)
        return Status(
            state=self._state.value,
            reason=self.reason,
            tracking=TRACKING_NAMES[counts.tracking],
            frames=counts.frames,
            fused=counts.fused,
            dropped=counts.dropped,
            frames_per_s=counts.frames_per_s(time.perf_counter()),
            latency_ms=latencies[len(latencies) // 2] if latencies else 0.0,
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
        )

    async def close(self) -> None:
        """End its tasks and its worker."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._worker.close()
        if not self.is_over:
            self._fail("the server stopped")


def _rows(update: MeshUpdate) -> MeshRows:
    return MeshRows(
        np.frombuffer(update.blocks, "<i4").reshape(-1, 3),
        np.frombuffer(update.vertex_counts, "<u4"),
        np.frombuffer(update.triangle_counts, "<u4"),
        np.frombuffer(update.vertices, np.uint8).reshape(-1, 3),
        np.frombuffer(update.colors, np.uint8).reshape(-1, 3),
        np.frombuffer(update.triangles, "<u2").reshape(-1, 3),
    )


def _without_images(frame: ingest_pb2.Frame) -> ingest_pb2.Frame:
    return ingest_pb2.Frame(index=frame.index, capture_ns=frame.capture_ns)
