"""Publishers leave, vanish, lose packets and come again; nothing of them stays."""

import asyncio
import gc
import threading

import psutil
import pytest
from listening_session import ListeningSession, WhipServer
from lossy import drop_packets
from webrtc_client import SDP, Pictures, WhipClient, an_offer, until

from stream.webrtc import publisher

CYCLES = 20
PATIENCE_S = 120.0
"""A machine that does other things, too, may be slow to shake so many hands."""


async def test_a_second_publisher_is_refused_while_the_first_is_there(
    server: WhipServer, session: ListeningSession
) -> None:
    first = WhipClient(server.http, session.whip_path, Pictures())
    await first.publish()
    await until(lambda: len(session.frames) > 3)
    offer = await an_offer()
    refused = await server.http.post(session.whip_path, content=offer, headers=SDP)
    assert refused.status_code == 409
    assert "has a WebRTC publisher already" in refused.json()["error"]
    before = len(session.frames)
    await until(lambda: len(session.frames) > before + 5)
    await first.stop()
    second = WhipClient(server.http, session.whip_path, Pictures())
    await second.publish()
    await second.stop()


async def test_a_silent_publisher_makes_room_for_the_next(
    server: WhipServer, session: ListeningSession
) -> None:
    first = WhipClient(server.http, session.whip_path, Pictures())
    await first.publish()
    await first.vanish()
    second = WhipClient(server.http, session.whip_path, Pictures())
    offer = await second.offer()

    async def taken() -> bool:
        second.response = await server.http.post(session.whip_path, content=offer, headers=SDP)
        return second.response.status_code == 201

    async with asyncio.timeout(publisher.SILENCE_S):
        while not await taken():
            await asyncio.sleep(0.2)
    await second.stop()


async def test_a_publisher_that_vanishes_is_let_go(
    server: WhipServer, session: ListeningSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert publisher.SILENCE_S + publisher.WATCH_PERIOD_S < 10
    monkeypatch.setattr(publisher, "SILENCE_S", 1.0)
    client = WhipClient(server.http, session.whip_path, Pictures())
    await client.publish()
    await until(lambda: len(session.frames) > 3)
    await client.vanish()
    await until(lambda: session.sender is None)


async def test_an_offer_that_nobody_follows_up_is_let_go(
    server: WhipServer, session: ListeningSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(publisher, "SILENCE_S", 0.5)
    offer = await an_offer()
    taken = await server.http.post(session.whip_path, content=offer, headers=SDP)
    assert taken.status_code == 201
    await until(lambda: session.sender is None)


async def test_a_session_that_ends_lets_its_publisher_go(
    server: WhipServer, session: ListeningSession
) -> None:
    client = WhipClient(server.http, session.whip_path, Pictures())
    await client.publish()
    await session.finish()
    await until(lambda: client.peer.connectionState == "closed")
    assert session.sender is None


def held() -> tuple[int, int, int]:
    """File descriptors, tasks and threads."""
    return psutil.Process().num_fds(), len(asyncio.all_tasks()), threading.active_count()


async def test_publishers_that_come_and_go_leave_nothing_behind(
    server: WhipServer, session: ListeningSession
) -> None:
    async def come_and_go() -> None:
        client = WhipClient(server.http, session.whip_path, Pictures(64, 48))
        await client.publish(PATIENCE_S)
        arrived = len(session.frames)
        await until(lambda: len(session.frames) > arrived, PATIENCE_S)
        assert await client.stop() == 200

    await come_and_go()
    gc.collect()
    before = held()
    for _ in range(CYCLES):
        await come_and_go()
    gc.collect()
    await until(lambda: held() == before, PATIENCE_S)


@pytest.mark.parametrize("lost", [0.01, 0.05, 0.2])
async def test_frames_go_on_when_packets_are_lost(
    server: WhipServer, session: ListeningSession, monkeypatch: pytest.MonkeyPatch, lost: float
) -> None:
    dropped = drop_packets(monkeypatch, lost)
    client = WhipClient(server.http, session.whip_path, Pictures(640, 480))
    await client.publish()
    await until(lambda: len(session.frames) >= 90)
    assert dropped.count > 0
    await client.stop()
