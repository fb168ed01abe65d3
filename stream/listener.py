"""Who is told what a worker says, and what became of the frames it was given."""

from dataclasses import dataclass
from typing import Protocol

from mapcast_client.v1 import ingest_pb2
from mapcast_client.v1.ingest_pb2 import FrameResult
from stream.sender import Sender
from stream.worker_pb2 import MapFrame, MeshUpdate, Refined
from stream.worker_process import WorkerProcess


@dataclass(slots=True, eq=False)
class Received:
    """A frame that was taken from a sender and not answered yet."""

    frame: ingest_pb2.Frame
    sender: Sender
    received_s: float

    def unfused(self, status: FrameResult.Status, reason: str, epoch: int) -> FrameResult:
        """Its result when the worker is not asked about it."""
        return FrameResult(
            index=self.frame.index,
            capture_ns=self.frame.capture_ns,
            status=status,
            reason=reason,
            epoch=epoch,
        )


@dataclass(frozen=True, slots=True)
class Successor:
    """The worker that takes the place of one that died."""

    process: WorkerProcess
    skipped: Received | None = None
    """A frame in flight that it is better spared."""
    why_skipped: str = ""


class Listener(Protocol):
    """Who is told what the worker says. Called on the event loop; none of these may block it."""

    def answered(self, received: Received, result: FrameResult) -> None:
        """A frame's result."""

    def meshed(self, update: MeshUpdate) -> None:
        """Changed blocks."""

    def described(self, map_frame: MapFrame) -> None:
        """What the map's coordinates mean, from now on."""

    def corrected(self, corrections: ingest_pb2.Corrections) -> None:
        """Keyframes are new, or moved."""

    def viewed(self, view: ingest_pb2.FusedView) -> None:
        """A view whose depth was estimated is in the map, exactly so."""

    def refined(self, refined: Refined) -> None:
        """What became of a run of refinement."""

    async def successor(self, reason: str, in_flight: list[Received]) -> Successor | None:
        """The worker is gone: another in its place, or None, which ends the conversation.

        `in_flight`: the frames that it was at.
        """

    def restored(self) -> None:
        """The successor has brought back what was there; rows of the whole map came before."""

    def lost(self, received: Received, reason: str) -> None:
        """A frame will have no result, while others go on."""

    def died(self, reason: str, unanswered: list[Received]) -> None:
        """The worker is gone for good; these frames will have no result."""
