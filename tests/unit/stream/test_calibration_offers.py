"""The camera that refinement found, on its way through a session."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from fake_worker import FakeWorker, until

from mapcast_client.v1 import ingest_pb2
from mapcast_client.v1.ingest_pb2 import CalibrationOffer, ClientMessage, OpenSession
from stream.config import ServerConfig
from stream.ingest import Ingest
from stream.recorder import NoRecorder
from stream.recovery import NoRecovery
from stream.registry import Registry
from stream.rest_sessions import session_info
from stream.sender import Sender
from stream.session import Session
from stream.worker_pb2 import Refined


def offer(fx_px: float) -> CalibrationOffer:
    return CalibrationOffer(camera=ingest_pb2.Camera(fx_px=fx_px), keyframes=12)


@pytest.fixture
def registry() -> Registry:
    return Registry(ServerConfig())


@pytest.fixture
def worker() -> FakeWorker:
    return FakeWorker()


@pytest.fixture
async def session(registry: Registry, worker: FakeWorker) -> AsyncIterator[Session]:
    """An open session of the registry."""
    opening = OpenSession(sensor=ingest_pb2.SENSOR_RGBD)
    opened = Session(
        "ab12",
        opening,
        worker,
        0.01,
        registry.config,
        registry.metrics,
        5,
        NoRecorder(),
        NoRecovery(),
    )
    registry._sessions[opened.id] = opened
    yield opened
    await opened.close("the test is over")


async def test_each_is_told_and_the_newest_is_kept(session: Session, worker: FakeWorker) -> None:
    sender = Sender()
    session.attach(sender)
    assert "calibration_offer" not in session_info(session)

    for fx_px in (510.0, 520.0):
        worker.say(refined=Refined(accepted=True, offer=offer(fx_px)))
    told = [await sender.next_message() for _ in range(2)]

    assert [message.calibration_offer for message in told if message] == [offer(510), offer(520)]
    assert session.info().calibration_offer == offer(520)
    assert session_info(session)["calibration_offer"]["camera"]["fx_px"] == 520


async def test_one_that_is_withheld_changes_nothing(
    session: Session, worker: FakeWorker, registry: Registry
) -> None:
    def count(result: str) -> float:
        labels = {"result": result}
        found = registry.metrics.registry.get_sample_value(
            "mapcast_calibration_offers_total", labels
        )
        return found or 0.0

    worker.say(refined=Refined(accepted=True, offer=offer(510)))
    worker.say(refined=Refined(accepted=True, why_no_offer="it rests on 5 keyframes"))
    await until(lambda: count("withheld") == 1)

    assert count("offered") == 1
    assert session.info().calibration_offer == offer(510)


async def test_a_sender_that_joins_later_is_told(
    session: Session, worker: FakeWorker, registry: Registry
) -> None:
    worker.say(refined=Refined(accepted=True, offer=offer(510)))
    await until(lambda: session.refinements.offer is not None)
    left = asyncio.Event()

    async def joins() -> AsyncIterator[ClientMessage]:
        yield ClientMessage(open=OpenSession(session=session.id))
        await left.wait()

    conversation = Ingest(registry, "").answers(joins())
    async with asyncio.timeout(5):
        told = [await anext(conversation) for _ in range(2)]
        left.set()
        assert [message async for message in conversation] == []

    assert told[0].opened.session == session.id
    assert told[1].calibration_offer == offer(510)
