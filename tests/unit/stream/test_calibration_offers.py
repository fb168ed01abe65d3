"""The camera that refinement found, on its way through a session."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from fake_worker import FakeWorker, until
from starlette.types import Message

from mapcast_client.v1 import ingest_pb2
from mapcast_client.v1.ingest_pb2 import CalibrationOffer, ClientMessage, OpenSession
from replay.recording import OFFER, segment_path
from replay.recording_reader import RecordingReader
from replay.recording_writer import RecordingWriter
from stream.config import ServerConfig
from stream.ingest import Ingest
from stream.recorder import NoRecorder
from stream.recovery import NoRecovery
from stream.registry import Registry
from stream.rest_sessions import session_info
from stream.sender import Sender
from stream.session import Session
from stream.session_record import SessionRecord
from stream.websocket_stream import stream_router
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


async def test_a_browser_is_told(session: Session, worker: FakeWorker, registry: Registry) -> None:
    """Through `/ws/stream`."""
    says: asyncio.Queue[Message] = asyncio.Queue()
    told: asyncio.Queue[Message] = asyncio.Queue()
    hello = json.dumps({"type": "hello", "session": session.id})
    for message in ({"type": "connect"}, {"type": "receive", "text": hello}):
        says.put_nowait(message | {"type": f"websocket.{message['type']}"})
    scope = {"type": "websocket", "path": "/ws/stream", "headers": [], "query_string": b""}

    async with asyncio.timeout(5), asyncio.TaskGroup() as tasks:
        tasks.create_task(stream_router(registry)(scope, says.get, told.put))
        assert (await told.get())["type"] == "websocket.accept"
        assert json.loads((await told.get())["text"])["type"] == "opened"
        worker.say(refined=Refined(accepted=True, offer=offer(510)))
        words = json.loads((await told.get())["text"])
        says.put_nowait({"type": "websocket.disconnect"})

    assert (words["type"], words["keyframes"], words["reprojection_px"]) == (
        "calibration_offer",
        12,
        0,
    )
    assert words["camera"]["fx_px"] == 510


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


async def test_the_next_server_records_it_with_what_comes(tmp_path: Path) -> None:
    folder = tmp_path / "ab12"
    SessionRecord("ab12", 5, 0.01, epoch=1, map_epoch=1).write(folder)
    opening = OpenSession(sensor=ingest_pb2.SENSOR_MONO)
    with RecordingWriter(folder, opening) as writer:
        writer.write(ingest_pb2.FrameResult(capture_ns=5, epoch=1))
        writer.write(offer(510))
    registry = Registry(ServerConfig(recordings=tmp_path, keep_warm_worker=False))
    await registry.start()
    try:
        registry.get("ab12").viewed(ingest_pb2.FusedView(capture_ns=5))
    finally:
        await registry.close()

    with RecordingReader(segment_path(folder, 2)) as reader:
        assert [recorded.message for recorded in reader.messages([OFFER])] == [offer(510)]
