"""One sender of a session: what it is yet to be told."""

import asyncio

from mapcast_client.v1 import ingest_pb2

OUTBOX_MESSAGES = 256


class Sender:
    """A bounded outbox; while it is half full, its sender's frames are not read."""

    def __init__(self) -> None:
        self._outbox: asyncio.Queue[ingest_pb2.ServerMessage] = asyncio.Queue(OUTBOX_MESSAGES)
        self._room = asyncio.Event()
        self._room.set()

    def tell(self, message: ingest_pb2.ServerMessage) -> None:
        """Queue a message. Fits, as long as `room` was awaited before each frame was taken."""
        self._outbox.put_nowait(message)
        if self._outbox.qsize() >= OUTBOX_MESSAGES // 2:
            self._room.clear()

    async def room(self) -> None:
        """Wait until the sender has read enough of its results to be given more."""
        await self._room.wait()

    async def next_message(self) -> ingest_pb2.ServerMessage:
        """Wait for the oldest message that was not sent yet."""
        message = await self._outbox.get()
        if self._outbox.qsize() < OUTBOX_MESSAGES // 2:
            self._room.set()
        return message
