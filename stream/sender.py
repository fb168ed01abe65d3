"""One sender of a session: what it is yet to be told."""

import asyncio

from mapcast_client.v1 import ingest_pb2

OUTBOX_MESSAGES = 256


class Sender:
    """A bounded outbox; while it is half full, its sender's messages are not read."""

    def __init__(self) -> None:
        self._outbox: asyncio.Queue[ingest_pb2.ServerMessage | None] = asyncio.Queue()
        self._room = asyncio.Event()
        self._room.set()
        self._owed = 0
        self._is_closed = False

    async def room(self) -> None:
        """Wait until the sender has read enough of its answers to be given more.

        Awaited before each of its messages is handled, it bounds the outbox.
        """
        await self._room.wait()

    def owe(self) -> None:
        """Note a frame that was taken: its result is owed."""
        self._owed += 1

    def answer(self, result: ingest_pb2.FrameResult) -> None:
        """Tell a frame's result."""
        self._owed -= 1
        self.tell(ingest_pb2.ServerMessage(result=result))
        self._end_if_due()

    def tell(self, message: ingest_pb2.ServerMessage) -> None:
        """Queue a message."""
        self._outbox.put_nowait(message)
        if self._outbox.qsize() >= OUTBOX_MESSAGES // 2:
            self._room.clear()

    def close(self) -> None:
        """No more frames come: the messages end once every owed result is told."""
        self._is_closed = True
        self._end_if_due()

    def _end_if_due(self) -> None:
        if self._is_closed and self._owed == 0:
            self._outbox.put_nowait(None)

    async def next_message(self) -> ingest_pb2.ServerMessage | None:
        """Wait for the oldest message that was not sent yet; None: there will be no more."""
        message = await self._outbox.get()
        if self._outbox.qsize() < OUTBOX_MESSAGES // 2:
            self._room.set()
        return message
