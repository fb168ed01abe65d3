"""How much a publisher is told to send (REMB, draft-alvestrand-rmcat-remb)."""

from collections import deque

from stream.webrtc.unwrap import Unwrapper

START_BPS, MIN_BPS, MAX_BPS = 2_000_000, 1_000_000, 4_000_000
"""Good pictures at 640×480 and 30 Hz take 2 Mbit/s; a browser by itself starts at 0.3."""
PERIOD_MS = 500
QUEUE_LIMIT_MS = 100.0
"""A standing queue of this length says that the way is too narrow."""
FLOOR_BPS = 150_000
"""Never below this, however bad it is."""
BACK_OFF, RECOVERY = 0.85, 1.08
MEMORY_PERIODS = 60
"""The shortest way of this many periods is the empty one; clocks drift, so it is forgotten."""


class BitrateCap:
    """The full rate, unless packets queue up on their way.

    Its one verb is that of aiortc's estimator, in whose place it stands; that one starts low and
    grows by 8 % a second.
    """

    def __init__(self) -> None:
        self._cap_bps = float(MAX_BPS)
        self._send_times = Unwrapper(24)
        self._told_ms: int | None = None
        self._received_bytes = 0
        self._shortest_ms = float("inf")
        self._shortest_of_periods: deque[float] = deque(maxlen=MEMORY_PERIODS)

    def add(
        self, *, arrival_time_ms: int, abs_send_time: int, payload_size: int, ssrc: int
    ) -> tuple[int, list[int]] | None:
        """Note a packet; twice a second, returns the bits per second and for whom."""
        sent_ms = self._send_times.next(abs_send_time) * 1e3 / (1 << 18)
        self._shortest_ms = min(self._shortest_ms, arrival_time_ms - sent_ms)
        self._received_bytes += payload_size
        if self._told_ms is None:
            self._told_ms = arrival_time_ms - PERIOD_MS
        elapsed_ms = arrival_time_ms - self._told_ms
        if elapsed_ms < PERIOD_MS:
            return None
        self._adapt(8e3 * self._received_bytes / elapsed_ms)
        self._told_ms = arrival_time_ms
        self._received_bytes, self._shortest_ms = 0, float("inf")
        return int(self._cap_bps), [ssrc]

    def _adapt(self, received_bps: float) -> None:
        self._shortest_of_periods.append(self._shortest_ms)
        queued_ms = self._shortest_ms - min(self._shortest_of_periods)
        if queued_ms > QUEUE_LIMIT_MS:
            self._cap_bps = max(FLOOR_BPS, BACK_OFF * min(self._cap_bps, received_bps))
        else:
            self._cap_bps = min(MAX_BPS, RECOVERY * self._cap_bps)
