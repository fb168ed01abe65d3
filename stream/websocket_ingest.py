"""`/v1/sessions/{id}/ingest`: the messages of ingest.proto over a WebSocket, one in each."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing

from fastapi import APIRouter, WebSocket, WebSocketDisconnect
from google.protobuf.message import DecodeError

from mapcast_client.errors import InputError
from mapcast_client.v1 import ingest_pb2
from mapcast_client.v1.ingest_pb2 import ClientMessage
from stream.http_guard import token_of
from stream.ingest import Ingest
from stream.registry import Registry

Code = ingest_pb2.Error.Code
CLOSE_CODES: dict[int, int] = {
    Code.CODE_UNAUTHENTICATED: 4401,
    Code.CODE_FORBIDDEN: 4403,
    Code.CODE_NOT_FOUND: 4404,
    Code.CODE_BUSY: 1013,
    Code.CODE_SESSION_FAILED: 1011,
    Code.CODE_UNSPECIFIED: 1011,
}
CLOSE_BAD_MESSAGE = 4400


def ingest_router(registry: Registry) -> APIRouter:
    """The WebSocket of senders that speak protobuf and cannot use gRPC."""
    router = APIRouter()
    stall_s = registry.config.subscriber_stall_timeout_s

    @router.websocket("/v1/sessions/{session_id}/ingest")
    async def ingest(socket: WebSocket, session_id: str) -> None:
        await socket.accept()
        ended = 1000
        conversation = Ingest(registry, token_of(socket))
        try:
            async with aclosing(conversation.answers(_messages(socket, session_id))) as answers:
                async for answer in answers:
                    async with asyncio.timeout(stall_s):
                        await socket.send_bytes(answer.SerializeToString())
                    if answer.error.fatal:
                        ended = close_code(answer.error.code)
            await socket.close(ended)
        except (WebSocketDisconnect, TimeoutError):
            pass  # it left, or reads nothing any more; its session waits for it

    return router


def close_code(code: int) -> int:
    """How a WebSocket ends after a fatal error."""
    return CLOSE_CODES.get(code, CLOSE_BAD_MESSAGE)


async def _messages(socket: WebSocket, session_id: str) -> AsyncIterator[ClientMessage]:
    """The sender's messages; the first joins the session of the path. Raises InputError."""
    is_first = True
    while (received := await socket.receive())["type"] != "websocket.disconnect":
        try:
            message = ClientMessage.FromString(received.get("bytes") or b"")
        except DecodeError:
            raise InputError("a message is no ClientMessage of ingest.proto") from None
        if is_first and message.HasField("open"):
            if message.open.session not in ("", session_id):
                named = message.open.session
                raise InputError(f"`open` names session {named!r:.80}, not {session_id!r:.80}")
            message.open.session = session_id
        is_first = False
        yield message
