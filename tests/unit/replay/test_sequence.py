import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from recordings import write_seven_scenes

from mapcast_client.errors import InputError
from mapcast_client.v1 import ingest_pb2
from replay.opening import open_sequence
from replay.sequence import frame_range, read_ahead, read_image_file


def read_ahead_threads() -> list[threading.Thread]:
    return [t for t in threading.enumerate() if t.name == "read-ahead"]


def test_items_come_in_order_and_no_thread_stays() -> None:
    assert list(read_ahead(lambda i: i * i, range(3, 40))) == [i * i for i in range(3, 40)]
    assert not read_ahead_threads()


def test_an_error_takes_its_place_in_the_order() -> None:
    def load(index: int) -> int:
        if index == 3:
            raise InputError("frame 3 is broken")
        return index

    items = read_ahead(load, range(10))
    assert [next(items) for _ in range(3)] == [0, 1, 2]
    with pytest.raises(InputError, match="frame 3 is broken"):
        next(items)
    assert not read_ahead_threads()


def test_it_reads_no_further_ahead_than_asked() -> None:
    loaded = threading.Semaphore(0)
    count = 0

    def load(index: int) -> int:
        nonlocal count
        count += 1
        loaded.release()
        return index

    items: Iterator[int] = read_ahead(load, range(100), depth=2)
    next(items)
    # One taken, two queued, one that waits for room.
    for _ in range(4):
        assert loaded.acquire(timeout=10)
    assert not loaded.acquire(timeout=0.1)
    assert count == 4
    items.close()  # type: ignore[attr-defined]
    assert not read_ahead_threads()


def test_closing_before_the_first_item_starts_nothing() -> None:
    items = read_ahead(lambda i: i, range(5))
    items.close()  # type: ignore[attr-defined]
    assert not read_ahead_threads()


def test_frame_range() -> None:
    assert list(frame_range(10, None, 0)) == list(range(10))
    assert list(frame_range(10, 3, 8)) == [8, 9]
    assert list(frame_range(10, 0, 0)) == []
    with pytest.raises(InputError, match="negative"):
        frame_range(10, -1, 0)
    with pytest.raises(InputError, match="negative"):
        frame_range(10, 5, -2)


def test_open_recognises_by_content(tmp_path: Path) -> None:
    folder = write_seven_scenes(tmp_path / "any name", 2)
    assert len(open_sequence(folder)) == 2
    assert len(open_sequence("rendered:frames=7")) == 7


def test_open_says_what_it_looked_for(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such file or folder"):
        open_sequence(tmp_path / "nowhere")
    with pytest.raises(InputError, match=r"7-Scenes .* TUM RGB-D .*rendered"):
        open_sequence(tmp_path)
    (tmp_path / "film.mp4").write_bytes(b"")
    with pytest.raises(InputError, match="no known recording"):
        open_sequence(str(tmp_path / "film.mp4"))


def test_image_files(tmp_path: Path) -> None:
    png = tmp_path / "a.jpg"  # the content counts, not the name
    png.write_bytes(b"\x89PNG\r\n\x1a\n...")
    assert read_image_file(png).encoding == ingest_pb2.IMAGE_ENCODING_PNG
    with pytest.raises(InputError, match=r"missing\.png: No such file"):
        read_image_file(tmp_path / "missing.png")
    (tmp_path / "empty.png").touch()
    with pytest.raises(InputError, match=r"empty\.png: neither JPEG nor PNG \(0 bytes\)"):
        read_image_file(tmp_path / "empty.png")
