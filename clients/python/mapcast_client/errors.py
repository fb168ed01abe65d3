"""The error tree of mapcast.

    MapcastError
    ├── InputError           a given value cannot be used: says what, where, the value, the limit
    │   └── FrameError       one frame cannot be used; the stream goes on
    ├── StateError           the call does not fit the state (closed, finished, busy)
    ├── DependencyError      something outside is missing; says how to get it
    ├── SessionError         the server refused or ended a session; carries the wire's code
    └── ProtocolError        the other side broke the wire contract
        ├── HashMismatch     a followed map differs from the server's
        └── ConnectionLost   the other side is gone

Packages above add theirs below these.
"""


class MapcastError(Exception):
    """Root of every error that mapcast raises on purpose."""


class InputError(MapcastError, ValueError):
    """A value that was handed in cannot be used."""


class FrameError(InputError):
    """One frame cannot be used; the stream it came on goes on."""


class StateError(MapcastError):
    """The call does not fit the state of its object."""


class DependencyError(MapcastError):
    """A library, file or device that this needs is missing."""


class SessionError(MapcastError):
    """The server refused or ended a session."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        """The wire's name without its prefix, in lower case: busy, not_found, session_failed …"""


class ProtocolError(MapcastError):
    """The other side broke the wire contract."""


class HashMismatch(ProtocolError):
    """A followed map is complete and yet differs from the server's."""


class ConnectionLost(ProtocolError):
    """The other side is gone."""
