"""Instants as ORB-SLAM3 gets them."""

_LONGEST_STEP_US = 3_600_000_000
"""ORB-SLAM3 gives up a map after seconds; longer pauses than an hour make no difference to it."""


class Clock:
    """Microseconds since the first frame.

    ORB-SLAM3's files have six decimals, and its float64 seconds would not hold nanoseconds since
    1970.
    """

    def __init__(self) -> None:
        self._last_us = 0
        self._last_ns: int | None = None
        self._capture_ns: dict[int, int] = {}

    def time_us(self, capture_ns: int) -> int:
        """The next instant, strictly later than the one before."""
        if self._last_ns is not None:
            step_us = (capture_ns - self._last_ns + 500) // 1000
            self._last_us += min(max(step_us, 1), _LONGEST_STEP_US)
        self._last_ns = capture_ns
        self._capture_ns[self._last_us] = capture_ns
        return self._last_us

    def capture_ns(self, time_us: int) -> int:
        """The frame's capture_ns of an instant that `time_us` returned."""
        return self._capture_ns[time_us]
