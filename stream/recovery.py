"""Another worker in the place of one that died: whether, and without which frame."""

import asyncio
import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from gpu.backend import BackendError
from stream.errors import WorkerDied
from stream.listener import Received, Successor
from stream.session_record import SessionRecord
from stream.worker_pb2 import Open
from stream.worker_process import WorkerPool, WorkerProcess

logger = logging.getLogger(__name__)

DEATHS = 3
"""So many within WINDOW_S without a frame answered in between: another worker would die, too."""
WINDOW_S = 60.0
STRIKES = 2
"""A frame that so many workers in a row died of is spared the next one."""
STRIKES_IF_KILLED = 3
"""Where it was a signal 9, which comes from outside: an operator's, or for memory."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What follows from a death."""

    goes_on: bool
    skipped_ns: int | None = None
    """The capture_ns of the frame that is to blame."""


class Deaths:
    """Tells workers that were killed from those that a frame kills, and from those that just die.

    After a death the frames that were in the worker are tried one by one: what is alone in the
    next one that dies was its death.
    """

    def __init__(self) -> None:
        self._instants_s: list[float] = []
        self._strikes: dict[int, int] = {}
        self._answered = 0

    def note(
        self,
        now_s: float,
        in_flight: Sequence[int],
        answered: int,
        killed: bool,
        in_vain: bool = False,
    ) -> Verdict:
        """Take one more death: with which frames in the worker, after how many were answered.

        `killed`: by signal 9. `in_vain`: before it had brought the map back, which may take so long
        that such deaths lie far apart.
        """
        if answered != self._answered:
            self._answered = answered
            self._instants_s.clear()
        self._strikes = {frame_ns: self._strikes.get(frame_ns, 0) + 1 for frame_ns in in_flight}
        strikes = STRIKES_IF_KILLED if killed else STRIKES
        if len(in_flight) == 1 and self._strikes[in_flight[0]] >= strikes:
            self._instants_s.clear()
            return Verdict(True, in_flight[0])
        if not in_vain:
            self._instants_s = [then_s for then_s in self._instants_s if now_s - then_s < WINDOW_S]
        self._instants_s.append(now_s)
        return Verdict(len(self._instants_s) < DEATHS)


class NoRecovery:
    """Of a session that is not recorded: it ends with its worker."""

    def note(self, **changes: Any) -> None:
        """Do nothing."""

    def end_turn(self) -> None:
        """Do nothing."""


class Recovery:
    """Opens successors of one session's worker."""

    def __init__(
        self, pool: WorkerPool, opening: Open, record: SessionRecord, turn: asyncio.Semaphore
    ) -> None:
        """`opening` opens the session's first worker; `turn`: so many are restored at a time."""
        self.record = record
        self._pool = pool
        self._opening = opening
        self._turn = turn
        self._has_turn = False
        self._deaths = Deaths()

    def note(self, **changes: Any) -> None:
        """Change the record, and write it where a server to come finds it."""
        self.record = replace(self.record, **changes)
        try:
            self.record.write(Path(self._opening.recording))
        except OSError as error:
            logger.error("session %s: %s", self.record.session, error)

    async def successor(
        self, reason: str, in_flight: list[Received], answered: int
    ) -> Successor | None:
        """A worker that brings back the map and goes on with it.

        `answered`: how many frames were, until now. None if it would die like those before.
        Raises WorkerDied if none can be opened, InputError if it refuses what the first one took.
        """
        in_vain = self._has_turn
        self.end_turn()
        by_time = {received.frame.capture_ns: received for received in in_flight}
        killed = "signal 9" in reason
        verdict = self._deaths.note(time.monotonic(), list(by_time), answered, killed, in_vain)
        if not verdict.goes_on:
            logger.error("its workers die one after the other; this was the last")
            return None
        opening = Open()
        opening.CopyFrom(self._opening)
        opening.restore = True
        opening.epoch, opening.map_epoch = self.record.epoch, self.record.map_epoch
        await self._turn.acquire()
        self._has_turn = True
        try:
            worker = await self._open(opening)
        except (WorkerDied, BackendError):  # the spare one went the same way
            worker = await self._open(opening)
        if verdict.skipped_ns is None:
            return Successor(worker)
        why = f"it is skipped, because workers died of it: {reason}"
        return Successor(worker, by_time[verdict.skipped_ns], why)

    def end_turn(self) -> None:
        """Let other sessions' maps be brought back: this one is, or will not be."""
        if self._has_turn:
            self._has_turn = False
            self._turn.release()

    async def _open(self, opening: Open) -> WorkerProcess:
        worker = await self._pool.take()
        try:
            await worker.open(opening)
        except BaseException:
            await worker.kill()
            raise
        self._pool.warm()
        return worker
