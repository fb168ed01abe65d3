"""The synchronous client: the same verbs, over one background thread with an event loop."""

import asyncio
import threading
from collections.abc import AsyncGenerator, AsyncIterator, Coroutine, Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar

from numpy.typing import NDArray

from mapcast_client.client import DEFAULT_ADDRESS, AsyncClient
from mapcast_client.delta import Delta
from mapcast_client.errors import StateError
from mapcast_client.following import FollowOptions
from mapcast_client.session import AsyncSession
from mapcast_client.transport import DEFAULT_TIMEOUT_S
from mapcast_client.v1 import ingest_pb2, maps_pb2
from mapcast_client.view import View

Result = TypeVar("Result")


class Client:
    """A connection to one server; use it with `with`. Any thread may call it."""

    def __init__(
        self,
        address: str = DEFAULT_ADDRESS,
        timeout_s: float = DEFAULT_TIMEOUT_S,
        token: str = "",
        ca: str | Path | None = None,
    ):
        """Connect to host:port; see `AsyncClient` for what the arguments mean."""
        self._loop = _LoopThread()
        self._client = AsyncClient(address, timeout_s, token, ca)

    def __enter__(self) -> Self:
        self._loop.start()
        try:
            self._loop.run(self._client.__aenter__())
        except BaseException:
            self._loop.stop()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the sessions that were opened here, the connection and the thread."""
        if self._loop.is_running:
            try:
                self._loop.run(self._client.close())
            finally:
                self._loop.stop()

    def open(
        self,
        calibration: ingest_pb2.Calibration | None = None,
        name: str = "",
        policy: str = "live",
        pose_source: str = "tracked",
        fusion: ingest_pb2.FusionSettings | None = None,
        session: str = "",
        *,
        sensor: str = "rgbd",
        depth: str = "auto",
        model: str = "",
        scene_depth_m: float = 0.0,
        saved_map: str = "",
        localization_only: bool = False,
        free_intrinsics: bool = False,
    ) -> "Session":
        """Open a session to send frames to, or re-join the given one; see `AsyncClient.open`."""
        opening = self._client.open(
            calibration,
            name,
            policy,
            pose_source,
            fusion,
            session,
            sensor=sensor,
            depth=depth,
            model=model,
            scene_depth_m=scene_depth_m,
            saved_map=saved_map,
            localization_only=localization_only,
            free_intrinsics=free_intrinsics,
        )
        return Session(self._loop.run(opening), self._loop)

    def sessions(self) -> list[maps_pb2.SessionInfo]:
        """List the server's sessions."""
        return self._loop.run(self._client.sessions())

    def session(self, session: str) -> maps_pb2.SessionInfo:
        """Describe one session. Raises SessionError (not_found)."""
        return self._loop.run(self._client.session(session))

    def export(self, session: str, format: str = "glb") -> bytes:
        """Return the whole map as a file: ply, obj or glb. Raises SessionError, InputError."""
        return self._loop.run(self._client.export(session, format))

    def raycast(
        self, session: str, camera: ingest_pb2.Camera, world_from_camera: NDArray[Any]
    ) -> View:
        """Return the map as a camera at (4, 4) `world_from_camera` would see it."""
        return self._loop.run(self._client.raycast(session, camera, world_from_camera))

    def follow(self, session: str, options: FollowOptions | None = None) -> Iterator[Delta]:
        """Iterate over the deltas of a session's map; see `AsyncClient.follow`."""
        return self._loop.iterate(self._client.follow(session, options))


class Session:
    """An open session that frames are sent to; see `AsyncSession`. Any thread may call it."""

    def __init__(self, session: AsyncSession, loop: "_LoopThread") -> None:
        self._session = session
        self._loop = loop

    @property
    def id(self) -> str:
        """The session's id on its server."""
        return self._session.id

    @property
    def publish_token(self) -> str:
        """What allows to re-join, and to watch; empty on an open server."""
        return self._session.publish_token

    @property
    def watch_token(self) -> str:
        """What allows to watch; empty on an open server."""
        return self._session.watch_token

    @property
    def calibration_offer(self) -> ingest_pb2.CalibrationOffer | None:
        """The newest camera that fits better than the session's own; None: there is none."""
        return self._session.calibration_offer

    @property
    def errors(self) -> list[ingest_pb2.Error]:
        """The newest errors after which the session went on."""
        return list(self._session.errors)

    def send(self, frame: ingest_pb2.Frame) -> None:
        """Send a frame; a lossless session waits here until the server's window has room."""
        self._loop.run(self._session.send(frame))

    def send_imu(self, batch: ingest_pb2.ImuBatch) -> None:
        """Send IMU samples: those up to a frame's instant before the frame."""
        self._loop.run(self._session.send_imu(batch))

    def results(self) -> Iterator[ingest_pb2.FrameResult]:
        """Iterate over the frames' results until the session is finished."""
        return self._loop.iterate(self._session.results())

    def corrections(self) -> Iterator[ingest_pb2.Corrections]:
        """Iterate over which keyframes moved until the session is finished."""
        return self._loop.iterate(self._session.corrections())

    def pause(self) -> None:
        """Have frames dropped until `resume`."""
        self._loop.run(self._session.pause())

    def resume(self) -> None:
        """End a pause."""
        self._loop.run(self._session.resume())

    def reset(self) -> None:
        """Start over: an empty map of a new epoch, a new tracker."""
        self._loop.run(self._session.reset())

    def finish(self) -> ingest_pb2.Finished:
        """Say that no more frames come, and wait until the map is final."""
        return self._loop.run(self._session.finish())

    def close(self) -> None:
        """End the stream; the map stays on the server."""
        self._loop.run(self._session.close())

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()


class _LoopThread:
    """An event loop on a thread of its own; other threads hand it coroutines and wait."""

    def __init__(self) -> None:
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None

    @property
    def is_running(self) -> bool:
        return self._loop is not None

    def start(self) -> None:
        if self._loop is not None:
            raise StateError("the client is connected already")
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(
            target=self._loop.run_forever, name="mapcast client", daemon=True
        )
        self._thread.start()

    def stop(self) -> None:
        assert self._loop is not None
        assert self._thread is not None
        self.run(self._loop.shutdown_asyncgens())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()
        self._loop = self._thread = None

    def run(self, coroutine: Coroutine[Any, Any, Result]) -> Result:
        if self._loop is None:
            coroutine.close()
            raise StateError("the client is not connected: use it with `with`")
        future = asyncio.run_coroutine_threadsafe(coroutine, self._loop)
        try:
            return future.result()
        except BaseException:
            future.cancel()
            raise

    def iterate(self, items: AsyncIterator[Result]) -> Iterator[Result]:
        end = object()

        async def following() -> Any:
            return await anext(items, end)

        async def close() -> None:
            if isinstance(items, AsyncGenerator):
                await items.aclose()

        try:
            while (item := self.run(following())) is not end:
                yield item
        finally:
            if self.is_running:
                self.run(close())
