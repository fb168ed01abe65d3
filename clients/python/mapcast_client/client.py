"""The asynchronous client of a server's gRPC port."""

from collections.abc import AsyncGenerator, AsyncIterator
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import grpc
from numpy.typing import NDArray

from mapcast_client.delta import Delta
from mapcast_client.errors import StateError
from mapcast_client.following import FollowOptions, follow_deltas
from mapcast_client.session import AsyncSession, open_message
from mapcast_client.transport import (
    DEFAULT_TIMEOUT_S,
    END_OF_STREAM,
    bearer,
    error_of,
    open_channel,
    translated,
)
from mapcast_client.v1 import ingest_pb2, ingest_pb2_grpc, maps_pb2, maps_pb2_grpc
from mapcast_client.view import View, raycast_request

DEFAULT_ADDRESS = "127.0.0.1:8431"


class AsyncClient:
    """A connection to one server; use it with `async with`. One event loop uses it."""

    def __init__(
        self,
        address: str = DEFAULT_ADDRESS,
        timeout_s: float = DEFAULT_TIMEOUT_S,
        token: str = "",
        ca: str | Path | None = None,
    ):
        """`address` is host:port; `timeout_s` bounds every wait for the server.

        `token` is what a closed server wants. TLS is used for `grpcs://host:port`, and when `ca`
        names a PEM file of the certificates to trust.
        """
        self._address = address
        self._bearer = bearer(token)
        self._ca = ca
        self._timeout_s = timeout_s
        self._channel: grpc.aio.Channel | None = None
        self._sessions: list[AsyncSession] = []

    async def __aenter__(self) -> Self:
        self._channel = await open_channel(self._address, self._timeout_s, self._ca)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Close the sessions that were opened here, and the connection."""
        for session in self._sessions:
            await session.close()
        self._sessions.clear()
        if self._channel is not None:
            await self._channel.close(None)
            self._channel = None

    async def open(
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
    ) -> AsyncSession:
        """Open a session to send frames to, or re-join the given one, whose settings stay.

        `policy` live: the newest frames win; lossless: every frame counts and `send` waits.
        `sensor` rgbd, mono or mono_imu. A mono session may go without `calibration`: the server
        guesses one. Its depth is estimated: `depth` auto, motion_stereo, network or fused, with
        `model` the name of one of the server's depth networks. `scene_depth_m` declares the scale:
        the median depth of what the first tracked frames see. `saved_map` names a map of the server
        to go on with; `localization_only` leaves it as it is. With `free_intrinsics` a server that
        refines estimates the focal lengths, too: see `AsyncSession.calibration_offer`.
        Raises InputError, SessionError when the server refuses, ConnectionLost.
        """
        request = open_message(
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
        call = ingest_pb2_grpc.IngestStub(self._connected).Stream(metadata=self._bearer)
        try:
            opened = await AsyncSession.start(call, request, self._address, self._timeout_s)
        except BaseException:
            call.cancel()
            raise
        self._sessions.append(opened)
        return opened

    async def sessions(self) -> list[maps_pb2.SessionInfo]:
        """List the server's sessions."""
        async with translated(self._address, self._timeout_s):
            answer = await self._maps.ListSessions(
                maps_pb2.ListSessionsRequest(), metadata=self._bearer
            )
        return list(answer.sessions)

    async def session(self, session: str) -> maps_pb2.SessionInfo:
        """Describe one session. Raises SessionError (not_found)."""
        async with translated(self._address, self._timeout_s):
            request = maps_pb2.GetSessionRequest(session=session)
            info: maps_pb2.SessionInfo = await self._maps.GetSession(request, metadata=self._bearer)
        return info

    async def export(self, session: str, format: str = "glb") -> bytes:
        """Return the whole map as a file: ply, obj or glb. Raises SessionError, InputError."""
        request = maps_pb2.ExportRequest(session=session, format=format)
        call = self._maps.Export(request, metadata=self._bearer)
        parts: list[bytes] = []
        while True:
            async with translated(self._address, self._timeout_s):
                chunk = await call.read()
            if chunk is END_OF_STREAM:
                return b"".join(parts)
            parts.append(chunk.data)

    async def raycast(
        self, session: str, camera: ingest_pb2.Camera, world_from_camera: NDArray[Any]
    ) -> View:
        """Return the map as a camera at (4, 4) `world_from_camera` would see it.

        Raises InputError for a pose that is not rigid, SessionError (not_found).
        """
        request = raycast_request(session, camera, world_from_camera)
        async with translated(self._address, self._timeout_s):
            answer = await self._maps.Raycast(request, metadata=self._bearer)
        return View.from_message(answer, camera)

    def follow(self, session: str, options: FollowOptions | None = None) -> AsyncIterator[Delta]:
        """Iterate over the deltas of a session's map; apply them to a `Map`.

        Raises SessionError (not_found), InputError, ConnectionLost; see FollowOptions.
        """
        options = options or FollowOptions()

        def subscribe(since: int, epoch: int) -> AsyncGenerator[bytes]:
            return self._subscribe(_subscribe_request(session, options, since, epoch))

        return follow_deltas(subscribe, options)

    async def _subscribe(self, request: maps_pb2.SubscribeRequest) -> AsyncGenerator[bytes]:
        call = self._maps.Subscribe(metadata=self._bearer)
        try:
            await call.write(request)
            while (message := await call.read()) is not END_OF_STREAM:
                yield message.arrow
        except grpc.aio.AioRpcError as error:
            raise error_of(error, self._address) from None
        finally:
            call.cancel()

    @property
    def _maps(self) -> Any:
        return maps_pb2_grpc.MapsStub(self._connected)

    @property
    def _connected(self) -> grpc.aio.Channel:
        if self._channel is None:
            raise StateError("the client is not connected: use it with `async with`")
        return self._channel


def connect(
    address: str = DEFAULT_ADDRESS,
    timeout_s: float = DEFAULT_TIMEOUT_S,
    token: str = "",
    ca: str | Path | None = None,
) -> AsyncClient:
    """Give a client to enter with `async with`; entering raises ConnectionLost.

    See `AsyncClient` for what the arguments mean.
    """
    return AsyncClient(address, timeout_s, token, ca)


def _subscribe_request(
    session: str, options: FollowOptions, since: int, epoch: int
) -> maps_pb2.SubscribeRequest:
    viewpoint = options.viewpoint
    return maps_pb2.SubscribeRequest(
        session=session,
        layers=options.wire_layers,
        since=since,
        epoch=epoch,
        compression=options.compression,
        max_bytes_per_s=options.max_bytes_per_s,
        max_messages_per_s=options.max_messages_per_s,
        viewpoint=maps_pb2.Vec3(x=viewpoint[0], y=viewpoint[1], z=viewpoint[2])
        if viewpoint
        else None,
    )
