"""`/ws/stream`: images and JSON over a WebSocket, for browsers and scripts without WebRTC or gRPC.

The client says hello in JSON, then sends encoded images; it is answered in JSON. What the words
become is what every sender sends (`ingest.py`): policies, limits and worker are the same.
"""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import aclosing, suppress
from typing import Any

from fastapi import APIRouter, WebSocket, WebSocketDisconnect

from mapcast_client.errors import InputError
from mapcast_client.v1 import ingest_pb2
from mapcast_client.v1.ingest_pb2 import ClientMessage, ServerMessage
from stream.errors import WorkerDied
from stream.http_guard import token_of
from stream.ingest import FIRST_MESSAGE_TIMEOUT_S, Ingest
from stream.registry import Registry
from stream.stream_json import (
    Hello,
    ImageReader,
    error_words,
    final_words,
    offer_words,
    opened_words,
    partial_words,
    progress_words,
)
from stream.websocket_ingest import CLOSE_BAD_MESSAGE, close_code

PARTIAL_EVERY = 10
"""Results between two summaries of the map."""


def stream_router(registry: Registry) -> APIRouter:
    """The WebSocket of senders that speak JSON."""
    router = APIRouter()

    @router.websocket("/ws/stream")
    async def stream(socket: WebSocket) -> None:
        await socket.accept()
        try:
            hello = Hello.read(await _first_text(socket))
        except InputError as error:
            with suppress(WebSocketDisconnect):  # it left
                await socket.send_json(error_words(str(error), fatal=True))
                await socket.close(CLOSE_BAD_MESSAGE)
        except WebSocketDisconnect:
            pass
        else:
            await ImageStream(registry, socket, hello).serve()

    return router


async def _first_text(socket: WebSocket) -> str | None:
    try:
        async with asyncio.timeout(FIRST_MESSAGE_TIMEOUT_S):
            received = await socket.receive()
    except TimeoutError:
        raise InputError(f"no hello came within {FIRST_MESSAGE_TIMEOUT_S:g} s") from None
    if received["type"] == "websocket.disconnect":
        raise WebSocketDisconnect(received.get("code", 1005))
    return received.get("text")


class ImageStream:
    """One client of `/ws/stream`, from its hello on."""

    def __init__(self, registry: Registry, socket: WebSocket, hello: Hello) -> None:
        self._socket = socket
        self._hello = hello
        self._ingest = Ingest(registry, hello.token or token_of(socket))
        self._opened = ingest_pb2.Opened()
        self._stall_s = registry.config.subscriber_stall_timeout_s
        self._answered = 0

    async def serve(self) -> None:
        """Converse until the client finishes or leaves; a session that it opened ends with it."""
        with suppress(WebSocketDisconnect, TimeoutError):  # it left, or reads nothing any more
            await self._converse()
        session = self._ingest.session
        if session is not None and not self._hello.session and not session.is_over:
            with suppress(WorkerDied):  # the session's state says so
                await session.finish()

    async def _converse(self) -> None:
        ended = 1000
        async with aclosing(self._ingest.answers(self._messages())) as answers:
            async for answer in answers:
                for words in self._words(answer):
                    async with asyncio.timeout(self._stall_s):
                        await self._socket.send_json(words)
                if answer.error.fatal:
                    ended = close_code(answer.error.code)
        await self._socket.close(ended)

    async def _messages(self) -> AsyncIterator[ClientMessage]:
        """What the client's messages mean; it is told of those that mean nothing."""
        images = ImageReader()
        yield ClientMessage(open=self._hello.to_message())
        while (received := await self._socket.receive())["type"] != "websocket.disconnect":
            try:
                message = images.read(received.get("text"), received.get("bytes"), time.time_ns())
            except InputError as error:
                await self._ingest.refuse(ingest_pb2.Error.CODE_INVALID_ARGUMENT, str(error))
                continue
            if message is not None:
                yield message

    def _words(self, answer: ServerMessage) -> list[dict[str, Any]]:
        """An answer as the client reads it."""
        kind = answer.WhichOneof("message")
        if kind == "opened":
            self._opened = answer.opened
            return [opened_words(answer.opened)]
        if kind == "result":
            return [progress_words(answer.result), *self._partial()]
        if kind == "calibration_offer":
            return [offer_words(answer.calibration_offer)]
        if kind == "error":
            return [error_words(answer.error.message, answer.error.fatal)]
        if kind == "finished":
            opened = self._opened
            return [final_words(answer.finished, opened.session, opened.viewer_path)]
        return []

    def _partial(self) -> list[dict[str, Any]]:
        """After every tenth result: how far the map is."""
        self._answered += 1
        assert self._ingest.session is not None
        is_due = self._answered % PARTIAL_EVERY == 0
        return [partial_words(self._ingest.session.info())] if is_due else []
