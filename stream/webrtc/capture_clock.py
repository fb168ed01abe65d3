"""When frames were captured, in the server's clock, from what RTP tells."""

from collections import deque
from statistics import median

CLOCK_RATE_HZ = 90_000
"""Of every video codec."""
NTP_EPOCH_S = 2_208_988_800
"""From 1900 to 1970."""
REPORTS = 5
"""Sender reports are off by some milliseconds each; the median of this many counts."""
WINDOW_NS = 1_000_000_000
WINDOWS = 10
"""The fastest packet of about ten seconds sets the clock; clocks drift, so it is forgotten."""
PLAUSIBLE_NS = 500_000_000
"""Sender reports that disagree with the arrival of packets by more are not of a real clock."""
RESTART_NS = 10_000_000_000
"""Timestamps that jump by more are another stream's."""


def ntp_to_unix_ns(ntp: int) -> int:
    """An instant of RTCP, 32.32 bits of seconds since 1900."""
    return ((ntp >> 32) - NTP_EPOCH_S) * 1_000_000_000 + ((ntp & 0xFFFFFFFF) * 1_000_000_000 >> 32)


class MinimumDelay:
    """What must be added to a foreign clock: the least of (arrival − sent), over some seconds."""

    def __init__(self) -> None:
        self._windows: deque[tuple[int, int]] = deque(maxlen=WINDOWS)

    def arrived(self, sent_ns: int, now_ns: int) -> None:
        """Note something that was sent at an instant of the foreign clock."""
        offset_ns = now_ns - sent_ns
        if self._windows and abs(offset_ns - self._windows[-1][1]) > RESTART_NS:
            self._windows.clear()
        if not self._windows or now_ns - self._windows[-1][0] > WINDOW_NS:
            self._windows.append((now_ns, offset_ns))
        else:
            since_ns, least_ns = self._windows[-1]
            self._windows[-1] = (since_ns, min(least_ns, offset_ns))

    @property
    def offset_ns(self) -> int | None:
        """Server minus foreign clock; None: nothing came yet."""
        return min((offset for _, offset in self._windows), default=None)


class CaptureClock:
    """Capture instants of one stream's frames.

    Exact when both the sender's reports and the offset of its clock are known; else as if the
    fastest packet had taken no time. Timestamps are RTP's, continued without wrapping.
    """

    def __init__(self) -> None:
        self._delay = MinimumDelay()
        self._sender_from_rtp_ns: deque[int] = deque(maxlen=REPORTS)
        self._server_from_sender_ns: int | None = None
        self._last_ns = 0

    def arrived(self, timestamp: int, now_ns: int) -> None:
        """Note a packet."""
        self._delay.arrived(_nanoseconds(timestamp), now_ns)

    def reported(self, ntp: int, timestamp: int) -> None:
        """Note a sender report: the sender's wall clock at an RTP timestamp."""
        self._sender_from_rtp_ns.append(ntp_to_unix_ns(ntp) - _nanoseconds(timestamp))

    def measured(self, server_from_sender_ns: int) -> None:
        """Note the offset to the sender's wall clock."""
        self._server_from_sender_ns = server_from_sender_ns

    def capture_ns(self, timestamp: int) -> int:
        """When a frame was captured; later than every instant returned before."""
        offset_ns = self._delay.offset_ns
        assert offset_ns is not None, "a frame comes after its packets"
        if self._sender_from_rtp_ns and self._server_from_sender_ns is not None:
            reported_ns = int(median(self._sender_from_rtp_ns)) + self._server_from_sender_ns
            if abs(reported_ns - offset_ns) < PLAUSIBLE_NS:
                offset_ns = reported_ns
        self._last_ns = max(_nanoseconds(timestamp) + offset_ns, self._last_ns + 1)
        return self._last_ns


def _nanoseconds(timestamp: int) -> int:
    return timestamp * 1_000_000_000 // CLOCK_RATE_HZ
