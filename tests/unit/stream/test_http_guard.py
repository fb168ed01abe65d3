"""What passes before any route: tokens out of queries, bodies with an end, foreign pages out."""

import socket
from typing import Annotated

import httpx
import pytest
from fastapi import Body, FastAPI, Request

from stream.http_guard import MAX_BODY_BYTES, HttpGuard, Token


@pytest.fixture
def app() -> FastAPI:
    """Routes that tell what reached them."""
    app = FastAPI()

    @app.get("/")
    async def look(request: Request, token: Token) -> dict[str, str]:
        return {"token": token, "query": request.url.query, "path": request.url.path}

    @app.post("/")
    async def take(data: Annotated[bytes, Body(media_type="text/plain")]) -> int:
        return len(data)

    return app


def client(app: FastAPI, open_host: str | None = None, *origins: str) -> httpx.AsyncClient:
    guard = HttpGuard(app, open_host, origins)
    return httpx.AsyncClient(transport=httpx.ASGITransport(guard), base_url="http://here:1")


@pytest.mark.parametrize(
    ("query", "header", "token", "left"),
    [
        ("", None, "", ""),
        ("a=1&b=", None, "", "a=1&b="),
        ("a=1&token=s%2Bt&b=%C3%A9", None, "s+t", "a=1&b=%C3%A9"),
        ("token=first&token=second", None, "first", ""),
        ("token=", None, "", ""),
        ("token=weak", "Bearer strong", "strong", ""),
        ("mytoken=1", None, "", "mytoken=1"),
        ("", "bearer low", "low", ""),
        ("", "Basic abc", "", ""),
    ],
)
async def test_a_token_leaves_the_query_for_the_header(
    app: FastAPI, query: str, header: str | None, token: str, left: str
) -> None:
    headers = {"Authorization": header} if header else {}
    async with client(app) as http:
        seen = (await http.get(f"/?{query}", headers=headers)).json()
    assert (seen["token"], seen["query"]) == (token, left)


async def test_a_body_has_an_end(app: FastAPI) -> None:
    async def endless():
        for _ in range(1000):
            yield bytes(1 << 16)

    headers = {"Content-Type": "text/plain"}
    async with client(app) as http:
        fits = await http.post("/", content=bytes(MAX_BODY_BYTES), headers=headers)
        assert fits.json() == MAX_BODY_BYTES
        assert (await http.post("/", content=endless(), headers=headers)).status_code == 413


@pytest.mark.parametrize(
    ("origin", "is_let_in"),
    [
        (None, True),
        ("http://here:1", True),
        ("https://friend.example", True),
        ("http://here:2", False),
        ("https://evil.example", False),
        ("null", False),
        ("http://[", False),
    ],
)
async def test_foreign_pages_may_look_where_cors_lets_them_but_not_act(
    app: FastAPI, origin: str | None, is_let_in: bool
) -> None:
    headers = {"Content-Type": "text/plain"} | ({"Origin": origin} if origin else {})
    async with client(app, "here", "https://friend.example") as http:
        assert (await http.get("/", headers=headers)).status_code == 200
        answer = await http.post("/", content=b"x", headers=headers)
    assert answer.status_code == (200 if is_let_in else 403)
    async with client(app) as http:
        assert (await http.post("/", content=b"x", headers=headers)).status_code == 200


@pytest.mark.parametrize(
    ("host", "is_known"),
    [
        ("here:1", True),
        ("HERE.:1", True),
        ("localhost:8430", True),
        ("127.0.0.1:8430", True),
        ("[::1]:8430", True),
        ("192.168.7.7", True),
        ("friend.example", True),
        (socket.gethostname(), True),
        ("", True),  # no browser
        ("rebound.evil:1", False),
        ("127.0.0.1.evil", False),
        ("[", False),
        (":1", False),
    ],
)
@pytest.mark.parametrize("method", ["GET", "POST", "OPTIONS"])
async def test_an_open_server_is_asked_by_its_own_names_alone(
    app: FastAPI, host: str, is_known: bool, method: str
) -> None:
    # As a browser asks whose page came by a name that points here since: all is one origin to it.
    headers = {"Host": host, "Origin": f"http://{host}", "Content-Type": "text/plain"}
    async with client(app, "here", "https://friend.example") as http:
        answer = await http.request(method, "/", content=b"x", headers=headers)
        if not is_known:
            assert answer.status_code == 403
            assert "does not know itself as" in answer.json()["error"]
    assert (answer.status_code != 403) is is_known
    for anyone in (client(app), client(app, "here", "*")):
        async with anyone as http:
            answer = await http.request(method, "/", content=b"x", headers=headers)
            assert answer.status_code != 403
