"""Records one session, beside the event loop: what comes in, and what the worker says of it."""

import asyncio
import logging
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from mapcast_client.v1 import ingest_pb2
from replay.recording import RESET, Message
from replay.recording_writer import RecordingWriter
from replay.retention import Retention
from slam.frame import time_goes_back
from slam.recorded_images import recorded_frame
from stream.metrics import Metrics

logger = logging.getLogger(__name__)

WAITING_FRAMES = 4
"""Frames that wait to be written at most: an eighth of a second."""
WAITING_BYTES = 64 << 20
"""Of everything that waits to be written."""
STALL_TIMEOUT_S = 10.0
"""A disk that takes nothing for so long is given up."""


def _nothing() -> None:
    """What follows a message that nobody waits for."""


@dataclass(slots=True)
class _Pending:
    """A message that is not written yet."""

    written: asyncio.Future[None]
    then: Callable[[], None]
    size_bytes: int
    is_frame: bool


class NoRecorder:
    """Records nothing, of a session that is not to be recorded."""

    failure = ""
    recorded_through = 0

    def why_not(self, frame: ingest_pb2.Frame) -> str:
        """Nothing is refused."""
        return ""

    async def record(self, message: Message, then: Callable[[], None] = _nothing) -> None:
        """Call `then`."""
        then()

    def offer(self, frame: ingest_pb2.Frame, then: Callable[[], None]) -> bool:
        """Call `then`."""
        then()
        return True

    def note(self, message: Message) -> None:
        """Do nothing."""

    async def drained(self) -> None:
        """Do nothing."""

    async def close(self) -> None:
        """Do nothing."""


