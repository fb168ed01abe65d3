"""Which sessions there are: opens, finds, evicts and closes them."""

import asyncio
import logging
import secrets
from collections.abc import Iterator
from contextlib import contextmanager

from mapcast_client.delta import (
    DeltaHead,
    Status,
    TrajectoryRow,
    encode_mesh,
    encode_status,
    encode_trajectory,
)
from mapcast_client.errors import InputError
from mapcast_client.rows import MeshRow
from mapcast_client.v1 import ingest_pb2
from slam.camera import Calibration
from slam.vocabulary import default_vocabulary
from stream.access import Access
from stream.config import ServerConfig
from stream.depth_models import DepthModels
from stream.errors import ServerFull, SessionNotFound
from stream.metrics import Metrics
from stream.session import Session, SessionState
from stream.subscribe import DeltaCache, Follower, Subscription
from stream.worker_process import WorkerPool

logger = logging.getLogger(__name__)

REWARM_DELAY_S = 10.0
"""A worker's start takes seconds of CPU; the session that was just opened comes first."""
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
        self._opening = 0
        self._followers = 0
        self._pool: WorkerPool
        self._rewarming: asyncio.TimerHandle | None = None
        self._closing: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        """Unpack the vocabulary and warm the first worker."""
        vocabulary = self.config.vocabulary
        if vocabulary is None:
            vocabulary = await asyncio.to_thread(default_vocabulary, self.config.cache)
        self._pool = WorkerPool(vocabulary, self.config.keep_warm_worker)
        self._pool.warm()
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

    async def open(self, request: ingest_pb2.OpenSession) -> Session:
        """A new session, or the one that the request names; access is the caller's to check.

        Raises InputError for settings that do not do, SessionNotFound, ServerFull, WorkerDied.
        """
        if request.session:
            return self.get(request.session)
        settings = self._checked(request)
        self._make_room()
        self._opening += 1
        try:
            session = await self._open(settings)
        finally:
            self._opening -= 1
        self._sessions[session.id] = session
        self.access.add(session.id)
        self._caches[session.id] = DeltaCache()
        logger.info("session %s (%r) opened", session.id, session.name)
        return session

    async def _open(self, request: ingest_pb2.OpenSession) -> Session:
        worker = await self._pool.take()
        try:
            opened = await worker.open(request)
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
        session_id = secrets.token_hex(4)
        return Session(session_id, request, worker, opened, self.config, self.metrics)

    def _checked(self, request: ingest_pb2.OpenSession) -> ingest_pb2.OpenSession:
        """The request as the worker takes it. Raises InputError."""
        _check(request)
        settings = ingest_pb2.OpenSession()
        settings.CopyFrom(request)
        if request.HasField("depth"):
            settings.depth.CopyFrom(self.depth_models.resolve(request.depth))
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
        """End a session and forget its map. Raises SessionNotFound."""
        session = self.get(session_id)
        del self._sessions[session_id], self._caches[session_id]
        self.access.remove(session_id)
        await session.close(reason)

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
        ending = [self.remove(session.id, "the server stopped") for session in self.sessions()]
        await asyncio.gather(self._pool.close(), *ending, *self._closing)


def _warm_encoders() -> None:
    """Encode once: at its first use Arrow imports what it finds, pandas too, for half a second."""
    head = DeltaHead("", 0, 0, 0, 0.01, 0)
    encode_status(Status("waiting"), head)
    encode_trajectory([TrajectoryRow(0, 0, (0.0,) * 7, "", False, 0)], head)
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
