"""What a session of this process takes from a numbered camera and answers, and when."""

import asyncio
import time
from collections.abc import Mapping, Sequence

from clients.cli.bench.numbered_camera import read_number
from mapcast_client.v1 import ingest_pb2
from mapcast_client.v1.ingest_pb2 import FrameResult
from stream.listener import Received
from stream.sender import Sender
from stream.session import Session


class Tap:
    """Listens at a session: instants are milliseconds of `time.time`, by the picture's number."""

    def __init__(self, session: Session) -> None:
        self.decoded_ms: dict[int, float] = {}
        """When the session was given the decoded picture."""
        self.posed_ms: dict[int, float] = {}
        """When its pose was known."""
        self.captured_ms: dict[int, float] = {}
        """When it was captured, as the stream tells."""
        self.tracked = asyncio.Event()
        """Set by the first pose."""
        self._numbers: dict[int, int] = {}
        self._submit, self._answered = session.submit, session.answered
        for name, listening in (("submit", self._note_frame), ("answered", self._note_result)):
            setattr(session, name, listening)

    async def _note_frame(self, sender: Sender, frame: ingest_pb2.Frame) -> None:
        now_ms = time.time_ns() / 1e6
        number = read_number(frame.color)
        if number is not None:
            self._numbers[frame.index] = number
            self.decoded_ms.setdefault(number, now_ms)
            self.captured_ms[number] = frame.capture_ns / 1e6
        await self._submit(sender, frame)

    def _note_result(self, received: Received, result: FrameResult) -> None:
        number = self._numbers.pop(result.index, None)
        if number is not None and result.HasField("world_from_camera"):
            self.posed_ms.setdefault(number, time.time_ns() / 1e6)
            self.tracked.set()
        self._answered(received, result)

    def clear(self) -> None:
        """Begin anew, after what was only to warm up."""
        for instants in (self.decoded_ms, self.posed_ms, self.captured_ms):
            instants.clear()


def delays_ms(instants_ms: Mapping[int, float], shutters_ms: Sequence[float]) -> list[float]:
    """From the shutter to some later instant of each picture whose shutter is known, ascending."""
    known = range(len(shutters_ms))
    return sorted(at_ms - shutters_ms[at] for at, at_ms in instants_ms.items() if at in known)
