import asyncio
import threading
from collections.abc import Callable
from contextlib import AbstractContextManager
from functools import partial
from pathlib import Path

import pytest

from mapcast_client.v1 import ingest_pb2
from replay.recording import FRAME, Message, segments
from replay.recording_reader import RecordingReader
from replay.recording_writer import RecordingWriter
from replay.retention import Retention
from stream import recorder as recorder_module
from stream.metrics import Metrics
from stream.recorder import WAITING_FRAMES, Recorder

OPENING = ingest_pb2.OpenSession(session="kitchen")
RESET = ingest_pb2.Control(action=ingest_pb2.Control.ACTION_RESET)


def frame(capture_ns: int, data: bytes = b"pixels") -> ingest_pb2.Frame:
    return ingest_pb2.Frame(capture_ns=capture_ns, color=ingest_pb2.Image(data=data))


class GatedWriter(RecordingWriter):
    """A disk that takes nothing until its gate is opened."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder, OPENING)
        self.gate = threading.Event()

    def write(self, message: Message) -> int:
        self.gate.wait()
        return super().write(message)


@pytest.fixture
def metrics() -> Metrics:
    return Metrics()


def a_recorder(
    folder: Path, metrics: Metrics, writer: RecordingWriter | None = None, limit: int = 1 << 30
) -> Recorder:
    writer = writer or RecordingWriter(folder / "kitchen", OPENING, 1 << 20)
    return Recorder(writer, Retention(folder, limit, 1e9), metrics)


def recorded(folder: Path) -> list[int]:
    with RecordingReader(folder / "kitchen") as reader:
        return reader.capture_ns.tolist()


async def test_a_frame_is_on_disk_when_record_returns(tmp_path: Path, metrics: Metrics) -> None:
    recorder = a_recorder(tmp_path, metrics)
    assert recorder.recorded_through == 0
    await recorder.record(frame(5))
    assert recorder.recorded_through == 5
    assert recorded(tmp_path) == [5]
    assert metrics.recorded_bytes._value.get() > 0
    await recorder.close()
    await recorder.record(frame(6))
    assert recorded(tmp_path) == [5]


async def test_a_slow_disk_refuses_frames_and_loses_none_that_it_took(
    tmp_path: Path, metrics: Metrics
) -> None:
    writer = GatedWriter(tmp_path / "kitchen")
    recorder = a_recorder(tmp_path, metrics, writer)
    done: list[int] = []

    def offer(capture_ns: int) -> bool:
        return recorder.offer(frame(capture_ns), lambda: done.append(capture_ns))

    taken = [n for n in range(1, 10) if offer(n)]
    assert taken == list(range(1, 1 + WAITING_FRAMES))
    assert done == []
    writer.gate.set()
    await recorder.drained()
    assert done == taken
    assert offer(10)
    await recorder.close()
    assert recorded(tmp_path) == [*taken, 10]
    assert recorder.failure == ""


async def test_a_disk_that_stands_still_is_given_up(
    tmp_path: Path, metrics: Metrics, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recorder_module, "STALL_TIMEOUT_S", 0.05)
    writer = GatedWriter(tmp_path / "kitchen")
    recorder = a_recorder(tmp_path, metrics, writer)
    done: list[int] = []
    assert recorder.offer(frame(1), lambda: done.append(1))
    await recorder.record(frame(2))  # returns although nothing is written
    assert "took nothing" in recorder.failure
    await asyncio.sleep(0)
    assert done == [1]
    assert metrics.recording_failures._value.get() == 1
    assert recorder.recorded_through == 0
    writer.gate.set()
    await recorder.close()


async def test_a_full_disk_ends_the_recording_and_nothing_else(
    tmp_path: Path, metrics: Metrics, files_end_at: Callable[[int], AbstractContextManager[None]]
) -> None:
    recorder = a_recorder(tmp_path, metrics)
    with files_end_at(400_000):
        for capture_ns in range(1, 9):
            await recorder.record(frame(capture_ns, bytes(60_000)))
    assert "File too large" in recorder.failure
    assert 0 < recorder.recorded_through < 8
    await recorder.record(frame(9))
    recorder.note(ingest_pb2.FrameResult(capture_ns=9))
    assert recorder.offer(frame(10), lambda: None)
    await recorder.close()
    assert recorded(tmp_path) == list(range(1, recorder.recorded_through + 1))
    assert metrics.recording_failures._value.get() == 1


async def test_a_folder_that_cannot_be_made_is_said(tmp_path: Path, metrics: Metrics) -> None:
    (tmp_path / "kitchen").write_text("in the way")
    recorder = a_recorder(tmp_path, metrics)
    await recorder.record(frame(1))
    assert "kitchen" in recorder.failure
    await recorder.close()


async def test_an_instant_means_one_frame_until_a_reset(tmp_path: Path, metrics: Metrics) -> None:
    recorder = a_recorder(tmp_path, metrics)
    for message in (frame(5), frame(5, b"again"), frame(3), frame(6)):
        await recorder.record(message)
    with RecordingReader(tmp_path / "kitchen") as reader:
        assert [item.message for item in reader.messages([FRAME])] == [frame(5), frame(6)]
    recorder.note(RESET)
    await recorder.record(frame(5, b"another map"))
    await recorder.close()
    assert recorded(tmp_path) == [5]


async def test_old_segments_go_while_a_session_lives(tmp_path: Path, metrics: Metrics) -> None:
    recorder = a_recorder(tmp_path, metrics, limit=4 << 20)
    for capture_ns in range(100):
        await recorder.record(frame(capture_ns, bytes(100_000)))
    await recorder.close()
    assert 1 < len(segments(tmp_path / "kitchen")) <= 5
    assert recorded(tmp_path)[-1] == 99


class FailingWriter(RecordingWriter):
    """A disk that one message does not fit on."""

    def __init__(self, folder: Path, failing_ns: int, error: Exception) -> None:
        super().__init__(folder, OPENING)
        self._failing_ns = failing_ns
        self._error = error

    def write(self, message: Message) -> int:
        if isinstance(message, ingest_pb2.Frame) and message.capture_ns == self._failing_ns:
            raise self._error
        return super().write(message)


def let_it_write(recorder: Recorder) -> None:
    """Return when all is written; the event loop has not heard of it then."""
    recorder._thread.submit(lambda: None).result()


async def test_nothing_is_recorded_after_what_could_not_be(
    tmp_path: Path, metrics: Metrics
) -> None:
    writer = FailingWriter(tmp_path / "kitchen", 2, OSError(28, "No space left on device"))
    recorder = a_recorder(tmp_path, metrics, writer)
    for capture_ns in (1, 2, 3):
        assert recorder.offer(frame(capture_ns), lambda: None)
    let_it_write(recorder)
    await recorder.drained()
    assert recorder.recorded_through == 1
    assert "No space left" in recorder.failure
    await recorder.close()
    assert recorded(tmp_path) == [1]


async def test_a_bug_on_the_thread_ends_the_recording_and_says_so(
    tmp_path: Path, metrics: Metrics, caplog: pytest.LogCaptureFixture
) -> None:
    writer = FailingWriter(tmp_path / "kitchen", 2, ValueError("not a frame"))
    recorder = a_recorder(tmp_path, metrics, writer)
    done: list[int] = []
    for capture_ns in (1, 2, 3):
        assert recorder.offer(frame(capture_ns), partial(done.append, capture_ns))
    async with asyncio.timeout(5):
        await recorder.drained()
    assert recorder.failure == "recording ended: internal error: ValueError('not a frame')"
    assert "Traceback" in caplog.text
    assert done == [1, 2, 3]
    assert recorder.recorded_through == 1
    await recorder.close()


async def test_what_follows_a_frame_has_followed_when_all_is_drained(
    tmp_path: Path, metrics: Metrics
) -> None:
    recorder = a_recorder(tmp_path, metrics)
    done: list[int] = []

    async def drain() -> list[int]:
        await recorder.drained()
        return list(done)

    assert recorder.offer(frame(1), lambda: done.append(1))
    let_it_write(recorder)
    assert await asyncio.create_task(drain()) == [1]
    await recorder.close()


async def test_it_says_which_frames_it_does_not_record(tmp_path: Path, metrics: Metrics) -> None:
    recorder = a_recorder(tmp_path, metrics)
    assert recorder.why_not(frame(5)) == ""
    assert recorder.offer(frame(5), lambda: None)
    assert "time goes back" in recorder.why_not(frame(5))
    assert recorder.why_not(frame(6)) == ""
    recorder.note(RESET)
    assert recorder.why_not(frame(5)) == ""
    await recorder.record(frame(5))
    await recorder.close()
    assert recorder.why_not(frame(5)) == ""
