import fcntl
import multiprocessing
import os
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from google.protobuf.descriptor_pb2 import FileDescriptorSet
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message_factory import GetMessageClass
from mcap.reader import make_reader

from mapcast_client.errors import InputError
from mapcast_client.v1 import ingest_pb2
from replay.recording import (
    CONTROL,
    FRAME,
    FUSED,
    IMU,
    OFFER,
    RESULT,
    Message,
    is_recording,
    segments,
)
from replay.recording_reader import OPEN_FILES, RecordingReader
from replay.recording_writer import RecordingWriter

OPENING = ingest_pb2.OpenSession(session="kitchen", sensor=ingest_pb2.SENSOR_RGBD)
RESET = ingest_pb2.Control(action=ingest_pb2.Control.ACTION_RESET)


def frame(capture_ns: int, data: bytes = b"pixels") -> ingest_pb2.Frame:
    return ingest_pb2.Frame(capture_ns=capture_ns, color=ingest_pb2.Image(data=data))


def fused(capture_ns: int, depth_scale: float) -> ingest_pb2.FusedView:
    return ingest_pb2.FusedView(capture_ns=capture_ns, depth_scale=depth_scale)


def record(folder: Path, messages: list[Message], segment_bytes: int = 1 << 20) -> None:
    with RecordingWriter(folder, OPENING, segment_bytes) as writer:
        for message in messages:
            writer.write(message)


def topics(folder: Path) -> list[tuple[str, int]]:
    with RecordingReader(folder) as reader:
        return [(recorded.topic, recorded.log_time_ns) for recorded in reader.messages()]


@pytest.fixture
def story() -> list[Message]:
    """What a short session says."""
    return [
        frame(5),
        ingest_pb2.ImuBatch(samples=[ingest_pb2.ImuSample(capture_ns=6)]),
        ingest_pb2.FrameResult(capture_ns=5, index=3),
        ingest_pb2.Control(action=ingest_pb2.Control.ACTION_PAUSE),
        frame(9),
        fused(5, 0.5),
        ingest_pb2.Corrections(epoch=4),
    ]


def test_messages_come_back_in_their_order(tmp_path: Path, story: list[Message]) -> None:
    record(tmp_path / "kitchen", story)
    with RecordingReader(tmp_path / "kitchen") as reader:
        recorded = list(reader.messages())
        assert [item.message for item in recorded] == [OPENING, *story]
        # What has no instant of its own is filed under the newest frame's.
        assert [item.log_time_ns for item in recorded] == [5, 5, 6, 5, 5, 9, 5, 9]
        assert [item.topic for item in reader.messages([IMU, CONTROL])] == [IMU, CONTROL]
        assert [item.message for item in reader.messages([FRAME], after_ns=5)] == [frame(9)]
        assert reader.opening == OPENING


def test_every_mcap_reader_reads_a_segment(tmp_path: Path, story: list[Message]) -> None:
    record(tmp_path, story)
    with (tmp_path / "000001.mcap").open("rb") as file:
        reader = make_reader(file, validate_crcs=True)
        summary = reader.get_summary()
        assert summary is not None
        assert summary.statistics is not None
        assert summary.statistics.message_count == 1 + len(story)
        assert {schema.name for schema in summary.schemas.values()} >= {"mapcast.v1.Frame"}
        schema, _, message = next(iter(reader.iter_messages([RESULT])))
    assert schema is not None
    assert schema.encoding == "protobuf"
    pool = DescriptorPool()  # that knows nothing but what the file tells
    for proto in FileDescriptorSet.FromString(schema.data).file:
        pool.Add(proto)
    result = GetMessageClass(pool.FindMessageTypeByName(schema.name))
    assert result.FromString(message.data).index == 3


def test_segments_rotate_and_a_later_writer_goes_on(tmp_path: Path) -> None:
    record(tmp_path, [frame(n, bytes(40_000)) for n in range(10)], segment_bytes=200_000)
    assert len(segments(tmp_path)) > 1
    before = len(segments(tmp_path))
    record(tmp_path, [frame(10)])
    assert [path.name for path in segments(tmp_path)][-1] == f"{before + 1:06}.mcap"
    with RecordingReader(tmp_path) as reader:
        assert reader.capture_ns.tolist() == list(range(11))
        for capture_ns in (0, 5, 10, 3):
            found = reader.frame(capture_ns)
            assert found is not None
            assert found.capture_ns == capture_ns
        openings = [item for item in reader.messages() if item.message == OPENING]
        assert len(openings) == before + 1  # each segment can be read without the others


