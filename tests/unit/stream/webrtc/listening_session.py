"""A session without a worker, which notes what it is given, behind the real HTTP routes."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
import uvicorn

from mapcast_client.delta import Status
from mapcast_client.v1 import ingest_pb2
from mapcast_client.v1.ingest_pb2 import FrameResult
from slam.imu import ImuSamples
from stream.access import Access
from stream.config import ServerConfig
from stream.errors import SessionBusy, SessionNotFound
from stream.links import whip_path
from stream.metrics import Metrics
from stream.rest import create_app
from stream.sender import Sender
from stream.session_state import SessionState
from stream.webrtc.publisher import Publisher
from stream.webrtc.publishers import Publishers
from stream.whip import open_publishers
from stream.worker_pb2 import MapFrame


class ListeningSession:
    """Takes frames as a session does, keeps the newest, and answers each at once."""

    def __init__(self, session_id: str, sensor: int) -> None:
        self.id = session_id
        self.sensor = sensor
        self.state = SessionState.WAITING
        self.is_over = False
        self.is_closed = False
        self.frames: list[tuple[int, int, int, int]] = []
        """Index, capture_ns, width and height of each."""
        self.arrived_ns: list[int] = []
        self.newest = ingest_pb2.Image()
        self.samples: list[ingest_pb2.ImuSample] = []
        self.sender: Sender | None = None
        self.map_frame = MapFrame()
        self.answer = FrameResult(
            status=FrameResult.STATUS_TRACKED,
            tracking=ingest_pb2.TRACKING_STATE_TRACKING,
            inliers=200,
        )

    @property
    def whip_path(self) -> str:
        return whip_path(self.id)

    def attach(self, sender: Sender) -> None:
        if self.sender is not None:
            raise SessionBusy(f"session {self.id} has a sender already; only one at a time")
        self.sender, self.state = sender, SessionState.ACTIVE

    def detach(self, sender: Sender) -> None:
        assert self.sender is sender
        self.sender, self.state = None, SessionState.WAITING

    async def submit(self, sender: Sender, frame: ingest_pb2.Frame) -> None:
        color = frame.color
        self.frames.append((frame.index, frame.capture_ns, color.width_px, color.height_px))
        self.arrived_ns.append(time.time_ns())
        self.newest = color
        sender.owe()
        result = FrameResult()
        result.CopyFrom(self.answer)
        sender.answer(result)

    async def submit_imu(self, sender: Sender, batch: ingest_pb2.ImuBatch) -> None:
        ImuSamples.from_message(batch)  # raises
        self.samples += batch.samples

    async def finish(self) -> None:
        self.state, self.is_over = SessionState.FINISHED, True

    def status(self) -> Status:
        return Status(self.state.value, frames=len(self.frames), tracking="tracking")


class ListeningRegistry:
    """What the WHIP routes need of the server's registry."""

    def __init__(self, config: ServerConfig) -> None:
        self.config = config
        self.access = Access(config.is_closed, config.api_token)
        self.metrics = Metrics()
        self._sessions: dict[str, ListeningSession] = {}

    def sessions(self) -> list[ListeningSession]:
        return list(self._sessions.values())

    def get(self, session_id: str) -> ListeningSession:
        try:
            return self._sessions[session_id]
        except KeyError:
            raise SessionNotFound(f"there is no session {session_id!r}") from None

    async def open(self, request: ingest_pb2.OpenSession) -> ListeningSession:
        session = ListeningSession(f"s{len(self._sessions)}", request.sensor)
        self._sessions[session.id] = session
        self.access.add(session.id)
        return session

    async def remove(self, session_id: str, reason: str) -> None:
        del self._sessions[session_id]


class WhipServer:
    """The routes on a socket of this machine."""

    def __init__(
        self, registry: ListeningRegistry, http: httpx.AsyncClient, publishers: Publishers | None
    ) -> None:
        self.registry = registry
        self._publishers = publishers
        self.http = http
        self.url = str(http.base_url)

    async def open(self, sensor: int = ingest_pb2.SENSOR_MONO) -> ListeningSession:
        return await self.registry.open(ingest_pb2.OpenSession(sensor=sensor))

    @property
    def publishers(self) -> list[Publisher]:
        """Those that are there now."""
        assert self._publishers is not None
        return list(self._publishers._running)

    def metric(self, name: str, **labels: str) -> float:
        return self.registry.metrics.registry.get_sample_value(name, labels) or 0.0


@asynccontextmanager
async def whip_server(config: ServerConfig | None = None) -> AsyncIterator[WhipServer]:
    """Serve WHIP for the duration of the block."""
    registry = ListeningRegistry(config or ServerConfig(http_port=0, grpc_port=0))
    publishers = open_publishers(registry)
    server = uvicorn.Server(
        uvicorn.Config(create_app(registry, publishers), port=0, lifespan="off", log_config=None)
    )
    serving = asyncio.create_task(server.serve())
    while not server.started:
        await asyncio.sleep(0.01)
    port = server.servers[0].sockets[0].getsockname()[1]
    try:
        async with httpx.AsyncClient(
            base_url=f"http://127.0.0.1:{port}", trust_env=False, timeout=30
        ) as http:
            yield WhipServer(registry, http, publishers)
    finally:
        server.should_exit = server.force_exit = True
        await serving
        if publishers is not None:
            await publishers.close()
