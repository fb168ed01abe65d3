"""A sender's conversation, without a socket."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from mapcast_client.v1 import ingest_pb2
from mapcast_client.v1.ingest_pb2 import ClientMessage, ServerMessage
from stream import ingest
from stream.config import ServerConfig
from stream.ingest import Ingest
from stream.registry import Registry
from stream.sender import OUTBOX_MESSAGES

CODE = ingest_pb2.Error.CODE_INVALID_ARGUMENT


async def messages(*given: ClientMessage, then: asyncio.Event) -> AsyncIterator[ClientMessage]:
    for message in given:
        yield message
    await then.wait()


async def answered(conversation: Ingest, *given: ClientMessage, ends: bool) -> list[ServerMessage]:
    then = asyncio.Event()
    if ends:
        then.set()
    async with asyncio.timeout(5):
        return [answer async for answer in conversation.answers(messages(*given, then=then))]


async def test_who_does_not_listen_to_refusals_is_not_read() -> None:
    conversation = Ingest(Registry(ServerConfig()), "")
    told = 0
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.05):
            for _ in range(10 * OUTBOX_MESSAGES):
                await conversation.refuse(CODE, "nonsense")
                told += 1
    assert told == OUTBOX_MESSAGES // 2


async def test_who_says_nothing_does_not_stay(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ingest, "FIRST_MESSAGE_TIMEOUT_S", 0.01)
    (answer,) = await answered(Ingest(Registry(ServerConfig()), ""), ends=False)
    assert answer.error.fatal
    assert "no message" in answer.error.message
    assert await answered(Ingest(Registry(ServerConfig()), ""), ends=True) == []


@pytest.mark.parametrize(
    ("session", "token", "code"),
    [
        ("", "", ingest_pb2.Error.CODE_UNAUTHENTICATED),
        ("", "wrong-token", ingest_pb2.Error.CODE_FORBIDDEN),
        ("nobody", "", ingest_pb2.Error.CODE_UNAUTHENTICATED),
        ("nobody", "wrong-token", ingest_pb2.Error.CODE_NOT_FOUND),
        ("nobody", "server-token", ingest_pb2.Error.CODE_NOT_FOUND),
    ],
)
async def test_opening_needs_the_token_before_anything_is_started(
    session: str, token: str, code: ingest_pb2.Error.Code
) -> None:
    registry = Registry(ServerConfig(access="closed", api_token="server-token"))
    opening = ClientMessage(open=ingest_pb2.OpenSession(session=session))
    (answer,) = await answered(Ingest(registry, token), opening, ends=False)
    assert (answer.error.code, answer.error.fatal) == (code, True)
    assert "-token" not in answer.error.message
