"""Numbers on pictures, as they come out of a video codec."""

import numpy as np
import pytest

from clients.cli.bench.numbered_camera import BITS, BLOCK_PX, read_number
from clients.cli.bench.tap import delays_ms
from mapcast_client.v1 import ingest_pb2

WIDTH_PX, HEIGHT_PX = 320, 240


def numbered(number: int, black: int = 16, white: int = 235, noise: float = 0) -> ingest_pb2.Image:
    """A picture as `numbered_camera.js` draws it, in video's range."""
    rng = np.random.default_rng(number)
    luma = np.full((HEIGHT_PX, WIDTH_PX), 90.0)
    for i in range(BITS + 2):
        is_white = bool(number >> i & 1) if i < BITS else i == BITS
        luma[:BLOCK_PX, i * BLOCK_PX : (i + 1) * BLOCK_PX] = white if is_white else black
    luma += noise * rng.standard_normal(luma.shape)
    planes = np.clip(luma, 0, 255).astype(np.uint8).tobytes()
    data = planes + bytes([128]) * (WIDTH_PX * HEIGHT_PX // 2)
    return ingest_pb2.Image(width_px=WIDTH_PX, height_px=HEIGHT_PX, data=data)


@pytest.mark.parametrize("number", [0, 1, 300, 0x5555, 0xFFFF])
def test_a_number_is_read_from_a_noisy_picture(number: int) -> None:
    assert read_number(numbered(number)) == number
    assert read_number(numbered(number, noise=60)) == number


def test_a_picture_without_a_number_has_none() -> None:
    assert read_number(numbered(5, white=40)) is None
    assert read_number(numbered(5, black=200)) is None


def test_delays_are_those_of_pictures_whose_shutter_is_known() -> None:
    assert delays_ms({0: 130.0, 2: 180.0, 7: 999.0}, [100.0, 133.0, 166.0]) == [14.0, 30.0]
