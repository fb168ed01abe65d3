import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from recordings import write_images, write_seven_scenes
from videos import gray_levels, write_video

from mapcast_client.errors import InputError
from mapcast_client.v1 import ingest_pb2
from replay.images import ImagesSequence
from replay.intrinsics import Intrinsics
from replay.monocular import Monocular
from replay.opening import open_rgbd_sequence, open_sequence
from replay.sequence import frame_range, median_rate_hz, read_ahead, read_image_file
from replay.video import VideoSequence
from slam.camera import Calibration


def read_ahead_threads() -> list[threading.Thread]:
    return [t for t in threading.enumerate() if t.name == "read-ahead"]


def test_items_come_in_order_and_no_thread_stays() -> None:
    assert list(read_ahead(i * i for i in range(3, 40))) == [i * i for i in range(3, 40)]
    assert not read_ahead_threads()


def test_an_error_takes_its_place_in_the_order() -> None:
    def load(index: int) -> int:
        if index == 3:
            raise InputError("frame 3 is broken")
        return index

    items = read_ahead(map(load, range(10)))
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

    items: Iterator[int] = read_ahead(map(load, range(100)), depth=2)
    next(items)
    # One taken, two queued, one that waits for room.
    for _ in range(4):
        assert loaded.acquire(timeout=10)
    assert not loaded.acquire(timeout=0.1)
    assert count == 4
    items.close()  # type: ignore[attr-defined]
    assert not read_ahead_threads()


def test_closing_before_the_first_item_starts_nothing() -> None:
    items = read_ahead(range(5))
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


def test_the_rate_is_that_of_the_median_interval() -> None:
    assert median_rate_hz(np.array([0, 50, 100, 900]) * 1_000_000) == 20
    assert median_rate_hz(np.array([5])) == 30


def test_open_recognises_by_content(tmp_path: Path) -> None:
    folder = write_seven_scenes(tmp_path / "any name", 2)
    assert len(open_sequence(folder)) == 2
    assert len(open_sequence("rendered:frames=7")) == 7
    assert open_sequence(folder).sensor == "rgbd"
    film = write_video(tmp_path / "film.of.any.name", gray_levels(3), [0, 33, 67], format="mp4")
    assert isinstance(open_sequence(film), VideoSequence)
    pictures = tmp_path / "pictures"
    pictures.mkdir()
    for name in ("a.png", "b.png"):
        write_images(pictures / name, tmp_path / "unused.png", 0)
    assert isinstance(open_sequence(pictures), ImagesSequence)


def test_mono_leaves_depth_out(tmp_path: Path) -> None:
    folder = write_seven_scenes(tmp_path, 2)
    intrinsics = Intrinsics(55, 55, 31.5, 23.5)
    sequence = open_sequence(folder, mono=True)
    assert isinstance(sequence, Monocular)
    assert sequence.calibration == Calibration(open_rgbd_sequence(folder).calibration.camera)
    other = open_sequence("rendered:frames=7", mono=True, intrinsics=intrinsics)
    assert other.calibration is not None
    assert other.calibration.camera.fx_px == 55
    with pytest.raises(InputError, match="it brings its own calibration"):
        open_sequence(folder, intrinsics=intrinsics)


def test_open_says_what_it_looked_for(tmp_path: Path) -> None:
    for opening in (open_sequence, open_rgbd_sequence):
        with pytest.raises(InputError, match="no such file or folder"):
            opening(tmp_path / "nowhere")
    with pytest.raises(InputError, match=r"7-Scenes .* TUM RGB-D .* pictures .* video.*rendered"):
        open_sequence(tmp_path)
    (tmp_path / "film.mp4").write_bytes(b"")
    with pytest.raises(InputError, match=r"film\.mp4: cannot be decoded as a video"):
        open_sequence(str(tmp_path / "film.mp4"))
    with pytest.raises(InputError, match=r"film\.mp4: no recording with depth"):
        open_rgbd_sequence(tmp_path / "film.mp4")


def test_image_files(tmp_path: Path) -> None:
    webp = tmp_path / "a.webp"
    webp.write_bytes(b"RIFF\x24\0\0\0WEBPVP8 ...")
    assert read_image_file(webp).encoding == ingest_pb2.IMAGE_ENCODING_WEBP
    png = tmp_path / "a.jpg"  # the content counts, not the name
    png.write_bytes(b"\x89PNG\r\n\x1a\n...")
    assert read_image_file(png).encoding == ingest_pb2.IMAGE_ENCODING_PNG
    with pytest.raises(InputError, match=r"missing\.png: No such file"):
        read_image_file(tmp_path / "missing.png")
    (tmp_path / "empty.png").touch()
    with pytest.raises(InputError, match=r"empty\.png: neither JPEG, PNG nor WebP \(0 bytes\)"):
        read_image_file(tmp_path / "empty.png")
