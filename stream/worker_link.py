"""What goes on between a session and its worker: frames by credit, answers, the end."""

import asyncio
import itertools
import logging
import time
from collections import deque
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from mapcast_client.errors import InputError, MapcastError
from mapcast_client.v1 import ingest_pb2
from stream.errors import ServerError, WorkerDied
from stream.sender import Sender
from stream.worker_pb2 import Answer, FromWorker, MapFrame, MeshUpdate, Query, ToWorker
from stream.worker_process import WorkerProcess

logger = logging.getLogger(__name__)

QUERY_TIMEOUT_S = 120.0


@dataclass(slots=True)
class Received:
    """A frame that was taken from a sender and not answered yet."""

    frame: ingest_pb2.Frame
    sender: Sender
    received_s: float


class Listener(Protocol):
    """Who is told what the worker says. Called on the event loop; none of these may block it."""

    def answered(self, received: Received, result: ingest_pb2.FrameResult) -> None:
        """A frame's result."""

    def meshed(self, update: MeshUpdate) -> None:
        """Changed blocks."""

    def described(self, map_frame: MapFrame) -> None:
        """What the map's coordinates mean, from now on."""

    def became_keyframes(self, capture_ns: list[int]) -> None:
        """Frames answered before are keyframes."""

    def died(self, reason: str, unanswered: list[Received]) -> None:
        """The worker is gone; these frames will have no result."""


