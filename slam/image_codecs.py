"""One decoder per image encoding: bytes in, pixels of the expected size out."""

import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeVar

import cv2
import numpy as np
import simplejpeg
from numpy.typing import NDArray

from mapcast_client.errors import FrameError
from mapcast_client.v1 import ingest_pb2
from slam import plane_codec
from slam.frame import DepthImage

_PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_PNG_HEADER = struct.Struct(">8s4x4sIIBB")
_PNG_END = b"\x00\x00\x00\x00IEND\xaeB`\x82"
_PNG_GRAY = 0
_WEBP_HEADER_BYTES = 30

Size = tuple[int, int]
"""(width_px, height_px)"""
Color = NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class ColorCodec:
    """How colour is read from an encoding. Both raise FrameError that begins with `where`."""

    size: Callable[[bytes, str], Size | None]
    """(data, where) → the size in the data's own header; None: it has none."""
    decode: Callable[[bytes, Size, str], Color]
    """(data, size, where) → (H, W, 3) sRGB."""


def require_size(size: Size, expected: Size, where: str) -> None:
    """Raise FrameError unless an image has the size of the session's camera."""
    if size != expected:
        raise FrameError(
            f"{where} is {size[0]}x{size[1]} px, "
            f"must be {expected[0]}x{expected[1]} px as the session's camera"
        )


def _jpeg_size(data: bytes, where: str) -> Size:
    try:
        height_px, width_px, _, _ = simplejpeg.decode_jpeg_header(data)
    except ValueError as error:
        raise FrameError(f"{where} is not a whole JPEG of {len(data)} bytes: {error}") from None
    return width_px, height_px


def _color_jpeg(data: bytes, size: Size, where: str) -> Color:
    require_size(_jpeg_size(data, where), size, where)
    try:
        color: Color = simplejpeg.decode_jpeg(data, "RGB")
    except ValueError as error:
        raise FrameError(f"{where} is not a whole JPEG of {len(data)} bytes: {error}") from None
    return color


def _png_header(data: bytes, where: str) -> tuple[Size, int, int]:
    """(size, bits per channel, PNG colour type)."""
    if len(data) < _PNG_HEADER.size or not data.startswith(_PNG_SIGNATURE):
        raise FrameError(f"{where} is not a PNG: it begins with {data[:8]!r}")
    _, chunk, width_px, height_px, bits, color_type = _PNG_HEADER.unpack_from(data)
    if chunk != b"IHDR":
        raise FrameError(f"{where} is not a PNG: its first chunk is {chunk!r}, must be IHDR")
    return (width_px, height_px), bits, color_type


def _png_size(data: bytes, where: str) -> Size:
    return _png_header(data, where)[0]


def _whole_png(data: bytes, size: Size, where: str) -> tuple[int, int]:
    """(bits per channel, PNG colour type) of a PNG that has the expected size and an end."""
    png_size, bits, color_type = _png_header(data, where)
    require_size(png_size, size, where)
    if not data.endswith(_PNG_END):
        raise FrameError(f"{where} is a truncated PNG: {len(data)} bytes without an end")
    return bits, color_type


def _color_png(data: bytes, size: Size, where: str) -> Color:
    bits, _ = _whole_png(data, size, where)
    if bits > 8:
        raise FrameError(f"{where} is a PNG of {bits} bits a channel, must be 8")
    return _rgb_pixels(data, "PNG", where)


def _depth_png(data: bytes, size: Size, where: str) -> DepthImage:
    bits, color_type = _whole_png(data, size, where)
    if (bits, color_type) != (16, _PNG_GRAY):
        kind = "gray" if color_type == _PNG_GRAY else "colour"
        raise FrameError(f"{where} is a {bits}-bit {kind} PNG, must be 16-bit gray")
    return _pixels(data, cv2.IMREAD_UNCHANGED, "PNG", where).astype(np.uint16, copy=False)


def _webp_size(data: bytes, where: str) -> Size:
    """The size of a WebP still: its canvas, or its only frame's (RFC 9649)."""
    if len(data) < _WEBP_HEADER_BYTES or data[:4] != b"RIFF" or data[8:12] != b"WEBP":
        raise FrameError(f"{where} is not a WebP: it begins with {data[:12]!r}")
    if len(data) < int.from_bytes(data[4:8], "little") + 8:
        raise FrameError(f"{where} is a truncated WebP of {len(data)} bytes")
    match data[12:16]:
        case b"VP8X":
            return (
                int.from_bytes(data[24:27], "little") + 1,
                int.from_bytes(data[27:30], "little") + 1,
            )
        case b"VP8L":
            bits = int.from_bytes(data[21:25], "little")
            return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
        case b"VP8 ":
            width_px, height_px = struct.unpack_from("<HH", data, 26)
            return width_px & 0x3FFF, height_px & 0x3FFF
    raise FrameError(f"{where} is not a WebP: its first chunk is {data[12:16]!r}")


