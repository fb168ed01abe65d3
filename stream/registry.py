"""Which sessions there are: opens, finds, evicts and closes them."""

import asyncio
import logging
import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from gpu.discovery import AUTO, CPU
from mapcast_client.delta import (
    DeltaHead,
    Status,
    encode_keyframes,
    encode_mesh,
    encode_status,
    encode_trajectory,
)
from mapcast_client.errors import InputError, MapcastError
from mapcast_client.pose_rows import IDENTITY, KeyframeRow, TrajectoryRow
from mapcast_client.rows import MeshRow
from mapcast_client.v1 import ingest_pb2
from slam.camera import Calibration
from slam.vocabulary import default_vocabulary
from stream.access import Access
from stream.config import ServerConfig
from stream.depth_models import DepthModels
from stream.errors import MapNotFound, ServerFull, SessionNotFound
from stream.metrics import Metrics
from stream.recorded_past import RecordedPast
from stream.recorder import NoRecorder, Recorder
from stream.recordings import Recordings
from stream.recovery import NoRecovery, Recovery
from stream.saved_maps import SavedMaps
from stream.session import Session
from stream.session_record import CHECKPOINTS, SessionRecord
from stream.session_state import SessionState
from stream.subscribe import DeltaCache, Follower, Subscription
from stream.worker_pb2 import Open
from stream.worker_process import Equipment, WorkerPool

logger = logging.getLogger(__name__)

REWARM_DELAY_S = 10.0
"""A worker's start takes seconds of CPU; the session that was just opened comes first."""
RESTORED_AT_ONCE = 2
MAX_NAME_CHARS = 200
MAX_SCENE_DEPTH_M = 1000.0


