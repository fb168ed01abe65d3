"""One sender of a session: what it is yet to be told."""

import asyncio

from mapcast_client.corrections import GatheredCorrections
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
        self._is_correcting = False
        """Whether corrections wait in the outbox; what is corrected meanwhile gathers outside."""
        self._gathered = GatheredCorrections()

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
        self._put(ingest_pb2.ServerMessage(result=result))
        self._end_if_due()

    def correct(self, corrections: ingest_pb2.Corrections) -> None:
        """Tell corrections: one message of them waits at a time, later ones become the next.

        However slowly they are read, they are as many as keyframes and frames at most, and come
        after the results that they correct.
        """
        self._gathered.add(corrections)
        if not self._is_correcting:
            self._put_gathered()

    def tell(self, message: ingest_pb2.ServerMessage) -> None:
        """Queue a message, after all corrections so far."""
        self._put_gathered()
        self._put(message)

    def _put(self, message: ingest_pb2.ServerMessage) -> None:
        self._outbox.put_nowait(message)
        if self._outbox.qsize() >= OUTBOX_MESSAGES // 2:
            self._room.clear()

    def _put_gathered(self) -> None:
        if (corrections := self._gathered.take()) is not None:
            self._is_correcting = True
            self._put(ingest_pb2.ServerMessage(corrections=corrections))

    def close(self) -> None:
        """No more frames come: the messages end once every owed result is told."""
        self._is_closed = True
        self._end_if_due()

    def _end_if_due(self) -> None:
        if self._is_closed and self._owed == 0:
            self._put_gathered()
            self._outbox.put_nowait(None)

    async def next_message(self) -> ingest_pb2.ServerMessage | None:
        """Wait for the oldest message that was not sent yet; None: there will be no more."""
        message = await self._outbox.get()
        if message is not None and message.HasField("corrections"):
            self._is_correcting = False
            self._put_gathered()
        if self._outbox.qsize() < OUTBOX_MESSAGES // 2:
            self._room.set()
        return message