def test_the_newest_offer_outlives_the_segment_that_it_came_in(tmp_path: Path) -> None:
    older, newest = (ingest_pb2.CalibrationOffer(keyframes=count) for count in (11, 24))

    def offers() -> list[Message]:
        with RecordingReader(tmp_path) as reader:
            return [recorded.message for recorded in reader.messages([OFFER])]

    record(tmp_path, [frame(1), older, newest, frame(2), frame(3)], segment_bytes=1)
    for path in segments(tmp_path)[:-1]:
        path.unlink()
    assert offers() == [newest]

    with RecordingWriter(tmp_path, OPENING, offer=newest) as writer:  # of the next server
        writer.write(frame(4))
    segments(tmp_path)[0].unlink()
    assert offers() == [newest]


def test_a_reader_follows_a_writer(tmp_path: Path) -> None:
    folder = tmp_path / "later"
    reader = RecordingReader(folder)
    assert reader.opening is None
    with RecordingWriter(folder, OPENING, 100_000) as writer:
        for capture_ns in range(1, 6):
            writer.write(frame(capture_ns, bytes(40_000)))
            assert reader.frame(capture_ns) is None
            reader.refresh()
            assert reader.frame(capture_ns) == frame(capture_ns, bytes(40_000))
        assert reader.frame(1) == frame(1, bytes(40_000))
        assert reader.opening == OPENING
        assert len(segments(folder)) > 1
    reader.close()


def test_few_files_stay_open(tmp_path: Path) -> None:
    count = 3 * OPEN_FILES
    record(tmp_path, [frame(n) for n in range(count)], segment_bytes=1)
    assert len(segments(tmp_path)) == count
    before = len(os.listdir("/proc/self/fd"))
    with RecordingReader(tmp_path) as reader:
        for capture_ns in [*range(count), *reversed(range(count))]:
            assert reader.frame(capture_ns) == frame(capture_ns)
        assert len(os.listdir("/proc/self/fd")) <= before + OPEN_FILES


def test_after_a_reset_the_earlier_frames_are_not_meant(tmp_path: Path) -> None:
    record(tmp_path, [frame(5), fused(5, 1), frame(9), RESET, frame(5, b"another")])
    with RecordingReader(tmp_path) as reader:
        assert reader.capture_ns.tolist() == [5]
        assert reader.frame(5) == frame(5, b"another")
        assert reader.frame(9) is None
        assert reader.fused_view(5) is None


def test_the_newest_fused_view_counts(tmp_path: Path) -> None:
    record(tmp_path, [fused(5, 1), fused(7, 1), fused(5, 2), fused(9, 2)])
    with RecordingReader(tmp_path) as reader:
        found = [reader.fused_view(capture_ns) for capture_ns in (5, 7, 9, 6)]
        assert found == [fused(5, 2), fused(7, 1), fused(9, 2), None]


def test_a_segment_that_is_gone_is_gone(tmp_path: Path) -> None:
    record(tmp_path, [frame(n) for n in range(3 * OPEN_FILES)], segment_bytes=1)
    with RecordingReader(tmp_path) as reader:
        segments(tmp_path)[0].unlink()
        assert reader.frame(0) is None
        assert reader.frame(1) == frame(1)
        assert next(reader.messages([FRAME])).log_time_ns == 1


@pytest.fixture(scope="module")
def unfinished(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[bytes, int, int]]:
    """A segment without its index, and where its last two records begin."""
    folder = tmp_path_factory.mktemp("unfinished")
    writer = RecordingWriter(folder, OPENING)
    path = folder / "000001.mcap"
    writer.write(frame(1))
    before_last = path.stat().st_size
    writer.write(frame(2))
    last = path.stat().st_size
    writer.write(frame(3, b"the last one"))
    yield path.read_bytes(), before_last, last
    writer.close()


def test_reading_stops_at_the_last_whole_record(
    unfinished: tuple[bytes, int, int], tmp_path: Path
) -> None:
    whole, _, last = unfinished
    path = tmp_path / "000001.mcap"
    for end in range(last, len(whole)):
        path.write_bytes(whole[:end])
        found = [time for topic, time in topics(tmp_path) if topic == FRAME]
        assert found[:2] == [1, 2]
        # After the chunk itself there is only its index.
        assert found[2:] in ([], [3])
        assert (found[2:] == [3]) >= (end == len(whole) - 1)
    path.write_bytes(whole)
    assert topics(tmp_path)[-1] == (FRAME, 3)


