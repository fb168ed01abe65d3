"""A server's WebRTC publishers."""

import asyncio

from mapcast_client.errors import InputError, MapcastError
from stream.config import ServerConfig
from stream.errors import SessionBusy, SessionNotFound
from stream.metrics import Metrics
from stream.session import Session
from stream.webrtc.adapter import Certificate
from stream.webrtc.connection import ConnectionSettings, VideoConnection
from stream.webrtc.publisher import Publisher

MAX_LEFT = 256
"""Resources of publishers that left by themselves, which a late DELETE may still name."""
TAKE_OVER_S = 3.0
"""A publisher that is silent for so long makes room for one that comes: a page was reloaded.

Browsers that have nothing to send are heard of every 2.5 s.
"""


class Publishers:
    """Starts them, finds them, and ends them."""

    def __init__(self, config: ServerConfig, metrics: Metrics) -> None:
        ports = range(config.udp_port_min, config.udp_port_max + 1 if config.udp_port_max else 0)
        certificate = Certificate.generateCertificate()
        self._settings = ConnectionSettings(config.ice_servers, ports, certificate)
        self._metrics = metrics
        self._running: dict[Publisher, asyncio.Task[None]] = {}
        self._left: dict[tuple[str, str], bool] = {}
        """Session and resource; whether it owned the session, and still does."""

    async def connect(self, offer: str) -> VideoConnection:
        """A connection for an offer, which is to be started or closed. Raises InputError."""
        connection = VideoConnection(self._settings, self._metrics)
        try:
            await connection.take_offer(offer)
        except InputError:
            await connection.close()
            raise
        return connection

    async def start(
        self, session: Session, connection: VideoConnection, owns_session: bool
    ) -> tuple[Publisher, str]:
        """Make a connection the session's sender; returns the publisher and the answer's SDP.

        Raises SessionBusy if the session has a sender, or is over, InputError, and ServerFull if no
        UDP port is free; the connection is closed then.
        """
        try:
            await self._make_room(session)
            publisher = Publisher(session, connection, owns_session, self._metrics)
        except SessionBusy:
            await connection.close()
            raise
        self._running[publisher] = asyncio.create_task(self._run(publisher))
        self._left |= {left: False for left in self._left if left[0] == session.id}
        try:
            return publisher, await connection.answer()
        except MapcastError as error:
            await self._end(publisher, str(error))
            raise

    async def _run(self, publisher: Publisher) -> None:
        try:
            await publisher.run()
        finally:
            del self._running[publisher]
            self._left[publisher.session.id, publisher.resource] = publisher.owns_session
            if len(self._left) > MAX_LEFT:
                del self._left[next(iter(self._left))]

    async def _make_room(self, session: Session) -> None:
        present = next((at for at in self._running if at.session is session), None)
        if present is None:
            return
        if present.connection.silent_s < TAKE_OVER_S:
            raise SessionBusy(
                f"session {session.id} has a WebRTC publisher already, which has sent "
                f"{present.frames} frames; only one at a time"
            )
        await self._end(present, "another publisher took its place")

    def get(self, session_id: str, resource: str) -> Publisher:
        """A session's publisher by its resource name. Raises SessionNotFound."""
        for publisher in self._running:
            if publisher.session.id == session_id and publisher.resource == resource:
                return publisher
        raise _no_publisher(session_id, resource)

    async def end(self, session_id: str, resource: str) -> bool:
        """End a publisher, by its own wish; returns whether its session is to end with it.

        Some close their connection just before they say so; another may publish by then. Raises
        SessionNotFound.
        """
        if (session_id, resource) not in self._left:
            await self._end(self.get(session_id, resource), "it said so")
        owns_session = self._left.pop((session_id, resource), None)
        if owns_session is None:
            raise _no_publisher(session_id, resource)  # it said so twice
        return owns_session

    async def _end(self, publisher: Publisher, reason: str) -> None:
        publisher.stop(reason)
        if (running := self._running.get(publisher)) is not None:
            await asyncio.wait([running])

    async def close(self) -> None:
        """End all of them."""
        ending = [self._end(publisher, "the server stopped") for publisher in list(self._running)]
        await asyncio.gather(*ending)


def _no_publisher(session_id: str, resource: str) -> SessionNotFound:
    return SessionNotFound(f"session {session_id!r:.40} has no publisher {resource!r:.40} now")
