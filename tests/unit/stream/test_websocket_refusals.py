"""Refusals to those who have left meanwhile."""

from fastapi import WebSocket
from starlette.types import Message, Scope

from stream.config import ServerConfig
from stream.errors import SessionNotFound
from stream.registry import Registry
from stream.websocket_stream import stream_router
from stream.websocket_subscribe import refuse

SCOPE: Scope = {"type": "websocket", "path": "/ws/stream", "headers": [], "query_string": b""}


class Leaver:
    """A client that says some things and is gone when it is answered."""

    def __init__(self, *says: Message) -> None:
        self._says = [{"type": "websocket.connect"}, *says]
        self.answered = 0

    async def receive(self) -> Message:
        return self._says.pop(0)

    async def send(self, message: Message) -> None:
        if message["type"] != "websocket.accept":
            self.answered += 1
            raise OSError("gone")


async def test_a_refused_subscriber_may_have_left() -> None:
    leaver = Leaver()
    socket = WebSocket(SCOPE, leaver.receive, leaver.send)
    await socket.accept()
    await refuse(socket, SessionNotFound("there is none"))
    assert leaver.answered == 1


async def test_a_refused_sender_may_have_left() -> None:
    leaver = Leaver({"type": "websocket.receive", "text": "nonsense"})
    router = stream_router(Registry(ServerConfig()))
    await router(SCOPE, leaver.receive, leaver.send)
    assert leaver.answered == 1
