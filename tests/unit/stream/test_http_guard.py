"""What passes before any route: tokens out of queries, bodies with an end, foreign pages out."""

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


def client(app: FastAPI, check_origin: bool = False, *origins: str) -> httpx.AsyncClient:
    guard = HttpGuard(app, check_origin, origins)
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
    ],
)
async def test_foreign_pages_may_look_where_cors_lets_them_but_not_act(
    app: FastAPI, origin: str | None, is_let_in: bool
) -> None:
    headers = {"Content-Type": "text/plain"} | ({"Origin": origin} if origin else {})
    async with client(app, True, "https://friend.example") as http:
        assert (await http.get("/", headers=headers)).status_code == 200
        answer = await http.post("/", content=b"x", headers=headers)
    assert answer.status_code == (200 if is_let_in else 403)
    async with client(app, False) as http:
        assert (await http.post("/", content=b"x", headers=headers)).status_code == 200
