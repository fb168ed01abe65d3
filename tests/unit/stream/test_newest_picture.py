"""The camera's picture for those who look on: encoded once, and never one that explodes."""

import asyncio
import struct
import threading

import cv2
import numpy as np
import pytest
import simplejpeg

from mapcast_client.errors import FrameError
from mapcast_client.v1 import ingest_pb2
from stream import newest_picture
from stream.newest_picture import NewestPicture

WIDTH_PX, HEIGHT_PX = 64, 48


def raw(shade: int) -> ingest_pb2.Image:
    return ingest_pb2.Image(
        encoding=ingest_pb2.IMAGE_ENCODING_RGB8,
        width_px=WIDTH_PX,
        height_px=HEIGHT_PX,
        data=bytes([shade]) * (WIDTH_PX * HEIGHT_PX * 3),
    )


def shade(jpeg: bytes) -> int:
    return round(float(simplejpeg.decode_jpeg(jpeg).mean()))


class Counted:
    """Stands before the encoder: counts its runs, and holds them until it is let go."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.runs = 0
        self.may_run = threading.Event()
        encode = newest_picture._encode_jpeg

        def held(image: ingest_pb2.Image) -> bytes:
            self.runs += 1
            assert self.may_run.wait(20)
            return encode(image)

        monkeypatch.setattr(newest_picture, "_encode_jpeg", held)


async def test_many_who_look_cost_one_encoding(monkeypatch: pytest.MonkeyPatch) -> None:
    counted, picture = Counted(monkeypatch), NewestPicture()
    assert picture.is_missing
    picture.take(raw(40))
    assert not picture.is_missing
    looking = [asyncio.create_task(picture.jpeg()) for _ in range(5)]
    await asyncio.sleep(0)
    picture.take(raw(90))
    looking.append(asyncio.create_task(picture.jpeg()))
    await asyncio.sleep(0)
    counted.may_run.set()
    assert {shade(jpeg) for jpeg in await asyncio.gather(*looking)} == {40}
    assert counted.runs == 1
    assert [shade(await picture.jpeg()) for _ in range(3)] == [90] * 3
    assert counted.runs == 2


async def test_who_leaves_takes_the_picture_from_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    counted, picture = Counted(monkeypatch), NewestPicture()
    picture.take(raw(40))
    leaver, stayer = (asyncio.create_task(picture.jpeg()) for _ in range(2))
    await asyncio.sleep(0)
    leaver.cancel()
    counted.may_run.set()
    assert shade(await stayer) == 40


def huge(encoding: str) -> ingest_pb2.Image:
    """A picture whose header says that it is of 12000x12000 px."""
    color = np.zeros((HEIGHT_PX, WIDTH_PX, 3), np.uint8)
    side, big = struct.pack(">H", 12_000), struct.pack(">II", 12_000, 12_000)
    data = b""
    if encoding == "PNG":
        png = cv2.imencode(".png", color)[1].tobytes()
        data = png.replace(struct.pack(">II", WIDTH_PX, HEIGHT_PX), big, 1)
    elif encoding == "JPEG":
        jpeg = simplejpeg.encode_jpeg(color)
        data = jpeg.replace(struct.pack(">HH", HEIGHT_PX, WIDTH_PX), side + side, 1)
    elif encoding == "WEBP":
        canvas = 2 * (12_000 - 1).to_bytes(3, "little")
        data = b"RIFF" + struct.pack("<I", 22) + b"WEBPVP8X" + struct.pack("<II", 10, 0) + canvas
    return ingest_pb2.Image(
        encoding=ingest_pb2.ImageEncoding.Value(f"IMAGE_ENCODING_{encoding}"),
        width_px=12_000,
        height_px=12_000,
        data=data or b"of any length",
    )


@pytest.mark.parametrize("encoding", ["PNG", "JPEG", "WEBP", "RGB8", "I420"])
async def test_what_would_explode_is_refused_by_its_header(encoding: str) -> None:
    picture = NewestPicture()
    picture.take(huge(encoding))
    with pytest.raises(FrameError, match=r"picture is 12000x12000 px: .* limit 16777216"):
        await picture.jpeg()
    picture.take(raw(40))
    assert shade(await picture.jpeg()) == 40


async def test_what_is_no_picture_is_said_so() -> None:
    picture = NewestPicture()
    picture.take(ingest_pb2.Image(encoding=ingest_pb2.IMAGE_ENCODING_JPEG, data=b"nonsense"))
    with pytest.raises(FrameError, match="not a whole JPEG"):
        await picture.jpeg()
