import os
from pathlib import Path

import pytest

from mapcast_client.v1 import ingest_pb2
from replay.recording import segments
from replay.recording_writer import RecordingWriter
from replay.retention import Retention, is_being_written

NOW_S = 1_000_000.0
FOREVER_S = 1e9
UNBOUNDED_BYTES = 1 << 40
SEGMENT_BYTES = 10_000


def a_segment(recordings: Path, session: str, number: int, age_s: float) -> Path:
    folder = recordings / session
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{number:06}.mcap"
    path.write_bytes(bytes(SEGMENT_BYTES))
    os.utime(path, (NOW_S - age_s, NOW_S - age_s))
    return path


@pytest.fixture
def recordings(tmp_path: Path) -> Path:
    """A week-old session, and one that began before it and went on after."""
    for session, ages_s in {"long": (900, 500, 100), "short": (800, 700)}.items():
        for number, age_s in enumerate(ages_s, 1):
            a_segment(tmp_path, session, number, age_s)
    return tmp_path


def left(recordings: Path) -> list[str]:
    paths = (path for session in recordings.iterdir() for path in segments(session))
    return sorted(f"{path.parent.name}/{int(path.stem)}" for path in paths)


def test_the_oldest_segments_go_first_whichever_session_they_are_of(recordings: Path) -> None:
    retention = Retention(recordings, 3 * SEGMENT_BYTES, FOREVER_S)
    assert retention.apply(NOW_S) == 2
    assert left(recordings) == ["long/2", "long/3", "short/2"]
    assert retention.apply(NOW_S) == 0


def test_what_is_too_old_goes_whatever_room_there_is(recordings: Path) -> None:
    assert Retention(recordings, UNBOUNDED_BYTES, 600).apply(NOW_S) == 3
    assert left(recordings) == ["long/2", "long/3"]


def test_a_session_without_segments_goes_with_all_that_is_in_it(recordings: Path) -> None:
    state = recordings / "short" / "checkpoint" / "state"
    state.parent.mkdir()
    state.write_bytes(bytes(SEGMENT_BYTES))
    # What lies beside the segments counts, too: there are six files, and room for three.
    Retention(recordings, 3 * SEGMENT_BYTES, FOREVER_S).apply(NOW_S)
    assert not (recordings / "short").exists()
    assert left(recordings) == ["long/2", "long/3"]


def test_a_session_that_never_had_a_frame_goes_when_it_is_old(tmp_path: Path) -> None:
    for age_s in (10, 700):
        path = tmp_path / f"{age_s}" / "session.json"
        path.parent.mkdir()
        path.write_text("{}")
        os.utime(path, (NOW_S - age_s, NOW_S - age_s))
    assert Retention(tmp_path, UNBOUNDED_BYTES, 600).apply(NOW_S) == 0
    assert [path.name for path in tmp_path.iterdir()] == ["10"]


def test_what_is_no_session_is_neither_counted_nor_removed(recordings: Path) -> None:
    photographs = recordings / "photographs" / "one.jpg"
    photographs.parent.mkdir()
    photographs.write_bytes(bytes(9 * SEGMENT_BYTES))
    os.utime(photographs, (NOW_S - 1e6, NOW_S - 1e6))
    assert Retention(recordings, 5 * SEGMENT_BYTES, 5000.0).apply(NOW_S) == 0
    assert Retention(recordings, 0, 0.0).apply(NOW_S) == 5
    assert photographs.exists()


def test_what_is_being_written_stays(tmp_path: Path) -> None:
    with RecordingWriter(tmp_path / "live", ingest_pb2.OpenSession(), SEGMENT_BYTES) as writer:
        for capture_ns in range(3):
            color = ingest_pb2.Image(data=bytes(SEGMENT_BYTES))
            writer.write(ingest_pb2.Frame(capture_ns=capture_ns, color=color))
        newest = segments(tmp_path / "live")[-1]
        assert is_being_written(newest)
        assert Retention(tmp_path, 0, 0.0).apply(NOW_S + 1e10) == 2
        assert segments(tmp_path / "live") == [newest]
        assert writer.write(ingest_pb2.Frame(capture_ns=4)) > 0
    assert not is_being_written(newest)
    Retention(tmp_path, 0, 0.0).apply(NOW_S + 1e10)
    assert list(tmp_path.iterdir()) == []


def test_no_recordings_are_within_any_limit(tmp_path: Path) -> None:
    assert Retention(tmp_path / "nothing", 0, 0.0).apply(NOW_S) == 0
