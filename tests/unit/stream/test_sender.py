"""A sender that does not read its results is not read either."""

import asyncio

import pytest

from mapcast_client.v1 import ingest_pb2
from stream.sender import OUTBOX_MESSAGES, Sender


async def test_no_room_from_half_full_until_the_sender_reads() -> None:
    sender = Sender()
    for _ in range(OUTBOX_MESSAGES // 2):
        await sender.room()
        sender.tell(ingest_pb2.ServerMessage())
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.01):
            await sender.room()
    await sender.next_message()
    await sender.room()