class Recorder:
    """Writes on a thread of its own, in the order of the calls, which are the event loop's.

    When the disk is full, gone or stands still, recording ends and says why; whatever waited for
    it goes on, and so does the session.
    """

    def __init__(
        self,
        writer: RecordingWriter,
        retention: Retention,
        metrics: Metrics,
        newest_ns: int | None = None,
    ) -> None:
        """`newest_ns`: of the newest frame that an earlier recorder of the session wrote."""
        self.failure = ""
        """Why recording ended; empty: it has not."""
        self.recorded_through = newest_ns or 0
        """capture_ns of the newest frame that is recorded; 0: none is."""
        self._writer = writer
        self._retention = retention
        self._metrics = metrics
        self._loop = asyncio.get_running_loop()
        self._thread = ThreadPoolExecutor(1, "record")
        self._pending: deque[_Pending] = deque()
        self._moved_s = 0.0
        """When the oldest of them became the oldest."""
        self._is_closed = False
        self._newest_ns = newest_ns
        """Of the frames since the last reset."""
        self._is_broken = False
        """Whether something could not be written. Owned by the thread."""

    def why_not(self, frame: ingest_pb2.Frame) -> str:
        """Why a frame will not be recorded, in words; empty: it will be, or recording ended.

        The tracker refuses frames that go back in time, too, so that an instant means one frame to
        whoever looks it up.
        """
        if self.failure or self._is_closed or self._newest_ns is None:
            return ""
        if frame.capture_ns > self._newest_ns:
            return ""
        return time_goes_back(frame.index, frame.capture_ns, self._newest_ns)

    async def record(self, message: Message, then: Callable[[], None] = _nothing) -> None:
        """Write a message, call `then`, and return: too if recording ends before that."""
        await self._until(self._submit(message, then))

    def offer(self, frame: ingest_pb2.Frame, then: Callable[[], None]) -> bool:
        """Write a frame if there is room, then call `then`, too if recording ends before that.

        False: the disk is too slow for another frame.
        """
        if sum(pending.is_frame for pending in self._pending) >= WAITING_FRAMES:
            self._end_if_stalled()
        if sum(pending.is_frame for pending in self._pending) >= WAITING_FRAMES:
            return False
        self._submit(frame, then)
        return True

    def note(self, message: Message) -> None:
        """Write a message that nobody waits for."""
        self._end_if_stalled()
        if sum(pending.size_bytes for pending in self._pending) > WAITING_BYTES:
            self._end(f"the disk is too slow: {WAITING_BYTES >> 20} MiB wait for it")
        self._submit(message)

    async def drained(self) -> None:
        """Wait until all so far is written, and what was to follow has followed."""
        if self._pending:
            await self._until(self._pending[-1].written)

    async def close(self) -> None:
        """Write what waits, and end the recording with an index; nothing is recorded after."""
        await self.drained()
        if not self._is_closed:
            self._is_closed = True
            closing = self._loop.run_in_executor(self._thread, self._close)
            self._thread.shutdown(wait=False)
            await asyncio.wait([closing], timeout=STALL_TIMEOUT_S)

    async def _until(self, written: asyncio.Future[None]) -> None:
        while not written.done():
            await asyncio.wait([written], timeout=STALL_TIMEOUT_S)
            self._end_if_stalled()

    def _submit(
        self, message: Message, then: Callable[[], None] = _nothing
    ) -> asyncio.Future[None]:
        written: asyncio.Future[None] = self._loop.create_future()
        if self.failure or self._is_closed:
            written.set_result(None)
            then()
            return written
        if not self._pending:
            self._moved_s = time.monotonic()
        is_frame = isinstance(message, ingest_pb2.Frame)
        self._pending.append(_Pending(written, then, message.ByteSize(), is_frame))
        self._thread.submit(self._write, message if self._is_in_time(message) else None)
        return written

    def _is_in_time(self, message: Message) -> bool:
        if message == RESET:
            self._newest_ns = None
        if not isinstance(message, ingest_pb2.Frame):
            return True
        if self.why_not(message):
            return False
        self._newest_ns = message.capture_ns
        return True

    def _end_if_stalled(self) -> None:
        if self._pending and time.monotonic() - self._moved_s > STALL_TIMEOUT_S:
            self._end(f"the disk took nothing for {STALL_TIMEOUT_S:.0f} s")

    def _end(self, reason: str) -> None:
        """Record no more; go on with what waits."""
        if not self.failure:
            self.failure = f"recording ended: {reason}"
            logger.error("%s: %s", self._writer.folder, self.failure)
            self._metrics.recording_failures.inc()
            while self._pending:
                self._settle()

    def _settle(self) -> None:
        """The oldest message is written, or never will be: what was to follow follows now."""
        self._moved_s = time.monotonic()
        if self._pending:
            pending = self._pending.popleft()
            if not pending.written.done():  # whoever waited may have gone
                pending.written.set_result(None)
            pending.then()

    # --- on the thread ---

    def _write(self, message: Message | None) -> None:
        """Write a message; None is in the place of a frame that is not to be recorded."""
        if self._is_broken:  # what waits is settled as soon as the event loop has heard of it
            return
        start_s = time.perf_counter()
        try:
            if message is not None and not self.failure:
                self._write_now(message)
        except OSError as error:
            self._break(f"{self._writer.folder}: {error.strerror or error}")
            return
        except Exception as error:  # a bug; what waits for it must not wait for ever
            logger.exception("%s: the recording broke", self._writer.folder)
            self._break(f"internal error: {error!r}")
            return
        self._metrics.stages.labels("record").observe(time.perf_counter() - start_s)
        self._loop.call_soon_threadsafe(self._settle)

    def _break(self, reason: str) -> None:
        self._is_broken = True
        self._loop.call_soon_threadsafe(self._end, reason)

    def _write_now(self, message: Message) -> None:
        segments = self._writer.segments_begun
        if isinstance(message, ingest_pb2.Frame):
            self._metrics.recorded_bytes.inc(self._writer.write(recorded_frame(message)))
            self.recorded_through = message.capture_ns
        else:
            self._metrics.recorded_bytes.inc(self._writer.write(message))
        if self._writer.segments_begun > segments:
            self._retention.apply(time.time())

    def _close(self) -> None:
        try:
            self._writer.close()
        except OSError as error:  # what was recorded stays readable without an index
            logger.warning("%s: %s", self._writer.folder, error)
