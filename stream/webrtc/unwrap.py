"""Counters of few bits, continued without end."""


class Unwrapper:
    """Continues a counter that wraps around: each value is taken as the nearest to the last."""

    def __init__(self, bits: int) -> None:
        self._period = 1 << bits
        self._last: int | None = None

    def near(self, value: int) -> int:
        """The value, continued; the counter stays where it is."""
        if self._last is None:
            return value
        half = self._period // 2
        return self._last + (value - self._last + half) % self._period - half

    def next(self, value: int) -> int:
        """The value, continued, from which the counter goes on."""
        self._last = self.near(value)
        return self._last