class Registry:
    """The server's sessions."""

    def __init__(self, config: ServerConfig) -> None:
        self.config = config
        self.access = Access(config.is_closed, config.api_token)
        self.depth_models = DepthModels(config.depth_models)
        self.metrics = Metrics()
        self._sessions: dict[str, Session] = {}
        self._caches: dict[str, DeltaCache] = {}
        self._recordings: Recordings | None = None
        if config.recordings is not None:
            self._recordings = Recordings(config.recordings, config, self.metrics)
        self._maps = None if config.maps is None else SavedMaps(config.maps)
        self._retaining: asyncio.Task[None] | None = None
        self._restoring = asyncio.Semaphore(RESTORED_AT_ONCE)
        self._opening = 0
        self._followers = 0
        self._pool: WorkerPool
        self._rewarming: asyncio.TimerHandle | None = None
        self._closing: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        """Unpack the vocabulary and warm the first worker.

        Raises BackendError if the backend that was asked for is not there.
        """
        vocabulary = self.config.vocabulary
        if vocabulary is None:
            vocabulary = await asyncio.to_thread(default_vocabulary, self.config.cache)
        config = self.config
        equipment = Equipment(vocabulary, config.backend, config.device_memory_share)
        self._pool = WorkerPool(equipment, config.keep_warm_worker)
        self._pool.warm()
        if config.backend not in (AUTO, CPU):
            await self._pool.prove()
        if self._recordings is not None:
            self._retaining = asyncio.create_task(self._recordings.retain())
            await self._bring_back(self._recordings)
        await asyncio.to_thread(_warm_encoders)

    def sessions(self) -> list[Session]:
        """All of them, oldest first."""
        return list(self._sessions.values())

    def get(self, session_id: str) -> Session:
        """A session by its id. Raises SessionNotFound."""
        try:
            return self._sessions[session_id]
        except KeyError:
            raise SessionNotFound(f"there is no session {session_id!r:.80}") from None

    @property
    def maps(self) -> SavedMaps:
        """Maps that were saved by name. Raises MapNotFound if there is no place for them."""
        if self._maps is None:
            raise MapNotFound("this server keeps no maps: give it a folder (setting maps)")
        return self._maps

    async def open(self, request: ingest_pb2.OpenSession) -> Session:
        """A new session, or the one that the request names; access is the caller's to check.

        Raises InputError for settings that do not do, SessionNotFound, ServerFull, WorkerDied.
        """
        if request.session:
            return self.get(request.session)
        if request.map:
            await asyncio.to_thread(self.maps.fill_in, request)
        settings = self._checked(request)
        self._make_room()
        self._opening += 1
        try:
            session = await self._open(request, settings)
        finally:
            self._opening -= 1
        self._sessions[session.id] = session
        self._caches[session.id] = DeltaCache()
        logger.info("session %s (%r) opened", session.id, session.name)
        return session

    async def _open(
        self, request: ingest_pb2.OpenSession, settings: ingest_pb2.OpenSession
    ) -> Session:
        """`settings` is the request as the worker takes it."""
        session_id, created_ns = secrets.token_hex(4), time.time_ns()
        opening = self._opening_of(session_id, settings, created_ns // 1_000_000)
        worker = await self._pool.take()
        try:
            opened = await worker.open(opening)
        except InputError:
            await self._pool.give_back(worker)
            raise
        except BaseException:
            await worker.kill()
            raise
        if self._rewarming is not None:
            self._rewarming.cancel()
        loop = asyncio.get_running_loop()
        self._rewarming = loop.call_later(REWARM_DELAY_S, self._pool.warm)
        self.access.add(session_id)
        recorder: Recorder | NoRecorder = NoRecorder()
        recovery: Recovery | NoRecovery = NoRecovery()
        if self._recordings is not None:
            recorder = self._recordings.recorder(session_id, request)
            tokens = self.access.tokens(session_id)
            record = SessionRecord(
                session_id,
                created_ns,
                opened.voxel_size_m,
                epoch=opening.epoch,
                map_epoch=opening.epoch,
                publish_token=tokens.publish,
                watch_token=tokens.watch,
            )
            recovery = Recovery(self._pool, opening, record, self._restoring)
            recovery.note()
        return Session(
            session_id,
            settings,
            worker,
            opened.voxel_size_m,
            self.config,
            self.metrics,
            created_ns,
            recorder,
            recovery,
        )

    def _opening_of(self, session_id: str, settings: ingest_pb2.OpenSession, epoch: int) -> Open:
        """What a session's worker is told."""
        opening = Open(settings=settings, epoch=epoch)
        if settings.map:
            opening.saved_map = str(self.maps.path(settings.map))
        if self._recordings is not None:
            folder = self._recordings.of(session_id)
            opening.recording, opening.checkpoint = str(folder), str(folder / CHECKPOINTS)
        return opening

    async def _bring_back(self, recordings: Recordings) -> None:
        """Have the sessions of a server before this one again, the newest first."""
        found = []
        for folder in await asyncio.to_thread(SessionRecord.folders, recordings.folder):
            try:
                found.append(await asyncio.to_thread(SessionRecord.read, folder))
            except InputError as error:
                logger.error("a session does not come back: %s", error)
        found.sort(key=lambda record: record.created_ns)
        brought_back = []
        for record in found[: -self.config.max_sessions - 1 : -1]:
            try:
                session = await self._brought_back(recordings, recordings.of(record.session))
            except MapcastError as error:
                logger.warning("session %s does not come back: %s", record.session, error)
                continue
            brought_back.append(session)
            logger.info("session %s (%r) is brought back", session.id, session.name)
        for session in reversed(brought_back):
            self._sessions[session.id] = session
            self._caches[session.id] = DeltaCache()

    async def _brought_back(self, recordings: Recordings, folder: Path) -> Session:
        past = await asyncio.to_thread(RecordedPast.read, folder)
        settings, record = self._checked(past.request), past.record
        opening = self._opening_of(record.session, settings, past.epoch + 1)
        recovery = Recovery(self._pool, opening, record, self._restoring)
        recovery.note(epoch=opening.epoch)
        recorder: Recorder | NoRecorder = NoRecorder()
        if not record.is_over:
            newest_ns = past.recorded_through or None
            recorder = recordings.recorder(record.session, past.request, newest_ns, past.offer)
        self.access.add(record.session, record.tokens)
        session = Session(
            record.session,
            settings,
            None,
            record.voxel_size_m,
            self.config,
            self.metrics,
            record.created_ns,
            recorder,
            recovery,
            past,
        )
        await session.relive(past)
        return session

    def _checked(self, request: ingest_pb2.OpenSession) -> ingest_pb2.OpenSession:
        """The request as the worker takes it. Raises InputError."""
        _check(request)
        settings = ingest_pb2.OpenSession()
        settings.CopyFrom(request)
        if request.HasField("depth"):
            settings.depth.CopyFrom(self.depth_models.resolve(request.depth))
        is_tracked = request.pose_source != ingest_pb2.POSE_SOURCE_GIVEN
        if self.config.refine and is_tracked:
            settings.refine.SetInParent()
        else:
            settings.ClearField("refine")
        return settings

    def _make_room(self) -> None:
        if len(self._sessions) + self._opening < self.config.max_sessions:
            return
        final = next((session for session in self.sessions() if session.is_over), None)
        if final is None:
            raise ServerFull(
                f"the server has {len(self._sessions)} sessions, its limit (max_sessions); "
                "finish or delete one"
            )
        closing = asyncio.create_task(self.remove(final.id, "it made room for a newer session"))
        self._closing.add(closing)
        closing.add_done_callback(self._closing.discard)

    async def remove(self, session_id: str, reason: str) -> None:
        """End a session; what is recorded of it stays. Raises SessionNotFound."""
        session = self.get(session_id)
        del self._sessions[session_id], self._caches[session_id]
        self.access.remove(session_id)
        await session.close(reason)

    async def delete(self, session_id: str) -> None:
        """End a session and remove its recording, too. Raises SessionNotFound."""
        await self.remove(session_id, "the session was deleted")
        if self._recordings is not None:
            await asyncio.to_thread(self._recordings.remove, session_id)

    @contextmanager
    def follower(self, session_id: str, subscription: Subscription) -> Iterator[Follower]:
        """A new subscriber of a session. Raises SessionNotFound, InputError, ServerFull."""
        session = self.get(session_id)
        if self._followers >= self.config.max_subscribers:
            raise ServerFull(
                f"the server has {self._followers} subscribers, its limit (max_subscribers)"
            )
        cache = self._caches[session_id]
        self._followers += 1
        try:
            yield Follower(session, subscription, cache, self.metrics, self.config.message_bytes)
        finally:
            self._followers -= 1

    def count_states(self) -> None:
        """Refresh the gauge of sessions by state."""
        for state in SessionState:
            count = sum(session.state is state for session in self._sessions.values())
            self.metrics.sessions.labels(state.value).set(count)

    async def close(self) -> None:
        """End every session and the spare worker."""
        if self._rewarming is not None:
            self._rewarming.cancel()
        if self._retaining is not None:
            self._retaining.cancel()
        ending = [self.remove(session.id, "the server stopped") for session in self.sessions()]
        await asyncio.gather(self._pool.close(), *ending, *self._closing)


def _warm_encoders() -> None:
    """Encode once: at its first use Arrow imports what it finds, pandas too, for half a second."""
    head = DeltaHead("", 0, 0, 0, 0.01, 0)
    encode_status(Status("waiting"), head)
    encode_trajectory([TrajectoryRow(0, 0, IDENTITY, "", False, 0, 0, IDENTITY)], head)
    encode_keyframes([KeyframeRow(0, IDENTITY, 1.0, 0)], head)
    encode_mesh([MeshRow((0, 0, 0), b"", b"", b"")], [0], head)


def _check(request: ingest_pb2.OpenSession) -> None:
    """Raise InputError for what a session cannot be opened with."""
    sensors = [sensor for sensor in ingest_pb2.Sensor.values() if sensor]
    if request.sensor not in sensors:
        names = ", ".join(f"{sensor} ({ingest_pb2.Sensor.Name(sensor)})" for sensor in sensors)
        raise InputError(f"sensor is {request.sensor}, must be one of {names}")
    for name, enum in (("policy", ingest_pb2.Policy), ("pose_source", ingest_pb2.PoseSource)):
        if getattr(request, name) not in enum.values():
            raise InputError(f"{name} is {getattr(request, name)}, must be one of {enum.keys()}")
    if len(request.name) > MAX_NAME_CHARS:
        raise InputError(f"name has {len(request.name)} characters, limit {MAX_NAME_CHARS}")
    if request.localization_only and not request.map:
        raise InputError("localization_only needs a map to find the camera in")
    rate_hz = request.fusion.mesh_rate_hz
    if rate_hz != 0 and not 0.1 <= rate_hz <= 1000:
        raise InputError(f"mesh_rate_hz is {rate_hz}, must be 0.1 to 1000, or 0 for the default")
    if request.sensor == ingest_pb2.SENSOR_RGBD:
        _check_rgbd(request)
    else:
        _check_monocular(request)


def _check_rgbd(request: ingest_pb2.OpenSession) -> None:
    if not request.HasField("calibration"):
        raise InputError("calibration is missing: the camera's size, fx, fy, cx, cy are needed")
    Calibration.from_message(request.calibration)
    if request.depth.source or request.depth.model:
        raise InputError("depth is set, but the depth of an RGB-D session comes from its sensor")
    if request.scene_depth_m:
        raise InputError("scene_depth_m is set, but an RGB-D session is in metres by its sensor")


def _check_monocular(request: ingest_pb2.OpenSession) -> None:
    """A camera may be missing: it is then guessed in the worker."""
    if request.calibration.HasField("camera"):
        Calibration.from_message(request.calibration)
    needs_imu = request.sensor == ingest_pb2.SENSOR_MONO_IMU
    if needs_imu and not request.calibration.HasField("imu"):
        raise InputError("calibration.imu is missing: SENSOR_MONO_IMU needs extrinsics and noise")
    if not 0 <= request.scene_depth_m <= MAX_SCENE_DEPTH_M:
        raise InputError(
            f"scene_depth_m is {request.scene_depth_m}, must be 0 (unknown) to {MAX_SCENE_DEPTH_M}"
        )