def _color_webp(data: bytes, size: Size, where: str) -> Color:
    require_size(_webp_size(data, where), size, where)
    return _rgb_pixels(data, "WebP", where)


def _rgb_pixels(data: bytes, kind: str, where: str) -> Color:
    flags = cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION
    color = _pixels(data, flags, kind, where)
    return cv2.cvtColor(color, cv2.COLOR_BGR2RGB, dst=color).astype(np.uint8, copy=False)


def _pixels(data: bytes, flags: int, kind: str, where: str) -> NDArray[np.integer | np.floating]:
    try:
        pixels: NDArray[np.integer | np.floating] | None = cv2.imdecode(
            np.frombuffer(data, np.uint8), flags
        )
    except cv2.error as error:
        raise FrameError(f"{where} is a corrupt {kind}: {error.err}") from None
    if pixels is None:  # what OpenCV answers to most corruption, whatever its stubs say
        raise FrameError(f"{where} is a corrupt {kind} of {len(data)} bytes")
    return pixels


def _color_i420(data: bytes, size: Size, where: str) -> Color:
    """BT.601 with limited range, as WebRTC's codecs carry it."""
    width_px, height_px = size
    if width_px % 2 or height_px % 2:
        raise FrameError(f"{where} is {width_px}x{height_px} px, I420 needs even sides")
    planes = _raw(data, np.dtype(np.uint8), (height_px * 3 // 2, width_px), where)
    return cv2.cvtColor(planes, cv2.COLOR_YUV2RGB_I420).astype(np.uint8, copy=False)


def _color_rgb8(data: bytes, size: Size, where: str) -> Color:
    return _raw(data, np.dtype(np.uint8), (size[1], size[0], 3), where)


def _color_rgb8_zstd(data: bytes, size: Size, where: str) -> Color:
    return plane_codec.decode_rgb8(data, size[::-1], where)


def _depth_u16(data: bytes, size: Size, where: str) -> DepthImage:
    return _raw(data, np.dtype("<u2"), (size[1], size[0]), where)


def _depth_f32(data: bytes, size: Size, where: str) -> DepthImage:
    return _raw(data, np.dtype("<f4"), (size[1], size[0]), where)


def _depth_u16_zstd(data: bytes, size: Size, where: str) -> DepthImage:
    return plane_codec.decode_u16(data, size[::-1], where)


def _depth_f32_zstd(data: bytes, size: Size, where: str) -> DepthImage:
    return plane_codec.decode_f32(data, size[::-1], where)


_Scalar = TypeVar("_Scalar", bound=np.generic)


def _raw(
    data: bytes, dtype: np.dtype[_Scalar], shape: tuple[int, ...], where: str
) -> NDArray[_Scalar]:
    expected_bytes = int(np.prod(shape)) * dtype.itemsize
    if len(data) != expected_bytes:
        raise FrameError(f"{where} has {len(data)} bytes, must be {expected_bytes} as raw {dtype}")
    return np.frombuffer(data, dtype).reshape(shape)


def _no_header(data: bytes, where: str) -> None:
    return None


COLOR_CODECS: Mapping[int, ColorCodec] = {
    ingest_pb2.IMAGE_ENCODING_JPEG: ColorCodec(_jpeg_size, _color_jpeg),
    ingest_pb2.IMAGE_ENCODING_PNG: ColorCodec(_png_size, _color_png),
    ingest_pb2.IMAGE_ENCODING_RGB8: ColorCodec(_no_header, _color_rgb8),
    ingest_pb2.IMAGE_ENCODING_WEBP: ColorCodec(_webp_size, _color_webp),
    ingest_pb2.IMAGE_ENCODING_I420: ColorCodec(_no_header, _color_i420),
    ingest_pb2.IMAGE_ENCODING_RGB8_ZSTD: ColorCodec(_no_header, _color_rgb8_zstd),
}
DEPTH_DECODERS: Mapping[int, Callable[[bytes, Size, str], DepthImage]] = {
    ingest_pb2.IMAGE_ENCODING_PNG: _depth_png,
    ingest_pb2.IMAGE_ENCODING_DEPTH_U16: _depth_u16,
    ingest_pb2.IMAGE_ENCODING_DEPTH_F32: _depth_f32,
    ingest_pb2.IMAGE_ENCODING_DEPTH_U16_ZSTD: _depth_u16_zstd,
    ingest_pb2.IMAGE_ENCODING_DEPTH_F32_ZSTD: _depth_f32_zstd,
}
