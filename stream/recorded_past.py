"""What a session was before its server ended: read from its recording."""

import asyncio
from dataclasses import dataclass
from pathlib import Path

from mapcast_client.errors import InputError
from mapcast_client.v1 import ingest_pb2
from mapcast_client.v1.ingest_pb2 import CalibrationOffer, Corrections, FrameResult
from replay.recording import CONTROL, CORRECTIONS, OFFER, RESET, RESULT
from replay.recording_reader import RecordingReader
from stream.counts import FrameCounts
from stream.hub import Hub
from stream.listener import Received
from stream.published_poses import publish_corrections, publish_pose
from stream.recorded_tail import HAS_POSE
from stream.sender import Sender
from stream.session_record import SessionRecord

UNANSWERED_FRAMES = 64
"""More cannot have waited."""


@dataclass(frozen=True, slots=True)
class RecordedPast:
    """A session's settings and what its sender was told."""

    record: SessionRecord
    request: ingest_pb2.OpenSession
    told: list[FrameResult | Corrections]
    """Of the map that it has now, in order."""
    unanswered: list[ingest_pb2.Frame]
    """Recorded after the last one that was answered."""
    recorded_through: int
    offer: CalibrationOffer | None = None
    """The newest camera that was offered."""

    @classmethod
    def read(cls, folder: Path) -> "RecordedPast":
        """Read a session's folder. Raises InputError if nothing of it can be gone on with."""
        record = SessionRecord.read(folder)
        with RecordingReader(folder) as reader:
            if reader.opening is None:
                raise InputError(f"{folder}: nothing is recorded")
            told: list[FrameResult | Corrections] = []
            results: list[FrameResult] = []
            offer: CalibrationOffer | None = None
            for recorded in reader.messages({RESULT, CORRECTIONS, CONTROL, OFFER}):
                message = recorded.message
                if isinstance(message, CalibrationOffer):
                    offer = message
                if message == RESET:
                    results.clear()
                if isinstance(message, FrameResult):
                    results.append(message)
                if not isinstance(message, FrameResult | Corrections):
                    continue
                if message.epoch >= record.map_epoch:
                    told.append(message)
            instants = reader.capture_ns.tolist()
            return cls(
                record,
                _as_new(reader.opening),
                told,
                _unanswered(reader, instants, results),
                max(instants, default=0),
                offer,
            )

    def received(self, now_s: float) -> list[Received]:
        """The frames that are still to be answered; those who sent them are gone."""
        return [Received(frame, Sender(), now_s) for frame in self.unanswered]

    async def tell(self, hub: Hub, counts: FrameCounts) -> None:
        """Publish again what was told of frames, and count them."""
        counts.frames += len(self.unanswered)
        for at, message in enumerate(self.told):
            if isinstance(message, Corrections):
                publish_corrections(hub, message)
            else:
                counts.recalled(message)
                if message.status in HAS_POSE:
                    publish_pose(hub, message)
            if at % 256 == 0:
                await asyncio.sleep(0)

    @property
    def epoch(self) -> int:
        """The newest that anybody may have heard of."""
        return max([self.record.epoch, *(message.epoch for message in self.told)])


def _as_new(opening: ingest_pb2.OpenSession) -> ingest_pb2.OpenSession:
    request = ingest_pb2.OpenSession()
    request.CopyFrom(opening)
    request.session = ""
    return request


def _unanswered(
    reader: RecordingReader, instants: list[int], results: list[FrameResult]
) -> list[ingest_pb2.Frame]:
    """Of the frames at `instants`, those that came after the last one that was answered.

    `results` are of all maps since the last reset: one that began within it, at another scale or
    when the tracker started over, has nothing to do with the frames before it.
    """
    answered = {result.capture_ns for result in results} & set(instants)
    dropped = FrameResult.STATUS_DROPPED
    done = {result.capture_ns for result in results if result.status != dropped} & answered
    after_ns = max(done, default=-(1 << 63))
    left = [ns for ns in instants if ns > after_ns and ns not in answered]
    frames = [reader.frame(capture_ns) for capture_ns in left[-UNANSWERED_FRAMES:]]
    return [frame for frame in frames if frame is not None]
