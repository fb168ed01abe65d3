"""One video stream's packets on their way to the decoder, and what was counted there."""

import time

from stream.metrics import Metrics
from stream.webrtc.assembler import EncodedFrame, FrameAssembler, VideoPacket
from stream.webrtc.capture_clock import CaptureClock


class VideoIntake:
    """Orders packets and keeps the clock of their frames. Implements `VideoSink`."""

    def __init__(self, metrics: Metrics) -> None:
        self.clock = CaptureClock()
        self._metrics = metrics
        self._assembler = FrameAssembler()
        self._timestamp: int | None = None
        self._released_s: float | None = None

    def take(self, packet: VideoPacket, now_ns: int) -> list[EncodedFrame]:
        """Take a packet; returns the frames to decode now."""
        if packet.timestamp != self._timestamp:  # the first of its frame was the fastest
            self._timestamp = packet.timestamp
            self.clock.arrived(self._assembler.continued_timestamp(packet.timestamp), now_ns)
        now_s = time.monotonic()
        frames = self._assembler.add(packet, now_s)
        if frames:
            if self._released_s is not None:
                self._metrics.webrtc_gap.observe(now_s - self._released_s)
            self._released_s = now_s
        return frames

    def skip(self) -> None:
        """The decoder does not keep up: go on with a keyframe."""
        self._assembler.skip()

    def wants_keyframe(self) -> bool:
        """Whether to ask the sender for one now."""
        wants = self._assembler.take_keyframe_request(time.monotonic())
        if wants:
            self._metrics.webrtc_keyframe_requests.inc()
        return wants

    def take_report(self, ntp: int, timestamp: int) -> None:
        """Take a sender report."""
        self.clock.reported(ntp, self._assembler.continued_timestamp(timestamp))
