"""What a session has its worker do, in which order, and that it agrees with the recording."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from fake_worker import FakeWorker, until

from mapcast_client.rows import MeshRow, MeshRows
from mapcast_client.v1 import ingest_pb2
from mapcast_client.v1.ingest_pb2 import FrameResult
from replay.recording_reader import RecordingReader
from replay.recording_writer import RecordingWriter
from replay.retention import Retention
from stream.config import ServerConfig
from stream.listener import Received, Successor
from stream.mesh_columns import update_of
from stream.metrics import Metrics
from stream.recorder import NoRecorder, Recorder
from stream.sender import Sender
from stream.session import Session
from stream.worker_pb2 import MeshUpdate, Restored


class FakeRecovery:
    """Has one successor."""

    def __init__(self, worker: FakeWorker) -> None:
        self._worker = worker

    async def successor(self, reason: str, in_flight: list[Received], answered: int) -> Successor:
        return Successor(self._worker)

    def note(self, **changes: Any) -> None:
        pass

    def end_turn(self) -> None:
        pass


def frame(capture_ns: int) -> ingest_pb2.Frame:
    return ingest_pb2.Frame(index=capture_ns, capture_ns=capture_ns)


def fused(capture_ns: int) -> FrameResult:
    result = FrameResult(capture_ns=capture_ns, status=FrameResult.STATUS_FUSED)
    result.world_from_camera.qw = 1.0
    return result


@pytest.fixture
async def recorder(tmp_path: Path) -> Recorder:
    """Writes to `tmp_path`."""
    opening = ingest_pb2.OpenSession()
    retention = Retention(tmp_path, 1 << 30, 1e9)
    return Recorder(RecordingWriter(tmp_path, opening), retention, Metrics())


@asynccontextmanager
async def running(
    policy: ingest_pb2.Policy = ingest_pb2.POLICY_LIVE,
    recorder: Recorder | None = None,
    successor: FakeWorker | None = None,
) -> AsyncIterator[tuple[Session, Sender, FakeWorker]]:
    worker, sender = FakeWorker(), Sender()
    opening = ingest_pb2.OpenSession(sensor=ingest_pb2.SENSOR_RGBD, policy=policy)
    session = Session(
        "ab12",
        opening,
        worker,
        0.01,
        ServerConfig(),
        Metrics(),
        5,
        recorder or NoRecorder(),
        FakeRecovery(successor or FakeWorker()),
    )
    session.attach(sender)
    yield session, sender, worker
    await session.close("the test is over")


async def answers(sender: Sender, count: int) -> list[tuple[int, str]]:
    """Instants and reasons of the next results."""
    told = [await sender.next_message() for _ in range(count)]
    return [(message.result.capture_ns, message.result.reason) for message in told]


async def test_a_reset_that_a_worker_did_not_live_to_see_reaches_its_successor() -> None:
    successor = FakeWorker(is_restoring=True)
    async with running(successor=successor) as (session, sender, worker):
        await session.submit(sender, frame(100))
        await until(lambda: worker.heard == [100])
        await session.reset()
        await session.submit(sender, frame(5))  # its clock began anew
        await until(lambda: worker.heard == [100, "RESET", 5])
        worker.die()
        assert await answers(sender, 1) == [(100, "the session was reset")]
        successor.say(restored=Restored(answered_through=90))
        await until(lambda: len(successor.heard) == 2)
        assert successor.heard == ["RESET", 5]


async def test_a_reset_while_there_is_no_worker_is_the_first_that_the_next_one_hears() -> None:
    successor = FakeWorker(is_restoring=True)
    async with running(successor=successor) as (session, sender, worker):
        await session.submit(sender, frame(100))
        await until(lambda: worker.heard == [100])
        worker.die()
        await until(lambda: "recovering" in session.reason)
        resetting = asyncio.create_task(session.reset())
        assert await answers(sender, 1) == [(100, "the session was reset")]
        await session.submit(sender, frame(5))
        successor.say(restored=Restored(answered_through=90))
        await resetting
        await until(lambda: len(successor.heard) == 2)
        assert successor.heard == ["RESET", 5]


async def test_a_reset_that_a_worker_obeyed_is_not_repeated() -> None:
    successor = FakeWorker(is_restoring=True)
    async with running(successor=successor) as (session, sender, worker):
        await session.reset()
        await session.submit(sender, frame(5))
        worker.say(result=fused(5))
        assert await answers(sender, 1) == [(5, "")]
        await session.submit(sender, frame(6))
        await until(lambda: worker.heard == ["RESET", 5, 6])
        worker.die()
        successor.say(restored=Restored(answered_through=5))
        await until(lambda: successor.heard == [6])


async def test_a_lossless_frame_that_is_recorded_before_a_reset_is_not_fused_after_it(
    recorder: Recorder,
) -> None:
    async with running(ingest_pb2.POLICY_LOSSLESS, recorder) as (session, sender, worker):
        submitting = asyncio.create_task(session.submit(sender, frame(100)))
        await until(lambda: bool(recorder._pending) or submitting.done())
        recorder._thread.submit(lambda: None).result()  # written; the event loop is yet to hear
        await asyncio.create_task(session.reset())
        await submitting
        await until(lambda: "RESET" in worker.heard)
        await session.submit(sender, frame(5))
        await until(lambda: 5 in worker.heard)
        assert worker.heard[worker.heard.index("RESET") :] == ["RESET", 5]


async def test_live_frames_are_of_the_map_that_the_recording_says(
    tmp_path: Path, recorder: Recorder
) -> None:
    async with running(recorder=recorder) as (session, sender, worker):
        await session.submit(sender, frame(100))
        resetting = asyncio.create_task(session.reset())
        await asyncio.sleep(0)
        await session.submit(sender, frame(200))
        await resetting
        await until(lambda: 200 in worker.heard or 100 in worker.heard)
        await session._recorder.drained()
        with RecordingReader(tmp_path) as reader:
            after_reset = reader.capture_ns.tolist()
        await until(lambda: after_reset == [] or 200 in worker.heard)
        assert worker.heard[worker.heard.index("RESET") + 1 :] == after_reset


async def test_a_live_frame_that_will_not_be_recorded_is_not_fused(
    tmp_path: Path, recorder: Recorder
) -> None:
    async with running(recorder=recorder) as (session, sender, worker):
        await session.submit(sender, frame(100))
        await session.submit(sender, frame(99))
        ((capture_ns, reason),) = await answers(sender, 1)
        assert (capture_ns, reason) == (
            99,
            "frame 99: capture_ns is 99, must be greater than 100, the last frame's: "
            "time goes back",
        )
        await until(lambda: worker.heard == [100])
        await session.submit(sender, frame(101))
        await until(lambda: worker.heard == [100, 101])
        await session.reset()
        await session.submit(sender, frame(5))
        await until(lambda: worker.heard == [100, 101, "RESET", 5])
        with RecordingReader(tmp_path) as reader:
            assert reader.capture_ns.tolist() == [5]


def whole_update(block: int, is_last: bool) -> MeshUpdate:
    """A part of an update of all there is, with one block."""
    rows = MeshRows.join([MeshRow((block, 0, 0), bytes(9), bytes(9), bytes(6))])
    update = update_of(rows)
    update.epoch, update.is_whole, update.is_last = 1, True, is_last
    return update


async def test_blocks_of_a_whole_update_that_was_never_finished_are_not_kept() -> None:
    successor = FakeWorker(is_restoring=True)
    async with running(successor=successor) as (session, _, worker):
        worker.say(mesh=whole_update(1, is_last=False))
        worker.die()
        successor.say(mesh=whole_update(2, is_last=True))
        successor.say(restored=Restored())
        await until(lambda: not successor.is_restoring)
        assert [row.block for row in session.hub.rows()] == [(2, 0, 0)]