class WorkerLink:
    """Hands frames to a worker by its credits and passes on what it says, until it ends.

    Whatever goes wrong ends the worker and is told once, through `Listener.died`.
    """

    def __init__(
        self,
        process: WorkerProcess,
        credits: int,
        queue_frames: int,
        stall_timeout_s: float,
        listener: Listener,
    ) -> None:
        self._process = process
        self._credits = asyncio.Semaphore(credits)
        self._waiting: asyncio.Queue[Received] = asyncio.Queue(queue_frames)
        self._in_flight: deque[Received] = deque()
        self._stall_timeout_s = stall_timeout_s
        self._listener = listener
        self._queries: dict[int, asyncio.Future[Answer]] = {}
        self._query_ids = itertools.count(1)
        self._finishing: asyncio.Task[None] | None = None
        self._finished: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._heard_s = time.monotonic()
        self._failure: str | None = None
        self._running = asyncio.create_task(self._run())

    async def put(self, received: Received) -> None:
        """Take a frame, once there is room for it. Raises WorkerDied."""
        await self._waiting.put(received)
        if self._failure is not None:  # it died while we waited
            self._listener.died(self._failure, self._unanswered())

    def put_newest(self, received: Received) -> Received | None:
        """Take a frame at once; returns the oldest one that waited, if it had to make room."""
        oldest = None
        if self._waiting.full():
            oldest = self._waiting.get_nowait()
            self._waiting.task_done()
        self._waiting.put_nowait(received)
        return oldest

    async def put_imu(self, batch: ingest_pb2.ImuBatch) -> None:
        """Hand over IMU samples, ahead of the frames that wait. Raises WorkerDied."""
        self._raise_if_dead()
        await self._process.send(ToWorker(imu=batch))

    async def reset(self) -> list[Received]:
        """Have the worker start over; returns the frames that waited. Raises WorkerDied."""
        dropped = []
        while not self._waiting.empty():
            dropped.append(self._waiting.get_nowait())
            self._waiting.task_done()
        action = ingest_pb2.Control(action=ingest_pb2.Control.ACTION_RESET)
        await self._process.send(ToWorker(control=action))
        return dropped

    async def finish(self) -> None:
        """Wait until all frames taken are answered and the map is published. Raises WorkerDied."""
        if self._finishing is None:
            self._finishing = asyncio.create_task(self._finish())
        await asyncio.shield(self._finishing)

    async def _finish(self) -> None:
        await self._waiting.join()
        self._raise_if_dead()
        action = ingest_pb2.Control(action=ingest_pb2.Control.ACTION_FINISH)
        self._expect_answer()
        await self._process.send(ToWorker(control=action))
        await asyncio.shield(self._finished)

    async def query(self, query: Query) -> list[bytes]:
        """Ask the worker. Raises InputError for what it cannot do, WorkerDied, ServerError."""
        self._raise_if_dead()
        query.id = next(self._query_ids)
        answered: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self._expect_answer()
        self._queries[query.id] = answered
        try:
            await self._process.send(ToWorker(query=query))
            async with asyncio.timeout(QUERY_TIMEOUT_S):
                answer = await answered
        except TimeoutError:
            raise ServerError(f"the worker did not answer in {QUERY_TIMEOUT_S:.0f} s") from None
        finally:
            self._queries.pop(query.id, None)
        if answer.error:
            raise InputError(answer.error)
        if answer.files:
            return await asyncio.to_thread(_take_files, [Path(file) for file in answer.files])
        return list(answer.parts)

    async def close(self, reason: str) -> None:
        """End the worker; frames, queries and finishes that wait are told `reason`."""
        self._running.cancel()
        with suppress(asyncio.CancelledError):
            await self._running
        await self._process.close()
        self._die(reason)

    # --- the conversation ---

    async def _run(self) -> None:
        try:
            async with asyncio.TaskGroup() as tasks:
                for work in (self._pump(), self._listen(), self._watch()):
                    tasks.create_task(work)
        except* MapcastError as group:
            reason = str(group.exceptions[0])
        except* Exception as group:  # a bug; it must cost this session only
            logger.exception("the conversation with worker %d broke", self._process.pid)
            reason = f"internal error: {group.exceptions[0]!r}"
        await self._process.kill()
        self._die(reason)

    async def _pump(self) -> None:
        while True:
            await self._credits.acquire()
            received = await self._waiting.get()
            message = ToWorker(frame=received.frame)
            received.frame = _without_images(received.frame)
            self._expect_answer()
            self._in_flight.append(received)
            await self._process.send(message)

    async def _listen(self) -> None:
        async for message in self._process.messages():
            self._heard_s = time.monotonic()
            self._pass_on(message)

    def _pass_on(self, message: FromWorker) -> None:
        kind = message.WhichOneof("message")
        if kind == "result":
            received = self._in_flight.popleft()
            self._credits.release()
            self._waiting.task_done()
            self._listener.answered(received, message.result)
        elif kind == "mesh":
            self._listener.meshed(message.mesh)
        elif kind == "map_frame":
            self._listener.described(message.map_frame)
        elif kind == "keyframes":
            self._listener.became_keyframes(list(message.keyframes.capture_ns))
        elif kind == "answer":
            answered = self._queries.get(message.answer.id)
            if answered is not None and not answered.done():
                answered.set_result(message.answer)
        elif kind == "finished":
            self._finished.set_result(None)

    async def _watch(self) -> None:
        while True:
            await asyncio.sleep(1)
            silent_s = time.monotonic() - self._heard_s
            if self._owes_answer and silent_s > self._stall_timeout_s:
                raise WorkerDied(f"the worker answered nothing for {silent_s:.0f} s and was ended")

    @property
    def _owes_answer(self) -> bool:
        is_finishing = self._finishing is not None and not self._finished.done()
        return bool(self._in_flight or self._queries) or is_finishing

    def _expect_answer(self) -> None:
        if not self._owes_answer:
            self._heard_s = time.monotonic()

    def _raise_if_dead(self) -> None:
        if self._failure is not None:
            raise WorkerDied(self._failure)

    def _die(self, reason: str) -> None:
        if self._failure is None:
            self._failure = reason
            waiting: list[asyncio.Future[Any]] = [*self._queries.values(), self._finished]
            for future in waiting:
                if not future.done():
                    future.set_exception(WorkerDied(reason))
                    future.exception()  # nobody needs to have been waiting
            self._listener.died(reason, self._unanswered())

    def _unanswered(self) -> list[Received]:
        unanswered = [*self._in_flight]
        self._in_flight.clear()
        while not self._waiting.empty():
            unanswered.append(self._waiting.get_nowait())
        for _ in unanswered:
            self._waiting.task_done()
        return unanswered


def _without_images(frame: ingest_pb2.Frame) -> ingest_pb2.Frame:
    return ingest_pb2.Frame(index=frame.index, capture_ns=frame.capture_ns)


def _take_files(files: list[Path]) -> list[bytes]:
    contents = []
    for file in files:
        contents.append(file.read_bytes())
        file.unlink()
    return contents
