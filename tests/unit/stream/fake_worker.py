"""A worker that is no process: it keeps what it is sent, and says what a test has it say."""

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

from stream.errors import WorkerDied
from stream.worker_pb2 import FromWorker, ToWorker

TIMEOUT_S = 10.0


async def until(condition: Callable[[], bool]) -> None:
    """Let the event loop turn until something is so."""
    async with asyncio.timeout(TIMEOUT_S):
        while not condition():
            await asyncio.sleep(0.001)


class FakeWorker:
    """Has the interface of `WorkerProcess` that a link needs."""

    credits = 4
    pid = 0

    def __init__(self, is_restoring: bool = False) -> None:
        self.is_restoring = is_restoring
        self.sent: list[ToWorker] = []
        self._said: asyncio.Queue[FromWorker | None] = asyncio.Queue()

    async def send(self, message: ToWorker) -> None:
        self.sent.append(message)

    @property
    def heard(self) -> list[int | str]:
        """capture_ns of the frames, and the names of controls, in their order."""
        return [
            message.frame.capture_ns
            if message.HasField("frame")
            else message.control.Action.Name(message.control.action).removeprefix("ACTION_")
            for message in self.sent
        ]

    def say(self, **kind: Any) -> None:
        self._said.put_nowait(FromWorker(**kind))

    def die(self) -> None:
        self._said.put_nowait(None)

    async def messages(self) -> AsyncIterator[FromWorker]:
        while (message := await self._said.get()) is not None:
            yield message
        raise WorkerDied("worker was killed by signal 9")

    async def kill(self) -> None:
        pass

    async def close(self) -> None:
        pass
