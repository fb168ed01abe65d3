"""Who may do what, by which token."""

from collections.abc import Callable

import pytest

from stream.access import Access, SessionTokens
from stream.errors import Forbidden, ServerError, SessionNotFound, Unauthenticated

SERVER = "the-server-token"
Wish = Callable[[Access, str], None]
WISHES: dict[str, Wish] = {
    "server": lambda access, token: access.require_server(token),
    "publish": lambda access, token: access.require_publish("a", token),
    "watch": lambda access, token: access.require_watch("a", token),
}
ALLOWED = {
    "server": {"server", "publish", "watch"},
    "publish": {"publish", "watch"},
    "watch": {"watch"},
    "other session's publish": set(),
    "nearly the server's": set(),
    "not ASCII": set(),
}


@pytest.fixture
def closed() -> Access:
    """A closed server with two sessions."""
    access = Access(True, SERVER)
    access.add("a")
    access.add("b")
    return access


def tokens_of(access: Access) -> dict[str, str]:
    return {
        "server": access.server_token,
        "publish": access.tokens("a").publish,
        "watch": access.tokens("a").watch,
        "other session's publish": access.tokens("b").publish,
        "nearly the server's": SERVER[:-1],
        "not ASCII": "tökén\udcff",
    }


@pytest.mark.parametrize("bearer", ALLOWED)
@pytest.mark.parametrize("wish", WISHES)
def test_a_token_allows_what_it_implies_and_nothing_else(
    closed: Access, wish: str, bearer: str
) -> None:
    token = tokens_of(closed)[bearer]
    if wish in ALLOWED[bearer]:
        WISHES[wish](closed, token)
    else:
        with pytest.raises(Forbidden, match=wish) as refusal:
            WISHES[wish](closed, token)
        assert token not in str(refusal.value)


@pytest.mark.parametrize("wish", WISHES)
def test_without_a_token_a_closed_server_says_which_is_needed(closed: Access, wish: str) -> None:
    with pytest.raises(Unauthenticated, match=wish):
        WISHES[wish](closed, "")


@pytest.mark.parametrize("wish", WISHES)
def test_an_open_server_asks_nobody(wish: str) -> None:
    access = Access(False, SERVER)
    access.add("a")
    WISHES[wish](access, "")
    assert access.server_token == ""
    assert access.tokens("a") == SessionTokens()


def test_only_bearers_of_a_token_learn_which_sessions_exist(closed: Access) -> None:
    with pytest.raises(Unauthenticated):
        closed.require_watch("nobody", "")
    with pytest.raises(SessionNotFound, match="nobody"):
        closed.require_watch("nobody", closed.tokens("a").watch)


def test_the_tokens_of_a_session_end_with_it(closed: Access) -> None:
    watch = closed.tokens("a").watch
    assert closed.is_known(watch)
    closed.remove("a")
    assert not closed.is_known(watch)
    with pytest.raises(ServerError):
        closed.require_watch("a", watch)


def test_tokens_are_made_anew_and_shown_by_no_repr() -> None:
    servers = [Access(True) for _ in range(2)]
    for access in servers:
        access.add("a")
    made = [token for access in servers for token in tokens_of(access).values()][:3]
    made += [servers[1].server_token, servers[1].tokens("a").watch]
    assert len(set(made)) == len(made)
    assert min(map(len, made)) >= 32
    shown = repr(servers) + repr(servers[0].tokens("a"))
    assert not any(token in shown for token in made)
