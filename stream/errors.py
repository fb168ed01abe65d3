"""Errors of the server, and the code each has on the wire.

    MapcastError
    └── ServerError             what the server refuses or cannot do
        ├── SessionNotFound
        ├── MapNotFound         there is no saved map of that name
        ├── FrameMissing        it needs a frame, and the session has had none yet
        ├── SessionBusy         the session has a sender already, or takes none any more
        ├── ServerFull          no room for another session or subscriber
        ├── Unauthenticated     the server is closed and the request has no token
        ├── Forbidden           its token does not allow it
        └── WorkerDied          the session's process is gone; the map so far stays

Bad input is `InputError`, as everywhere, and

    InputError
    └── UnsupportedCodec        an offer of video that no decoder here takes
"""

from mapcast_client.errors import InputError, MapcastError
from mapcast_client.v1 import ingest_pb2

Code = ingest_pb2.Error.Code


class ServerError(MapcastError):
    """Root of what the server refuses."""

    code: Code = ingest_pb2.Error.CODE_UNSPECIFIED


class SessionNotFound(ServerError):
    """There is no session of that id."""

    code = ingest_pb2.Error.CODE_NOT_FOUND


class MapNotFound(ServerError):
    """There is no saved map of that name, or no place for maps."""

    code = ingest_pb2.Error.CODE_NOT_FOUND


class FrameMissing(ServerError):
    """It needs a frame, and the session has had none yet."""

    code = ingest_pb2.Error.CODE_NOT_FOUND


class SessionBusy(ServerError):
    """The session has a sender already, or takes none any more."""

    code = ingest_pb2.Error.CODE_BUSY


class ServerFull(ServerError):
    """No room for another session or subscriber."""

    code = ingest_pb2.Error.CODE_BUSY


class Unauthenticated(ServerError):
    """The server is closed and the request brings no token."""

    code = ingest_pb2.Error.CODE_UNAUTHENTICATED


class Forbidden(ServerError):
    """The token that the request brings does not allow it."""

    code = ingest_pb2.Error.CODE_FORBIDDEN


class WorkerDied(ServerError):
    """The session's worker process is gone."""

    code = ingest_pb2.Error.CODE_SESSION_FAILED


class UnsupportedCodec(InputError):
    """An offer has no video codec that this server takes."""


def wire_error(error: MapcastError, fatal: bool) -> ingest_pb2.ServerMessage:
    """Tell a sender about an error."""
    if isinstance(error, ServerError):
        code = error.code
    elif isinstance(error, InputError):
        code = ingest_pb2.Error.CODE_INVALID_ARGUMENT
    else:
        code = ingest_pb2.Error.CODE_UNSPECIFIED
    return ingest_pb2.ServerMessage(
        error=ingest_pb2.Error(code=code, message=str(error), fatal=fatal)
    )
