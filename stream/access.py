"""Who may do what: the server's token, and two tokens of each session.

    server token    everything
    publish token   send to its session, control and delete it; implies watching
    watch token     follow its session, its exports and views

An open server asks nobody. Tokens travel in headers, metadata or a link's fragment, are compared
in constant time, and appear in no log, error or `repr`.
"""

import hmac
import secrets
from dataclasses import dataclass, field

from stream.errors import Forbidden, SessionNotFound, Unauthenticated

TOKEN_BYTES = 24


@dataclass(frozen=True, slots=True)
class SessionTokens:
    """What allows sending to a session, and watching it; empty on an open server."""

    publish: str = field(default="", repr=False)
    watch: str = field(default="", repr=False)


class Access:
    """Knows the tokens, and says whether one allows what its bearer wants."""

    def __init__(self, is_closed: bool, server_token: str = "") -> None:
        """Without a `server_token` a closed server makes one."""
        self.is_closed = is_closed
        self.server_token = (server_token or _new_token()) if is_closed else ""
        self._sessions: dict[str, SessionTokens] = {}

    def add(self, session_id: str, tokens: SessionTokens | None = None) -> None:
        """Make the tokens of a new session, or take those of one that is brought back."""
        if self.is_closed:
            if tokens is None or not (tokens.publish and tokens.watch):
                tokens = SessionTokens(_new_token(), _new_token())
            self._sessions[session_id] = tokens

    def remove(self, session_id: str) -> None:
        """Forget those of a session that is gone."""
        self._sessions.pop(session_id, None)

    def tokens(self, session_id: str) -> SessionTokens:
        """A session's tokens; empty ones where none are needed."""
        return self._sessions.get(session_id, SessionTokens())

    def require_server(self, token: str) -> None:
        """Raise Unauthenticated or Forbidden unless `token` is the server's."""
        if self.is_closed:
            _require(token, "the server's token", self.server_token)

    def require_publish(self, session_id: str, token: str) -> None:
        """Raise unless `token` allows sending to the session.

        Raises Unauthenticated, Forbidden, and SessionNotFound for a token but no such session.
        """
        if self.is_closed:
            tokens = self._existing(session_id, token)
            needed = "the session's publish token, or the server's"
            _require(token, needed, self.server_token, tokens.publish)

    def require_watch(self, session_id: str, token: str) -> None:
        """Raise unless `token` allows watching the session; raises as `require_publish`."""
        if self.is_closed:
            tokens = self._existing(session_id, token)
            needed = "the session's watch or publish token, or the server's"
            _require(token, needed, self.server_token, tokens.publish, tokens.watch)

    def is_known(self, token: str) -> bool:
        """Whether `token` allows anything here at all."""
        accepted = [self.server_token]
        for tokens in self._sessions.values():
            accepted += (tokens.publish, tokens.watch)
        return not self.is_closed or _is_one_of(token, accepted)

    def _existing(self, session_id: str, token: str) -> SessionTokens:
        """Raise SessionNotFound only to bearers of a token: others learn nothing."""
        if token and session_id not in self._sessions:
            raise SessionNotFound(f"there is no session {session_id!r:.80}")
        return self.tokens(session_id)


def _require(token: str, needed: str, *accepted: str) -> None:
    if not token:
        raise Unauthenticated(
            f"this server is closed, and this needs {needed} (Authorization: Bearer …, or ?token=… "
            "where headers cannot be set)"
        )
    if not _is_one_of(token, accepted):
        raise Forbidden(f"the token does not allow this: it needs {needed}")


def _is_one_of(token: str, accepted: tuple[str, ...] | list[str]) -> bool:
    """Compare with all of them, each in constant time."""
    given = token.encode(errors="replace")
    equal = [hmac.compare_digest(given, other.encode()) for other in accepted if other]
    return any(equal)


def _new_token() -> str:
    return secrets.token_urlsafe(TOKEN_BYTES)
