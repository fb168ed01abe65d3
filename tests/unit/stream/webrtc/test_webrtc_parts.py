"""The bitrate that is asked for, the slot between decoder and session, and pictures."""

import numpy as np
import pytest
from av import VideoFrame

from mapcast_client.v1 import ingest_pb2
from stream.webrtc.bitrate import MAX_BPS, PERIOD_MS, BitrateCap
from stream.webrtc.latest import LatestFrame
from stream.webrtc.picture import shows_nothing, to_i420

PACKET_BYTES = 1000


def caps(delays_ms: list[float], packets_per_s: int = 100) -> list[int]:
    """What is told while packets take these times, one entry per second."""
    cap, told = BitrateCap(), []
    for number in range(len(delays_ms) * packets_per_s):
        sent_ms = number * 1000 / packets_per_s
        arrival_ms = int(1e12 + sent_ms + delays_ms[number // packets_per_s])
        send_time = int((sent_ms + 60_000) * (1 << 18) / 1000) & 0xFFFFFF
        answer = cap.add(
            arrival_time_ms=arrival_ms, abs_send_time=send_time, payload_size=PACKET_BYTES, ssrc=7
        )
        if answer is not None:
            assert answer[1] == [7]
            told.append(answer[0])
    return told


def test_the_full_rate_is_told_twice_a_second_while_the_way_is_free() -> None:
    told = caps([10, 30, 5, 40] * 20)
    assert set(told) == {MAX_BPS}
    assert len(told) == pytest.approx(80 * 1000 / PERIOD_MS, abs=2)


def test_it_gives_way_to_a_standing_queue_and_comes_back() -> None:
    told = caps([10] * 10 + [400] * 5 + [10] * 60)
    assert min(told) < 8 * PACKET_BYTES * 100
    assert told[-1] == MAX_BPS


async def test_the_newest_frame_wins_and_the_end_comes_last() -> None:
    replaced: list[None] = []
    slot = LatestFrame(lambda: replaced.append(None))
    frames = [VideoFrame(16, 16, "yuv420p") for _ in range(3)]
    for frame in frames:
        await slot.put(frame)
    await slot.put(None)
    assert len(replaced) == 2
    assert await slot.get() is frames[2]
    assert await slot.get() is None
    assert await slot.get() is None


def picture(width: int, height: int) -> VideoFrame:
    colors = np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8)
    return VideoFrame.from_ndarray(colors, format="rgb24")


@pytest.mark.parametrize(("width", "height"), [(640, 480), (638, 478), (50, 34)])
def test_planes_are_packed_without_the_padding_of_their_rows(width: int, height: int) -> None:
    frame = picture(width, height).reformat(format="yuv420p")
    image = to_i420(frame)
    assert image.encoding == ingest_pb2.IMAGE_ENCODING_I420
    assert (image.width_px, image.height_px) == (width, height)
    assert image.data == frame.to_ndarray().tobytes()


def test_other_formats_become_i420() -> None:
    assert len(to_i420(picture(64, 48)).data) == 64 * 48 * 3 // 2


@pytest.mark.parametrize("luma", [0, 16, 128, 235])
def test_a_picture_of_one_shade_shows_nothing(luma: int) -> None:
    gray = np.full((48 * 3 // 2, 64), luma, np.uint8)
    assert shows_nothing(VideoFrame.from_ndarray(gray, format="yuv420p"))


def test_a_picture_shows_something() -> None:
    assert not shows_nothing(picture(64, 48).reformat(format="yuv420p"))
