"""What goes on between a session and its worker: frames by credit, answers, the end."""

import asyncio
import itertools
import logging
import time
from collections import deque
from collections.abc import Awaitable, Callable, Iterable
from contextlib import suppress
from pathlib import Path

from mapcast_client.errors import InputError, MapcastError
from mapcast_client.v1 import ingest_pb2
from replay.recording import RESET
from stream.errors import ServerError, WorkerDied
from stream.listener import Listener, Received, Successor
from stream.worker_pb2 import (
    Answer,
    FromWorker,
    Query,
    Restored,
    ToWorker,
)
from stream.worker_process import WorkerProcess

logger = logging.getLogger(__name__)

QUERY_TIMEOUT_S = 120.0
SERVER_RESTARTED = "its server was started again"
"""Why a session has no worker yet."""
WAS_RESET = "the session was reset"
"""Why frames that came before have no result."""
FINISH = ToWorker(control=ingest_pb2.Control(action=ingest_pb2.Control.ACTION_FINISH))


class WorkerLink:
    """Hands frames to a worker by its credits and passes on what it says, until it ends.

    Whatever goes wrong ends the worker. Its successor, if `Listener.successor` knows one, is given
    the frames again that were not answered, one after the other; else `Listener.died` is told once.
    """

    def __init__(
        self,
        process: WorkerProcess | None,
        queue_frames: int,
        stall_timeout_s: float,
        listener: Listener,
        again: Iterable[Received] = (),
    ) -> None:
        """`again`: frames that were taken before there was a link.

        Without a process, it begins with a successor.
        """
        self._process = process
        self._credits: asyncio.Semaphore
        self._withheld_credits = 0
        self._again = deque(again)
        """What came before those that wait."""
        self._waiting: asyncio.Queue[Received] = asyncio.Queue(queue_frames)
        self._in_flight: deque[Received] = deque()
        self._unanswered_frames = len(self._again)
        self._all_answered = asyncio.Event()
        self._is_usable = asyncio.Event()
        """Whether there is a worker, and the map of before in it."""
        self._stall_timeout_s = stall_timeout_s
        self._listener = listener
        self._queries: dict[int, asyncio.Future[Answer]] = {}
        self._query_ids = itertools.count(1)
        self._finishing: asyncio.Task[None] | None = None
        self._is_resetting = False
        """Whether a worker that dies now may not have started over: no later frame is answered."""
        self._told_to_reset: WorkerProcess | None = None
        self._outdated_frames = 0
        """In flight since before the reset."""
        self._is_finish_asked = False
        self._finished: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._heard_s = time.monotonic()
        self._failure: str | None = None
        if not self._again:
            self._all_answered.set()
        self._running = asyncio.create_task(self._run())

    async def put(self, received: Received) -> None:
        """Take a frame, once there is room for it. Raises WorkerDied."""
        await self._waiting.put(received)
        self._note_taken()
        if self._failure is not None:  # it died while we waited
            self._listener.died(self._failure, self._unanswered())

    def put_newest(self, received: Received) -> Received | None:
        """Take a frame at once; returns the oldest one that waited, if it had to make room."""
        oldest = None
        if self._waiting.full():
            oldest = self._waiting.get_nowait()
            self._note_answered()
        self._waiting.put_nowait(received)
        self._note_taken()
        return oldest

    def _note_taken(self) -> None:
        self._unanswered_frames += 1
        self._all_answered.clear()

    def _note_answered(self) -> None:
        self._unanswered_frames -= 1
        if self._unanswered_frames == 0:
            self._all_answered.set()

    async def put_imu(self, batch: ingest_pb2.ImuBatch) -> None:
        """Hand over IMU samples, ahead of the frames that wait. Raises WorkerDied."""
        await self._send(ToWorker(imu=batch))

    def start_over(self) -> list[Received]:
        """What is taken from now on is of an empty map; returns the frames that waited.

        The worker is told by `reset`, or before the next frame.
        """
        self._is_resetting = True
        self._told_to_reset = None
        self._outdated_frames = len(self._in_flight)
        dropped = list(self._again)
        self._again.clear()
        while not self._waiting.empty():
            dropped.append(self._waiting.get_nowait())
        for _ in dropped:
            self._note_answered()
        return dropped

    async def reset(self) -> None:
        """Tell the worker to start over, unless it has been told. Raises WorkerDied."""
        await self._hand_over(self._tell_reset)

    async def finish(self) -> None:
        """Wait until all frames taken are answered and the map is published. Raises WorkerDied."""
        if self._finishing is None:
            self._finishing = asyncio.create_task(self._finish())
        await asyncio.shield(self._finishing)

    async def _finish(self) -> None:
        await self._all_answered.wait()
        await self._usable()
        self._expect_answer()
        self._is_finish_asked = True
        await self._send(FINISH)
        await asyncio.shield(self._finished)

    async def query(self, query: Query) -> list[bytes]:
        """Ask the worker. Raises InputError for what it cannot do, WorkerDied, ServerError."""
        query.id = next(self._query_ids)
        answered: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        try:
            async with asyncio.timeout(QUERY_TIMEOUT_S):
                process = await self._usable()
                self._expect_answer()
                self._queries[query.id] = answered
                await process.send(ToWorker(query=query))
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
        if self._process is not None:
            await self._process.close()
        self._die(reason)

    # --- the conversation ---

    async def _run(self) -> None:
        reason = SERVER_RESTARTED
        if self._process is not None:
            self._begin(self._process)
            reason = await self._converse(self._process)
        while (successor := await self._successor(reason)) is not None:
            process = self._process = successor.process
            if successor.skipped is not None:
                self._skip(successor.skipped, successor.why_skipped)
            self._begin(process)
            reason = await self._converse(process)
        self._die(reason)

    def _begin(self, process: WorkerProcess) -> None:
        """Get ready for a worker that was opened."""
        self._heard_s = time.monotonic()
        credits = process.credits
        # What may have killed the one before comes alone, so that it can be told from the rest.
        self._withheld_credits = credits - 1 if self._again else 0
        self._credits = asyncio.Semaphore(credits - self._withheld_credits)
        if not process.is_restoring:
            self._is_usable.set()

    async def _successor(self, reason: str) -> Successor | None:
        self._is_usable.clear()
        self._fail_queries(reason)
        in_flight = list(self._in_flight)
        self._in_flight.clear()
        outdated, self._outdated_frames = self._outdated_frames, 0
        self._again.extendleft(reversed(in_flight[outdated:]))
        for received in in_flight[:outdated]:
            self._note_answered()
            self._listener.lost(received, WAS_RESET)
        try:
            return await self._listener.successor(reason, in_flight)
        except (MapcastError, OSError) as error:  # OSError: no process, no socket to be had
            logger.error("no worker takes the place of one that died: %s", error)
            return None

    def _skip(self, received: Received, reason: str) -> None:
        if received in self._again:  # else a reset came in between
            self._again.remove(received)
            self._note_answered()
            self._listener.lost(received, reason)

    async def _converse(self, process: WorkerProcess) -> str:
        """Talk to the worker until it ends, or has to; returns why."""
        try:
            async with asyncio.TaskGroup() as tasks:
                for work in (self._pump(process), self._listen(process), self._watch()):
                    tasks.create_task(work)
        except* MapcastError as group:
            reason = str(group.exceptions[0])
        except* Exception as group:  # a bug; it must cost this session only
            logger.exception("the conversation with worker %d broke", process.pid)
            reason = f"internal error: {group.exceptions[0]!r}"
        await process.kill()
        return reason

    async def _pump(self, process: WorkerProcess) -> None:
        await self._is_usable.wait()
        await self._tell_reset(process)
        if self._is_finish_asked and not self._finished.done():
            await process.send(FINISH)
        while True:
            await self._credits.acquire()
            received = self._again.popleft() if self._again else await self._waiting.get()
            self._expect_answer()
            self._in_flight.append(received)
            await self._tell(process, ToWorker(frame=received.frame))

    async def _listen(self, process: WorkerProcess) -> None:
        async for message in process.messages():
            self._heard_s = time.monotonic()
            if message.HasField("restored"):
                process.is_restoring = False
            self._pass_on(message)

    def _pass_on(self, message: FromWorker) -> None:
        kind = message.WhichOneof("message")
        if kind == "result":
            received = self._in_flight.popleft()
            self._note_reset()
            self._credits.release()
            self._release_withheld()
            self._note_answered()
            self._listener.answered(received, message.result)
        elif kind == "mesh":
            self._listener.meshed(message.mesh)
        elif kind == "map_frame":
            self._listener.described(message.map_frame)
        elif kind == "corrections":
            self._listener.corrected(message.corrections)
        elif kind == "fused_view":
            self._listener.viewed(message.fused_view)
        elif kind == "refined":
            self._listener.refined(message.refined)
        elif kind == "answer":
            answered = self._queries.get(message.answer.id)
            if answered is not None and not answered.done():
                answered.set_result(message.answer)
        elif kind == "finished" and not self._finished.done():
            self._is_resetting = False
            self._finished.set_result(None)
        elif kind == "restored":
            self._resume(message.restored)

    def _note_reset(self) -> None:
        """A frame was answered: the worker has started over if that came after the reset."""
        if self._outdated_frames:
            self._outdated_frames -= 1
        else:
            self._is_resetting = False

    def _release_withheld(self) -> None:
        if not self._again and not self._in_flight:
            for _ in range(self._withheld_credits):
                self._credits.release()
            self._withheld_credits = 0

    def _resume(self, restored: Restored) -> None:
        """Go on with the frames that are not in the map that was brought back."""
        # While a reset is due, that map is about to go, and what comes again is of the next one.
        for received in () if self._is_resetting else tuple(self._again):
            if received.frame.capture_ns > restored.answered_through:
                break
            self._skip(received, "it is in the map; its answer was lost with the worker")
        self._release_withheld()
        self._is_usable.set()
        self._listener.restored()

    async def _watch(self) -> None:
        while True:
            await asyncio.sleep(1)
            silent_s = time.monotonic() - self._heard_s
            if self._owes_answer and silent_s > self._stall_timeout_s:
                raise WorkerDied(f"the worker answered nothing for {silent_s:.0f} s and was ended")

    @property
    def _owes_answer(self) -> bool:
        is_finishing = self._is_finish_asked and not self._finished.done()
        is_restoring = self._process is not None and self._process.is_restoring
        return bool(self._in_flight or self._queries) or is_finishing or is_restoring

    def _expect_answer(self) -> None:
        if not self._owes_answer:
            self._heard_s = time.monotonic()

    async def _usable(self) -> WorkerProcess:
        """Wait for a worker with the map in it. Raises WorkerDied if none will come."""
        if self._failure is None:
            await self._is_usable.wait()
        if self._failure is not None or self._process is None:
            raise WorkerDied(self._failure or "there is no worker")
        return self._process

    async def _tell_reset(self, process: WorkerProcess) -> None:
        if self._is_resetting and self._told_to_reset is not process:
            self._told_to_reset = process
            await process.send(ToWorker(control=RESET))

    async def _tell(self, process: WorkerProcess, message: ToWorker) -> None:
        """Send a message, behind a reset that was before it. Raises WorkerDied."""
        await self._tell_reset(process)
        await process.send(message)

    async def _send(self, message: ToWorker) -> None:
        """Hand a message over, to the successor if the worker dies. Raises WorkerDied."""
        await self._hand_over(lambda process: self._tell(process, message))

    async def _hand_over(self, tell: Callable[[WorkerProcess], Awaitable[None]]) -> None:
        while True:
            process = await self._usable()
            try:
                return await tell(process)
            except WorkerDied:
                if process is self._process:  # else its successor is there already
                    self._is_usable.clear()

    def _fail_queries(self, reason: str) -> None:
        for future in self._queries.values():
            if not future.done():
                future.set_exception(WorkerDied(reason))
                future.exception()  # nobody needs to have been waiting

    def _die(self, reason: str) -> None:
        if self._failure is None:
            self._failure = reason
            self._is_usable.set()  # who waits for it learns that it will not be
            self._fail_queries(reason)
            if not self._finished.done():
                self._finished.set_exception(WorkerDied(reason))
                self._finished.exception()  # nobody needs to have been waiting
            self._listener.died(reason, self._unanswered())

    def _unanswered(self) -> list[Received]:
        unanswered = [*self._in_flight, *self._again]
        self._in_flight.clear()
        self._again.clear()
        while not self._waiting.empty():
            unanswered.append(self._waiting.get_nowait())
        for _ in unanswered:
            self._note_answered()
        return unanswered


def _take_files(files: list[Path]) -> list[bytes]:
    contents = []
    for file in files:
        contents.append(file.read_bytes())
        file.unlink()
    return contents
