"""Which lost packets to ask for again (RFC 4585, generic NACK), and when."""

from dataclasses import dataclass

from stream.webrtc.unwrap import Unwrapper

RETRY_S = 0.04
"""A little over the round trip of a local network: the retransmission may be lost, too."""
GIVE_UP_S = 0.2
MAX_MISSING = 64
"""More at once is an outage, which a keyframe repairs better."""


@dataclass(slots=True)
class _Missing:
    since_s: float
    asked_s: float


class Retransmissions:
    """Keeps the packets that did not come; each is asked for again until it is too late."""

    def __init__(self) -> None:
        self._sequences = Unwrapper(16)
        self._newest: int | None = None
        self._missing: dict[int, _Missing] = {}

    def due(self, sequence: int, now_s: float) -> list[int]:
        """Note a packet that came; returns the 16-bit numbers to ask for now, oldest first."""
        at = self._sequences.near(sequence)
        if self._newest is None or at > self._newest:
            self._sequences.next(sequence)
            expected = at if self._newest is None else self._newest + 1
            self._newest = at
            if at - expected > MAX_MISSING:
                self._missing.clear()
                expected = at
            for lost in range(expected, at):
                self._missing[lost] = _Missing(now_s, float("-inf"))
        else:
            self._missing.pop(at, None)
        return [lost & 0xFFFF for lost in self._take_due(now_s)]

    def _take_due(self, now_s: float) -> list[int]:
        for lost in [
            at for at, state in self._missing.items() if now_s - state.since_s > GIVE_UP_S
        ]:
            del self._missing[lost]
        due = [at for at, state in self._missing.items() if now_s - state.asked_s >= RETRY_S]
        for lost in due[-MAX_MISSING:]:
            self._missing[lost].asked_s = now_s
        return due[-MAX_MISSING:]