def test_a_segment_goes_on_where_it_was_torn(
    unfinished: tuple[bytes, int, int], tmp_path: Path
) -> None:
    """A reader of a growing file sees each record once it is whole."""
    whole, before_last, last = unfinished
    path = tmp_path / "000001.mcap"
    path.write_bytes(whole[: before_last + 20])
    with RecordingReader(tmp_path) as reader:
        assert reader.capture_ns.tolist() == [1]
        path.write_bytes(whole[: last + 5])
        reader.refresh()
        assert reader.capture_ns.tolist() == [1, 2]
        path.write_bytes(whole)
        reader.refresh()
        assert reader.capture_ns.tolist() == [1, 2, 3]


@pytest.mark.parametrize("tail", [bytes(500), b"\xff" * 500], ids=["zeros", "ones"])
def test_what_a_power_cut_leaves_ends_it(
    unfinished: tuple[bytes, int, int], tmp_path: Path, tail: bytes
) -> None:
    whole, _, last = unfinished
    (tmp_path / "000001.mcap").write_bytes(whole[:last] + tail)
    assert topics(tmp_path)[-1] == (FRAME, 2)


def test_a_damaged_message_is_not_read(
    unfinished: tuple[bytes, int, int], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    whole, _, _ = unfinished
    (tmp_path / "000001.mcap").write_bytes(whole.replace(b"the last one", b"the lost one"))
    with RecordingReader(tmp_path) as reader:
        assert reader.frame(2) == frame(2)
        assert reader.frame(3) is None
        assert "crc" in caplog.text
        assert [item.log_time_ns for item in reader.messages([FRAME])] == [1, 2]


def test_a_segment_of_zeros_costs_the_others_nothing(tmp_path: Path) -> None:
    record(tmp_path, [frame(1), frame(2)])
    (tmp_path / "000002.mcap").write_bytes(bytes(4096))
    with RecordingReader(tmp_path) as reader:
        assert reader.capture_ns.tolist() == [1, 2]
        assert len(list(reader.messages())) == 3


def test_what_is_no_mcap_is_refused(tmp_path: Path) -> None:
    (tmp_path / "000001.mcap").write_bytes(b"not MCAP at all")
    with pytest.raises(InputError, match=r"000001\.mcap: not an MCAP file"):
        RecordingReader(tmp_path)


def test_compressed_chunks_of_other_tools_are_read(tmp_path: Path) -> None:
    from mcap.writer import CompressionType, Writer

    path = tmp_path / "elsewhere.mcap"
    with path.open("wb") as file:
        writer = Writer(file, compression=CompressionType.ZSTD)
        writer.start()
        channels = {
            topic: writer.register_channel(topic, "protobuf", 0) for topic in (FRAME, FUSED)
        }
        for capture_ns in (3, 4):
            data = frame(capture_ns).SerializeToString()
            writer.add_message(channels[FRAME], capture_ns, data, capture_ns)
        writer.finish()
    assert is_recording(path)
    with RecordingReader(path) as reader:
        assert reader.capture_ns.tolist() == [3, 4]
        assert reader.frame(4) == frame(4)


def _write_until_killed(folder: Path, written: "multiprocessing.queues.SimpleQueue[int]") -> None:
    writer = RecordingWriter(folder, OPENING, 1 << 20)
    for capture_ns in range(1, 1 << 30):
        writer.write(frame(capture_ns, os.urandom(50_000)))
        written.put(capture_ns)


def test_what_was_written_survives_a_kill(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    written = context.SimpleQueue()
    process = context.Process(target=_write_until_killed, args=(tmp_path, written))
    process.start()
    while (through := written.get()) < 60:
        pass
    assert process.pid is not None
    os.kill(process.pid, signal.SIGKILL)
    process.join()
    while not written.empty():
        through = written.get()
    with RecordingReader(tmp_path) as reader:
        assert reader.capture_ns.tolist()[:through] == list(range(1, through + 1))
        assert all(reader.frame(capture_ns) is not None for capture_ns in range(1, through + 1))


def test_a_segment_is_locked_while_it_is_written(tmp_path: Path) -> None:
    writer = RecordingWriter(tmp_path, OPENING)
    writer.write(frame(1))
    with (tmp_path / "000001.mcap").open("rb") as file:
        with pytest.raises(BlockingIOError):
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        writer.close()
        fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)


def test_a_folder_that_cannot_be_written_is_an_oserror(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    writer = RecordingWriter(tmp_path / "file" / "session", OPENING)
    with pytest.raises(OSError, match="Not a directory"):
        writer.write(frame(1))
    shutil.rmtree(tmp_path)
    writer.close()
