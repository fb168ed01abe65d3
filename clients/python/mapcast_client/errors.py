"""The error tree of mapcast.

    MapcastError
    ├── InputError         what the caller gave cannot be used: says what, where, the value, the limit
    │   └── FrameError     one frame cannot be used; the stream goes on
    ├── StateError         the call does not fit the state (closed, finished, busy)
    ├── DependencyError    something outside is missing; says how to get it
    └── ProtocolError      the other side broke the wire contract
        └── ConnectionLost the other side is gone

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


class ProtocolError(MapcastError):
    """The other side broke the wire contract."""


class ConnectionLost(ProtocolError):
    """The other side is gone."""
