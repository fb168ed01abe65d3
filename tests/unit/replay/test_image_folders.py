import threading
from pathlib import Path

import cv2
import numpy as np
import pytest

from mapcast_client.errors import InputError
from mapcast_client.v1 import ingest_pb2
from replay.images import ImagesSequence
from replay.intrinsics import Intrinsics
from slam.camera import Camera
from slam.images import decode_monocular_frame

CAMERA = Camera(64, 48, 60, 60, 31.5, 23.5)


def write_pictures(folder: Path, names: list[str], size_px: tuple[int, int] = (64, 48)) -> Path:
    """Picture i is evenly 20 + 10·i."""
    folder.mkdir(parents=True, exist_ok=True)
    for i, name in enumerate(names):
        picture = np.full((size_px[1], size_px[0], 3), 20 + 10 * i, np.uint8)
        assert cv2.imwrite(str(folder / name), picture)
    return folder


def levels(sequence: ImagesSequence) -> list[int]:
    frames = (decode_monocular_frame(frame, CAMERA) for frame in sequence.frames())
    return [round((float(frame.color.mean()) - 20) / 10) for frame in frames]


@pytest.mark.parametrize(
    ("suffix", "encoding"),
    [
        (".jpg", ingest_pb2.IMAGE_ENCODING_JPEG),
        (".PNG", ingest_pb2.IMAGE_ENCODING_PNG),
        (".webp", ingest_pb2.IMAGE_ENCODING_WEBP),
    ],
)
def test_files_travel_as_they_are(tmp_path: Path, suffix: str, encoding: int) -> None:
    folder = write_pictures(tmp_path / "walk", [f"{i}{suffix}" for i in range(3)])
    (folder / "notes.txt").write_text("not a picture")
    assert ImagesSequence.recognises(folder)
    sequence = ImagesSequence(folder)
    assert (sequence.name, sequence.sensor, len(sequence)) == ("walk", "mono", 3)
    assert sequence.calibration is None
    frames = list(sequence.frames())
    assert [frame.color.encoding for frame in frames] == [encoding] * 3
    assert frames[1].color.data == (folder / f"1{suffix}").read_bytes()
    assert (frames[1].color.width_px, frames[1].color.height_px) == (64, 48)
    assert not frames[1].HasField("depth")
    assert levels(sequence) == [0, 1, 2]


def test_numbers_sort_by_their_value_and_time_is_index_over_rate(tmp_path: Path) -> None:
    folder = write_pictures(tmp_path, ["img1.png", "img2.png", "img10.png"])
    sequence = ImagesSequence(folder, rate_hz=20)
    assert levels(sequence) == [0, 1, 2]
    assert [frame.capture_ns for frame in sequence.frames()] == [0, 50_000_000, 100_000_000]
    assert sequence.frame_rate_hz == 20
    (later,) = sequence.frames(start=2)
    assert (later.index, later.capture_ns) == (2, 100_000_000)


@pytest.mark.parametrize(
    "names",
    [
        ["1403636579763555584.png", "1403636579813555456.png"],
        ["1403636579763555.png", "1403636579813555.png"],
        ["1403636579763.png", "1403636579813.png"],
        ["1403636579.763555.png", "1403636579.813555.png"],
    ],
)
def test_names_that_are_times_say_when(tmp_path: Path, names: list[str]) -> None:
    first, second = ImagesSequence(write_pictures(tmp_path, names)).frames()
    assert first.capture_ns == pytest.approx(1_403_636_579_763_555_584, abs=1_000_000)
    assert second.capture_ns - first.capture_ns == pytest.approx(50_000_000, abs=1_000)


def test_a_time_among_other_names_is_no_time(tmp_path: Path) -> None:
    names = ["1403636579763555584.png", "copy.png"]
    assert next(iter(ImagesSequence(write_pictures(tmp_path, names)).frames())).capture_ns == 0


def test_a_calibration_that_is_given_is_the_sequences(tmp_path: Path) -> None:
    folder = write_pictures(tmp_path, ["0.png", "1.png"])
    calibration = ImagesSequence(folder, Intrinsics(60, 60, 31.5, 23.5)).calibration
    assert calibration is not None
    assert calibration.camera == CAMERA
    with pytest.raises(InputError, match="another shape"):
        ImagesSequence(folder, Intrinsics(60, 60, 31.5, 23.5, size_px=(640, 360)))


def test_what_cannot_be_used_is_named(tmp_path: Path) -> None:
    folder = write_pictures(tmp_path, ["0.png", "1.png", "2.png", "3.png"])
    write_pictures(folder, ["1.png"], (32, 48))
    sequence = ImagesSequence(folder)
    frames = sequence.frames()
    assert next(frames).index == 0
    with pytest.raises(InputError, match=r"1\.png: 32x48 px, must be 64x48 px as 0\.png"):
        next(frames)
    (folder / "2.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    with pytest.raises(InputError, match=r"2\.png: .*PNG"):
        next(sequence.frames(start=2))
    (folder / "3.png").write_bytes(b"no picture")
    with pytest.raises(InputError, match=r"3\.png: neither JPEG, PNG nor WebP"):
        next(sequence.frames(start=3))
    (folder / "0.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    with pytest.raises(InputError, match=r"0\.png: "):
        ImagesSequence(folder)
    assert not [thread for thread in threading.enumerate() if thread.name == "read-ahead"]


def test_a_folder_without_pictures(tmp_path: Path) -> None:
    assert not ImagesSequence.recognises(tmp_path)
    with pytest.raises(InputError, match="no picture"):
        ImagesSequence(tmp_path)
    assert not ImagesSequence.recognises(write_pictures(tmp_path, ["portrait.jpg"]))
