"""`/v1/sessions/{id}/subscribe`: a map's deltas over a WebSocket, as MAP_DELTA.md tells."""

import asyncio
import json
from collections.abc import Mapping
from contextlib import suppress

import numpy as np
from fastapi import APIRouter, WebSocket, WebSocketDisconnect

from mapcast_client.errors import InputError, MapcastError
from stream.errors import Forbidden, ServerFull, SessionNotFound, Unauthenticated
from stream.http_guard import token_of
from stream.registry import Registry
from stream.subscribe import Subscription

MAX_WISH_BYTES = 1 << 16
CLOSE_CODES = {Unauthenticated: 4401, Forbidden: 4403, SessionNotFound: 4404, ServerFull: 1013}
CLOSE_BAD_PARAMETER = 4400
MAX_REASON_CHARS = 120
"""A close frame holds 123 bytes."""


def subscribe_router(registry: Registry) -> APIRouter:
    """The subscribers' WebSocket."""
    router = APIRouter()
    stall_s = registry.config.subscriber_stall_timeout_s

    @router.websocket("/v1/sessions/{session_id}/subscribe")
    async def subscribe(socket: WebSocket, session_id: str) -> None:
        await socket.accept()

        async def send(delta: bytes) -> None:
            async with asyncio.timeout(stall_s):
                await socket.send_bytes(delta)

        try:
            registry.access.require_watch(session_id, token_of(socket))
            subscription = _subscription(socket.query_params)
            with registry.follower(session_id, subscription) as follower:
                async with asyncio.TaskGroup() as tasks:
                    tasks.create_task(follower.follow(send))
                    tasks.create_task(_listen(socket, subscription))
        except* MapcastError as group:
            await refuse(socket, group.exceptions[0])
        except* (WebSocketDisconnect, TimeoutError):
            pass  # it left, or reads nothing any more

    return router


async def refuse(socket: WebSocket, error: BaseException) -> None:
    """Close with the code of the error and its words, if it has not left by itself."""
    codes = (code for kind, code in CLOSE_CODES.items() if isinstance(error, kind))
    reason = str(error).encode("ascii", "replace")[:MAX_REASON_CHARS].decode()
    with suppress(WebSocketDisconnect):
        await socket.close(next(codes, CLOSE_BAD_PARAMETER), reason)


def _subscription(query: Mapping[str, str]) -> Subscription:
    """Read the query string. Raises InputError, naming the parameter."""
    subscription = Subscription()
    if query.get("layers"):
        subscription.layers = tuple(query["layers"].split(","))
    subscription.compression = query.get("compression", subscription.compression)
    for name, kind in (
        ("since", int),
        ("epoch", int),
        ("max_bytes_per_s", float),
        ("max_messages_per_s", float),
    ):
        try:
            setattr(subscription, name, kind(query.get(name, 0)))
        except (ValueError, OverflowError):
            raise InputError(f"{name} is {query[name]!r:.40}, must be a number") from None
    return subscription


async def _listen(socket: WebSocket, subscription: Subscription) -> None:
    """Take what the subscriber changes. Raises InputError, WebSocketDisconnect."""
    while True:
        message = await socket.receive()
        if message["type"] == "websocket.disconnect":
            raise WebSocketDisconnect(message.get("code", 1005))
        text = message.get("text") or ""
        if len(text) > MAX_WISH_BYTES:
            raise InputError(f"a message has {len(text)} characters, limit {MAX_WISH_BYTES}")
        try:
            wishes = json.loads(text)
            if "viewpoint" in wishes:
                subscription.viewpoint = np.array(wishes["viewpoint"], np.float64)
            for name in ("max_bytes_per_s", "max_messages_per_s"):
                if name in wishes:
                    setattr(subscription, name, float(wishes[name]))
        except (ValueError, TypeError, OverflowError, RecursionError) as error:
            raise InputError(f"not a subscriber's message: {error}") from None
        subscription.check()
