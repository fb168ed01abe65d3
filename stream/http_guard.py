"""What every HTTP request and WebSocket passes before the routes see it.

Tokens leave the query string, which gets logged, for the header that does not; bodies have an
end; and on an open server, pages of foreign origins cannot act in the name of whoever opens them,
nor pass for its own by a name that points here.
"""

import ipaddress
from collections.abc import Sequence
from typing import Annotated
from urllib.parse import SplitResult, parse_qsl, urlencode, urlsplit

from fastapi import Depends
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.requests import HTTPConnection
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from stream.addresses import own_names

MAX_BODY_BYTES = 256 << 10
"""Settings and session descriptions; frames come by other ways."""
_SAFE_METHODS = ("GET", "HEAD", "OPTIONS")
_bearer = HTTPBearer(auto_error=False, description="The server's, or a session's token.")


def _given(credentials: Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)]) -> str:
    return credentials.credentials if credentials is not None else ""


Token = Annotated[str, Depends(_given)]
"""A route's parameter: the token that the request brings, empty without one."""


def token_of(connection: HTTPConnection) -> str:
    """The token of a WebSocket's handshake; empty without one."""
    scheme, _, token = connection.headers.get("authorization", "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else ""


class HttpGuard:
    """The outermost layer of the application (ASGI)."""

    def __init__(
        self, app: ASGIApp, open_host: str | None = None, origins: Sequence[str] = ()
    ) -> None:
        """`open_host` is where an open server listens; None: a closed one, which tokens guard."""
        self._app = app
        self._is_open = open_host is not None
        self._origins = origins
        known = ["localhost", open_host or "", *own_names(), *map(_host, origins)]
        self._hosts = {name.lower() for name in known if name}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or refuse it."""
        if scope["type"] in ("http", "websocket"):
            _move_token(scope)
            if self._is_open and (reason := self._refusal(scope)):
                await JSONResponse({"error": reason}, 403)(scope, receive, send)
                return
        if scope["type"] == "http":
            receive = _bounded(receive)
        await self._app(scope, receive, send)

    def _refusal(self, scope: Scope) -> str:
        """Why an open server does not take a request; empty: it does."""
        headers = Headers(scope=scope)
        host = headers.get("host", "")
        if not self._is_known(host):
            return (
                f"this server does not know itself as {host!r:.80}: name it in cors_origins, or "
                "use its address"
            )
        if not self._is_ours(scope, headers):
            return "a page of another origin may not do this: see cors_origins"
        return ""

    def _is_known(self, host: str) -> bool:
        """Whether a request was meant for this server, by what it was addressed to.

        A foreign page's own name can be made to point here; to its browser, all is one origin then.
        """
        name = _host(f"//{host}")
        return not host or "*" in self._origins or name in self._hosts or _is_address(name)

    def _is_ours(self, scope: Scope, headers: Headers) -> bool:
        """Whether it comes from no page, a page of this server or a configured one.

        Browsers let any page open a WebSocket, or post a form, to any server, this machine's too.
        """
        origin = headers.get("origin")
        if origin is None or (scope["type"] == "http" and scope["method"] in _SAFE_METHODS):
            return True
        is_same = _split(origin).netloc == headers.get("host")
        return is_same or origin in self._origins or "*" in self._origins


def _split(url: str) -> SplitResult:
    """Its parts; of what is no URL, none."""
    try:
        return urlsplit(url)
    except ValueError:
        return urlsplit("")


def _host(url: str) -> str:
    """The URL's host name in lower case, without a final dot; empty where it has none."""
    return (_split(url).hostname or "").removesuffix(".")


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def _move_token(scope: Scope) -> None:
    """Make `?token=` an Authorization header, in place: uvicorn logs the scope's query string."""
    if b"token=" not in scope["query_string"]:
        return
    query = parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True)
    tokens = [value for name, value in query if name == "token"]
    others = [(name, value) for name, value in query if name != "token"]
    scope["query_string"] = urlencode(others).encode()
    if tokens and "authorization" not in Headers(scope=scope):
        header = (b"authorization", b"Bearer " + tokens[0].encode("latin-1", "replace"))
        scope["headers"] = [*scope["headers"], header]


def _bounded(receive: Receive) -> Receive:
    received_bytes = 0

    async def counting() -> Message:
        nonlocal received_bytes
        message = await receive()
        received_bytes += len(message.get("body", b""))
        if received_bytes > MAX_BODY_BYTES:
            raise HTTPException(413, f"the body is larger than {MAX_BODY_BYTES} bytes")
        return message

    return counting
