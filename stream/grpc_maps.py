"""Maps out over gRPC: lists, live deltas, exports and views."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any, NoReturn

import grpc
import numpy as np

from mapcast_client.errors import InputError, MapcastError
from mapcast_client.v1 import maps_pb2, maps_pb2_grpc
from stream import ingest
from stream.errors import (
    Forbidden,
    FrameMissing,
    ServerFull,
    SessionNotFound,
    Unauthenticated,
    WorkerDied,
)
from stream.exports import export_mesh, raycast
from stream.grpc_token import token_of
from stream.registry import Registry
from stream.session import Session
from stream.subscribe import Subscription

CHUNK_BYTES = 1 << 20
Context = grpc.aio.ServicerContext[Any, Any]
STATUS_CODES = {
    Unauthenticated: grpc.StatusCode.UNAUTHENTICATED,
    Forbidden: grpc.StatusCode.PERMISSION_DENIED,
    SessionNotFound: grpc.StatusCode.NOT_FOUND,
    FrameMissing: grpc.StatusCode.NOT_FOUND,
    ServerFull: grpc.StatusCode.RESOURCE_EXHAUSTED,
    WorkerDied: grpc.StatusCode.FAILED_PRECONDITION,
    InputError: grpc.StatusCode.INVALID_ARGUMENT,
}


class MapsService(maps_pb2_grpc.MapsServicer):
    """Answers readers of maps."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry

    async def ListSessions(
        self, request: maps_pb2.ListSessionsRequest, context: Context
    ) -> maps_pb2.ListSessionsResponse:
        """All sessions, oldest first. Server token."""
        try:
            self._registry.access.require_server(token_of(context))
        except MapcastError as error:
            await _abort(context, error)
        infos = [session.info() for session in self._registry.sessions()]
        return maps_pb2.ListSessionsResponse(sessions=infos)

    async def GetSession(
        self, request: maps_pb2.GetSessionRequest, context: Context
    ) -> maps_pb2.SessionInfo:
        """One session. Watch token, as for all below."""
        try:
            return self._watched(request.session, context).info()
        except MapcastError as error:
            await _abort(context, error)

    async def Subscribe(
        self, requests: AsyncIterator[maps_pb2.SubscribeRequest], context: Context
    ) -> None:
        """Send deltas until the subscriber leaves; its later messages change what it wants."""
        try:
            async with asyncio.timeout(ingest.FIRST_MESSAGE_TIMEOUT_S):
                first = await anext(requests)
        except StopAsyncIteration:
            return
        except TimeoutError:
            await context.abort(
                grpc.StatusCode.DEADLINE_EXCEEDED,
                f"no message came within {ingest.FIRST_MESSAGE_TIMEOUT_S:g} s",
            )
        subscription = _subscription(first)
        stall_s = self._registry.config.subscriber_stall_timeout_s

        async def send(delta: bytes) -> None:
            async with asyncio.timeout(stall_s):
                await context.write(maps_pb2.MapDelta(arrow=delta))

        try:
            self._watched(first.session, context)
            with self._registry.follower(first.session, subscription) as follower:
                async with asyncio.TaskGroup() as tasks:
                    tasks.create_task(follower.follow(send))
                    tasks.create_task(_listen(requests, subscription))
        except* MapcastError as group:
            refusal = group.exceptions[0]
            assert isinstance(refusal, MapcastError)
            await _abort(context, refusal)
        except* TimeoutError:
            await context.abort(grpc.StatusCode.DEADLINE_EXCEEDED, "the subscriber reads nothing")

    async def Export(
        self, request: maps_pb2.ExportRequest, context: Context
    ) -> AsyncIterator[maps_pb2.Chunk]:
        """The map as a file, in chunks."""
        try:
            data = await export_mesh(self._watched(request.session, context), request.format)
        except MapcastError as error:
            await _abort(context, error)
        for start in range(0, len(data), CHUNK_BYTES):
            yield maps_pb2.Chunk(data=data[start : start + CHUNK_BYTES])

    async def Raycast(
        self, request: maps_pb2.RaycastRequest, context: Context
    ) -> maps_pb2.RaycastView:
        """What a camera would see of the map."""
        try:
            session = self._watched(request.session, context)
            images = await raycast(session, request.camera, request.world_from_camera)
        except MapcastError as error:
            await _abort(context, error)
        return maps_pb2.RaycastView(
            color=images.color, depth=images.depth_m, normals=images.normals_world
        )

    def _watched(self, session_id: str, context: Context) -> Session:
        """The session, if the call's token allows to watch it. Raises ServerError."""
        self._registry.access.require_watch(session_id, token_of(context))
        return self._registry.get(session_id)


def _subscription(request: maps_pb2.SubscribeRequest) -> Subscription:
    subscription = Subscription(
        since=request.since, epoch=request.epoch, compression=request.compression or "zstd"
    )
    if request.layers:
        subscription.layers = tuple(request.layers)
    _change(subscription, request)
    return subscription


def _change(subscription: Subscription, request: maps_pb2.SubscribeRequest) -> None:
    """Take over what the request says; what it does not say stays."""
    if request.HasField("max_bytes_per_s"):
        subscription.max_bytes_per_s = request.max_bytes_per_s
    if request.HasField("max_messages_per_s"):
        subscription.max_messages_per_s = request.max_messages_per_s
    if request.HasField("viewpoint"):
        viewpoint = request.viewpoint
        subscription.viewpoint = np.array([viewpoint.x, viewpoint.y, viewpoint.z])


async def _listen(
    requests: AsyncIterator[maps_pb2.SubscribeRequest], subscription: Subscription
) -> None:
    """Take what the subscriber changes, until it leaves. Raises InputError."""
    async for request in requests:
        _change(subscription, request)
        subscription.check()


async def _abort(context: Context, error: MapcastError) -> NoReturn:
    for kind, code in STATUS_CODES.items():
        if isinstance(error, kind):
            await context.abort(code, str(error))
    await context.abort(grpc.StatusCode.INTERNAL, str(error))
    raise AssertionError("abort raises")
