import subprocess
import sys
import threading
from fractions import Fraction
from pathlib import Path

import av
import cv2
import imageio_ffmpeg
import numpy as np
import pytest
from videos import BLUE, GREEN, RED, WHITE, gray_levels, quarters, write_video

from mapcast_client.errors import DependencyError, InputError
from mapcast_client.v1 import ingest_pb2
from replay.intrinsics import Intrinsics
from replay.video import VideoSequence

EVEN_MS = [0, 33, 67, 100, 133, 167]


def decoded(frame: ingest_pb2.Frame) -> np.ndarray:
    """(H, W, 3) sRGB, as the server reads it."""
    image = frame.color
    assert image.encoding == ingest_pb2.IMAGE_ENCODING_I420
    rows = np.frombuffer(image.data, np.uint8).reshape(image.height_px * 3 // 2, image.width_px)
    return cv2.cvtColor(rows, cv2.COLOR_YUV2RGB_I420)


def corners(picture: np.ndarray) -> list[tuple[int, ...]]:
    """The colours of the quarters: above left and right, below left and right."""
    height, width = picture.shape[:2]
    places = [(height // 4, width // 4), (height // 4, 3 * width // 4)]
    places += [(3 * height // 4, column) for _, column in places]
    return [tuple(picture[place].tolist()) for place in places]


def level(frame: ingest_pb2.Frame) -> int:
    """Which of `gray_levels` it is."""
    return round((float(decoded(frame).mean()) - 20) / 5)


def assert_colors(picture: np.ndarray, expected: list[tuple[int, int, int]]) -> None:
    assert np.abs(np.array(corners(picture)) - expected).max() <= 6


def test_every_frame_at_its_time_as_raw_planes(tmp_path: Path) -> None:
    path = write_video(tmp_path / "walk.mp4", gray_levels(6), EVEN_MS)
    sequence = VideoSequence(path)
    assert (sequence.name, sequence.sensor, len(sequence)) == ("walk.mp4", "mono", 6)
    assert sequence.calibration is None
    assert sequence.ground_truth is None
    assert sequence.frame_rate_hz == pytest.approx(30, rel=0.02)
    frames = list(sequence.frames())
    assert [frame.index for frame in frames] == list(range(6))
    assert [frame.capture_ns for frame in frames] == [ms * 1_000_000 for ms in EVEN_MS]
    assert [level(frame) for frame in frames] == list(range(6))
    assert not frames[0].HasField("depth")
    assert (frames[0].color.width_px, frames[0].color.height_px) == (64, 48) == sequence.size_px


def test_a_part_has_the_same_frames(tmp_path: Path) -> None:
    sequence = VideoSequence(write_video(tmp_path / "a.mp4", gray_levels(6), EVEN_MS))
    everything = list(sequence.frames())
    assert list(sequence.frames(2, start=3)) == everything[3:5]
    assert list(sequence.frames(99, start=4)) == everything[4:]
    with pytest.raises(InputError, match="negative"):
        sequence.frames(start=-1)


def test_closing_ends_the_thread(tmp_path: Path) -> None:
    frames = VideoSequence(write_video(tmp_path / "a.mp4", gray_levels(30), range(0, 990, 33)))
    iterator = frames.frames()
    next(iterator)
    iterator.close()  # type: ignore[attr-defined]
    assert not [thread for thread in threading.enumerate() if thread.name == "read-ahead"]


@pytest.mark.parametrize(
    ("turned_deg", "mirrored", "size_px", "expected"),
    [
        (None, False, (64, 48), [RED, GREEN, BLUE, WHITE]),
        (0, False, (64, 48), [RED, GREEN, BLUE, WHITE]),
        (-90, False, (48, 64), [BLUE, RED, WHITE, GREEN]),  # a phone held upright
        (90, False, (48, 64), [GREEN, WHITE, RED, BLUE]),
        (180, False, (64, 48), [WHITE, BLUE, GREEN, RED]),
        (0, True, (64, 48), [GREEN, RED, WHITE, BLUE]),
    ],
)
def test_pictures_come_upright(
    tmp_path: Path,
    turned_deg: int | None,
    mirrored: bool,
    size_px: tuple[int, int],
    expected: list[tuple[int, int, int]],
) -> None:
    path = write_video(
        tmp_path / "phone.mp4",
        [quarters(64, 48)] * 2,
        [0, 33],
        turned_deg=turned_deg,
        mirrored=mirrored,
    )
    sequence = VideoSequence(path)
    assert sequence.size_px == size_px
    frame = next(iter(sequence.frames()))
    assert_colors(decoded(frame), expected)


def test_uneven_times_stay_as_they_are(tmp_path: Path) -> None:
    times_ms = [0, 40, 70, 300, 333, 420]
    sequence = VideoSequence(write_video(tmp_path / "vfr.mp4", gray_levels(6), times_ms))
    frames = list(sequence.frames())
    assert [frame.capture_ns // 1_000_000 for frame in frames] == times_ms
    assert [level(frame) for frame in frames] == list(range(6))


@pytest.mark.parametrize(
    ("source_hz", "rate_hz", "every"), [(60, 30, 2), (61, 30, 2), (120, 30, 4), (30, 30, 1)]
)
def test_faster_videos_are_thinned_to_a_steady_beat(
    tmp_path: Path, source_hz: int, rate_hz: float, every: int
) -> None:
    times_ms = [round(1000 * i / source_hz) for i in range(24)]
    path = write_video(tmp_path / "fast.mp4", gray_levels(24), times_ms)
    sequence = VideoSequence(path, rate_hz=rate_hz)
    assert len(sequence) == 24 // every
    assert [level(frame) for frame in sequence.frames()] == list(range(0, 24, every))
    assert [frame.index for frame in sequence.frames()] == list(range(24 // every))


def test_frames_of_the_same_instant_come_once(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.mkv", gray_levels(4), [0, 33, 34, 100], codec="mpeg4")
    sequence = VideoSequence(path, rate_hz=60)
    instants = [frame.capture_ns for frame in sequence.frames()]
    assert all(np.diff(instants) > 0)
    assert len(sequence) == len(instants)


@pytest.mark.parametrize("turned_deg", [0, -90])
def test_odd_sides_lose_a_row_and_a_column(tmp_path: Path, turned_deg: int) -> None:
    path = write_video(
        tmp_path / "odd.mkv",
        [quarters(63, 47)] * 2,
        [0, 33],
        codec="ffv1",
        pixels="yuv444p",
        turned_deg=turned_deg,
    )
    sequence = VideoSequence(path)
    width_px, height_px = sequence.size_px
    assert {width_px, height_px} == {62, 46}
    frame = next(iter(sequence.frames()))
    assert len(frame.color.data) == 62 * 46 * 3 // 2
    assert sorted(corners(decoded(frame))) == pytest.approx(
        np.array(sorted([RED, GREEN, BLUE, WHITE])), abs=6
    )


def test_large_pictures_are_made_smaller_with_their_calibration(tmp_path: Path) -> None:
    path = write_video(tmp_path / "large.mp4", [quarters(640, 480)] * 2, [0, 33])
    intrinsics = Intrinsics(600.0, 600.0, 319.5, 239.5)
    sequence = VideoSequence(path, intrinsics, max_side_px=320)
    assert sequence.size_px == (320, 240)
    assert_colors(decoded(next(iter(sequence.frames()))), [RED, GREEN, BLUE, WHITE])
    assert sequence.calibration is not None
    camera = sequence.calibration.camera
    assert (camera.fx_px, camera.cx_px, camera.cy_px) == (300.0, 159.5, 119.5)


def test_pixels_that_are_not_square_become_so(tmp_path: Path) -> None:
    path = write_video(tmp_path / "dv.mp4", [quarters(64, 48)] * 2, [0, 33], aspect=Fraction(4, 3))
    assert VideoSequence(path).size_px == (84, 48)


@pytest.mark.parametrize("pixels", ["yuvj420p", "yuv444p"])
def test_colors_arrive_whatever_the_file_has(tmp_path: Path, pixels: str) -> None:
    path = write_video(tmp_path / "color.mp4", [quarters(64, 48)] * 2, [0, 33], pixels=pixels)
    assert_colors(decoded(next(iter(VideoSequence(path).frames()))), [RED, GREEN, BLUE, WHITE])


def test_a_calibration_is_for_the_upright_picture(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.mp4", [quarters(64, 48)] * 2, [0, 33], turned_deg=-90)
    upright = Intrinsics(60.0, 61.0, 23.5, 31.5, size_px=(48, 64))
    calibration = VideoSequence(path, upright).calibration
    assert calibration is not None
    assert (calibration.camera.width_px, calibration.camera.fx_px) == (48, 60.0)
    sideways = Intrinsics(60.0, 60.0, 31.5, 23.5, size_px=(64, 48))
    with pytest.raises(InputError, match="for 64x48 px, the recording has 48x64 px"):
        VideoSequence(path, sideways)


def test_a_file_that_is_no_video_says_so(tmp_path: Path) -> None:
    path = tmp_path / "film.mp4"
    path.write_bytes(b"")
    with pytest.raises(InputError, match=r"film\.mp4: cannot be decoded as a video"):
        VideoSequence(path)
    path.write_text("not a video at all\n" * 100)
    with pytest.raises(InputError, match=r"film\.mp4: "):
        VideoSequence(path)


def test_a_recording_that_was_never_finished_says_so(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.mp4", gray_levels(6), EVEN_MS)
    path.write_bytes(path.read_bytes()[:-400])  # its index is at the end
    with pytest.raises(InputError, match=r"a\.mp4: cannot be decoded as a video: Invalid data"):
        VideoSequence(path)


def test_a_file_that_was_cut_off_gives_what_is_there_and_then_says_so(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    noise = rng.integers(0, 255, (30, 48, 64, 3)).astype(np.uint8)
    path = write_video(tmp_path / "a.mp4", noise, range(0, 990, 33), "mpeg4", movflags="faststart")
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2])
    sequence = VideoSequence(path)
    assert 5 < len(sequence) < 25
    iterator = sequence.frames()
    frames = [next(iterator) for _ in range(len(sequence))]
    with pytest.raises(InputError, match=r"a\.mp4: cut off after \d+ of 30 frames; with a limit"):
        next(iterator)
    assert list(sequence.frames(len(sequence))) == frames


def cut(path: Path, start_ms: int, stop_ms: int) -> Path:
    """Trim as cameras do: everything stays in the file, its edit list says what is shown."""
    data = bytearray(path.read_bytes())
    entry = data.index(b"elst") + 12  # after version, flags and count: duration, start, rate
    stream_start = int.from_bytes(data[entry + 4 : entry + 8], "big")
    with av.open(str(path)) as container:
        time_base = container.streams.video[0].time_base
    assert time_base is not None
    start = stream_start + round(start_ms / 1000 / time_base)
    data[entry : entry + 4] = (stop_ms - start_ms).to_bytes(4, "big")
    data[entry + 4 : entry + 8] = start.to_bytes(4, "big")
    path.write_bytes(data)
    return path


@pytest.mark.parametrize(
    ("start_ms", "stop_ms", "shown"),
    [(500, 1333, range(15, 40)), (0, 600, range(18)), (500, 700, range(15, 21))],
)
def test_a_video_that_was_trimmed_is_whole(
    tmp_path: Path, start_ms: int, stop_ms: int, shown: range
) -> None:
    times_ms = [round(1000 * i / 30) for i in range(40)]
    path = write_video(tmp_path / "a.mp4", gray_levels(40), times_ms, gop=5)
    sequence = VideoSequence(cut(path, start_ms, stop_ms))
    frames = list(sequence.frames())
    assert len(frames) == len(sequence)
    levels = [level(frame) for frame in frames]
    assert levels[0] == shown[0]
    # The edit's end is met to a frame.
    assert levels == list(range(shown[0], shown[0] + len(levels)))
    assert abs(len(levels) - len(shown)) <= 1
    assert frames[0].capture_ns == pytest.approx(0, abs=20_000_000)


def test_a_copy_of_a_part_is_whole(tmp_path: Path) -> None:
    times_ms = [round(1000 * i / 30) for i in range(40)]
    path = write_video(tmp_path / "a.mp4", gray_levels(40), times_ms)
    ffmpeg = imageio_ffmpeg.get_ffmpeg_exe()
    part = tmp_path / "part.mp4"
    arguments = ["-v", "error", "-ss", "0.5", "-i", str(path), "-c", "copy", str(part)]
    subprocess.run([ffmpeg, *arguments], check=True)
    sequence = VideoSequence(part)
    assert [level(frame) for frame in sequence.frames()] == list(range(15, 40))
    assert len(sequence) == 25


def test_colors_that_cannot_be_converted_are_named_with_the_frame(tmp_path: Path) -> None:
    ycgco = 8
    path = write_video(tmp_path / "odd.mp4", gray_levels(2), [0, 33], colorspace=ycgco)
    with pytest.raises(InputError, match=r"odd\.mp4: frame 0 \(yuv420p, .* space 8\) cannot be"):
        list(VideoSequence(path).frames())


def test_damage_on_the_way_is_named_where_it_is(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    noise = rng.integers(0, 255, (30, 48, 64, 3)).astype(np.uint8)
    path = write_video(tmp_path / "a.mp4", noise, range(0, 990, 33), movflags="faststart")
    data = bytearray(path.read_bytes())
    middle = len(data) // 2
    data[middle : middle + 20_000] = bytes(20_000)
    path.write_bytes(data)
    frames = VideoSequence(path).frames()
    assert next(frames).index == 0
    with pytest.raises(InputError, match=r"a\.mp4: cannot be decoded .* \(after \d+ frames\)"):
        list(frames)


def test_without_pyav_it_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "av", None)
    (tmp_path / "film.mp4").write_bytes(b"x")
    with pytest.raises(DependencyError, match="pip install 'av'"):
        VideoSequence(tmp_path / "film.mp4")


@pytest.mark.data
def test_a_real_phone_video(data: Path) -> None:
    sequence = VideoSequence(data / "handheld-desk.mp4")
    assert sequence.size_px == (364, 674)
    assert sequence.frame_rate_hz == pytest.approx(30, rel=0.01)
    assert 680 <= len(sequence) <= 700
    frames = list(sequence.frames(20, start=100))
    periods_ms = np.diff([frame.capture_ns for frame in frames]) / 1e6
    assert periods_ms.min() > 30
    assert periods_ms.max() < 51
    assert decoded(frames[0]).std() > 20
