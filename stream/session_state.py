"""Where a session stands."""

from enum import Enum


class SessionState(Enum):
    """Where a session stands; values are the wire's names."""

    ACTIVE = "active"
    WAITING = "waiting"
    """Without a sender, for a while."""
    PAUSED = "paused"
    FINISHING = "finishing"
    """Takes no more frames; answers those it took."""
    FINISHED = "finished"
    FAILED = "failed"
    """Its worker died; the map so far is served."""
