"""What a session counts, and what it says of its health."""

from collections import deque
from dataclasses import dataclass, field

from mapcast_client.v1 import ingest_pb2
from mapcast_client.v1.ingest_pb2 import FrameResult

TRACKING_NAMES = {
    value.number: value.name.removeprefix("TRACKING_STATE_").lower()
    for value in ingest_pb2.TrackingState.DESCRIPTOR.values
}
PAUSE_S = 2.0


@dataclass(slots=True)
class FrameCounts:
    """Frames of a session by what became of them, and how fast they were answered."""

    frames: int = 0
    fused: int = 0
    dropped: int = 0
    answered_frames: int = 0
    """By the worker."""
    tracking: ingest_pb2.TrackingState = ingest_pb2.TRACKING_STATE_UNSPECIFIED
    _latencies_ms: deque[float] = field(default_factory=lambda: deque(maxlen=100))
    _answered_s: deque[float] = field(default_factory=lambda: deque(maxlen=60))

    def answered(self, result: FrameResult, now_s: float) -> None:
        """Count a result of the worker."""
        self.answered_frames += 1
        self._latencies_ms.append(result.latency_ms)
        self._answered_s.append(now_s)
        self.fused += result.status == FrameResult.STATUS_FUSED
        if result.status != FrameResult.STATUS_REJECTED:
            self.tracking = result.tracking

    def recalled(self, result: FrameResult) -> None:
        """Count a result of a server before this one."""
        self.frames += 1
        self.fused += result.status == FrameResult.STATUS_FUSED
        self.dropped += result.status == FrameResult.STATUS_DROPPED

    @property
    def tracking_name(self) -> str:
        """The tracking state in lower case, as subscribers are told it."""
        return TRACKING_NAMES[self.tracking]

    @property
    def latency_ms(self) -> float:
        """Median over the last hundred results; 0 before the first."""
        latencies = sorted(self._latencies_ms)
        return latencies[len(latencies) // 2] if latencies else 0.0

    def frames_per_s(self, now_s: float) -> float:
        """Results per second, over the last 60 of them; 0 in a pause of input."""
        answered_s = self._answered_s
        if len(answered_s) < 2 or now_s - answered_s[-1] > PAUSE_S:
            return 0.0
        return (len(answered_s) - 1) / (answered_s[-1] - answered_s[0] + 1e-9)
