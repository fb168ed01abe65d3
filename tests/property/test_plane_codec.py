"""Any image comes back from the plane codec bit for bit; no bytes make it fail in another way."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from mapcast_client.errors import FrameError
from slam import plane_codec

Encode = Callable[[np.ndarray], bytes]
Decode = Callable[[bytes, tuple[int, int], str], np.ndarray]

CODECS: dict[str, tuple[Any, int, Encode, Decode]] = {
    "u16": (np.uint16, 1, plane_codec.encode_u16, plane_codec.decode_u16),
    "f32": (np.uint32, 1, plane_codec.encode_f32, plane_codec.decode_f32),
    "rgb8": (np.uint8, 3, plane_codec.encode_rgb8, plane_codec.decode_rgb8),
    "gray8": (np.uint8, 1, plane_codec.encode_gray8, plane_codec.decode_gray8),
}
"""What an image is drawn as, its channels, and its codec."""
every_codec = pytest.mark.parametrize("name", CODECS)
shapes = st.tuples(st.integers(1, 9), st.integers(1, 9))


@every_codec
@settings(deadline=None, max_examples=50)  # the first call loads a kernel
@given(data=st.data())
def test_images_come_back_bit_for_bit(name: str, data: st.DataObject) -> None:
    dtype, channels, encode, decode = CODECS[name]
    height_px, width_px = shape = data.draw(shapes)
    drawn = data.draw(arrays(dtype, (height_px, width_px, channels)[: 2 + (channels > 1)]))
    image = drawn.view(np.float32) if name == "f32" else drawn
    decoded = decode(encode(image), shape, "image")
    assert decoded.dtype == image.dtype
    assert decoded.shape == image.shape
    assert decoded.tobytes() == image.tobytes()


@every_codec
@settings(deadline=None, max_examples=50)  # the first call loads a kernel
@given(junk=st.binary(max_size=200), shape=shapes)
def test_no_bytes_fail_in_another_way(name: str, junk: bytes, shape: tuple[int, int]) -> None:
    _, _, _, decode = CODECS[name]
    with pytest.raises(FrameError, match=r"^image "):
        decode(junk, shape, "image")


@every_codec
@settings(deadline=None, max_examples=50)  # the first call loads a kernel
@given(at=st.integers(0, 2**16), flip=st.integers(1, 255), shape=shapes)
def test_damage_is_refused_or_harmless(
    name: str, at: int, flip: int, shape: tuple[int, int]
) -> None:
    dtype, channels, encode, decode = CODECS[name]
    image = np.arange(np.prod(shape) * channels, dtype=dtype).reshape(*shape, channels)
    damaged = bytearray(encode(image.view(np.float32) if name == "f32" else image))
    damaged[at % len(damaged)] ^= flip
    try:
        decoded = decode(bytes(damaged), shape, "image")
    except FrameError:
        return
    assert decoded.shape[:2] == shape


@every_codec
def test_what_unpacks_to_more_is_refused_before_it_is_unpacked(name: str) -> None:
    _, _, _, decode = CODECS[name]
    bomb = zstandard.ZstdCompressor().compress(bytes(1 << 26))
    assert len(bomb) < 10_000
    with pytest.raises(FrameError, match="unpacks to 67108864 bytes, must be"):
        decode(bomb, (4, 4), "image")
    unsized = zstandard.ZstdCompressor(write_content_size=False).compress(bytes(1 << 26))
    with pytest.raises(FrameError, match="must be"):
        decode(unsized, (4, 4), "image")
