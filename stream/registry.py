"""Which sessions there are: opens, finds, evicts and closes them."""

import asyncio
import logging
import secrets
from pathlib import Path

from slam.vocabulary import default_vocabulary

from mapcast_client.errors import InputError
from mapcast_client.v1 import ingest_pb2
from slam.camera import Calibration
from stream.config import ServerConfig
from stream.errors import ServerFull, SessionNotFound
from stream.metrics import Metrics
from stream.session import Session, SessionState
from stream.subscribe import DeltaCache, Follower, Subscription
from stream.worker_process import WorkerPool

logger = logging.getLogger(__name__)

REWARM_DELAY_S = 10.0
"""A worker's start takes seconds of CPU; the session that was just opened comes first."""


class Registry:
    """The server's sessions."""

    def __init__(self, config: ServerConfig) -> None:
        self.config = config
        self.metrics = Metrics()
        self._sessions: dict[str, Session] = {}
        self._caches: dict[str, DeltaCache] = {}
        self._vocabulary = config.vocabulary or Path()
        self._pool: WorkerPool
        self._opening = asyncio.Lock()

    async def start(self) -> None:
        """Unpack the vocabulary and warm the first worker."""
        if self.config.vocabulary is None:
            self._vocabulary = await asyncio.to_thread(default_vocabulary, self.config.cache)
        self._pool = WorkerPool(self._vocabulary, self.config.keep_warm_worker)
        self._pool.warm()

    def sessions(self) -> list[Session]:
        """All of them, oldest first."""
        return list(self._sessions.values())

    def get(self, session_id: str) -> Session:
        """A session by its id. Raises SessionNotFound."""
        try:
            return self._sessions[session_id]
        except KeyError:
            raise SessionNotFound(f"there is no session {session_id!r}") from None

    async def open(self, request: ingest_pb2.OpenSession) -> Session:
        """A new session, or the one that the request names.

        Raises InputError for settings that do not do, SessionNotFound, ServerFull, WorkerDied.
        """
        if request.session:
            return self.get(request.session)
        _check(request)
        async with self._opening:
            await self._make_room()
            worker = await self._pool.take()
            asyncio.get_running_loop().call_later(REWARM_DELAY_S, self._pool.warm)
            try:
                opened = await worker.open(request)
            except BaseException:
                await worker.kill()
                raise
            session_id = secrets.token_hex(4)
            session = Session(session_id, request, worker, opened, self.config, self.metrics)
            self._sessions[session_id] = session
            self._caches[session_id] = DeltaCache()
        logger.info("session %s (%s) opened", session.id, session.name)
        return session

    async def _make_room(self) -> None:
        if len(self._sessions) < self.config.max_sessions:
            return
        for session in self.sessions():
            if session.is_over:
                await self.remove(session.id)
                return
        raise ServerFull(
            f"the server has {len(self._sessions)} sessions, its limit (max_sessions); "
            "finish or delete one"
        )

    async def remove(self, session_id: str) -> None:
        """End a session and forget its map. Raises SessionNotFound."""
        session = self.get(session_id)
        del self._sessions[session_id], self._caches[session_id]
        await session.close()

    def follower(self, session_id: str, subscription: Subscription) -> Follower:
        """A new subscriber of a session. Raises SessionNotFound, InputError, ServerFull."""
        session = self.get(session_id)
        count = sum(other.hub.subscriber_count for other in self._sessions.values())
        if count >= self.config.max_subscribers:
            raise ServerFull(f"the server has {count} subscribers, its limit (max_subscribers)")
        cache = self._caches[session_id]
        return Follower(session, subscription, cache, self.metrics, self.config.message_bytes)

    def count_states(self) -> None:
        """Refresh the gauge of sessions by state."""
        for state in SessionState:
            count = sum(session.state is state for session in self._sessions.values())
            self.metrics.sessions.labels(state.value).set(count)

    async def close(self) -> None:
        """End every session and the spare worker."""
        await self._pool.close()
        await asyncio.gather(*(self.remove(session.id) for session in self.sessions()))


def _check(request: ingest_pb2.OpenSession) -> None:
    """Raise InputError for what a session cannot be opened with."""
    if request.sensor != ingest_pb2.SENSOR_RGBD:
        raise InputError(
            f"sensor is {request.sensor}, this server takes {ingest_pb2.SENSOR_RGBD} (SENSOR_RGBD)"
        )
    if not request.HasField("calibration"):
        raise InputError("calibration is missing: the camera's size, fx, fy, cx, cy are needed")
    Calibration.from_message(request.calibration)
