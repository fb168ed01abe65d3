"""Pictures as EXIF says that they are to be seen: phones store them as their sensor lies."""

import struct
from collections.abc import Iterator

import numpy as np
import simplejpeg
from numpy.typing import NDArray

from mapcast_client.v1 import ingest_pb2
from slam.images import decode_picture

_AS_STORED = 1
_ORIENTATIONS = range(1, 9)
_ORIENTATION_TAG = 0x0112
_QUALITY = 95
_EXIF_MARK = b"Exif\0\0"


def upright(image: ingest_pb2.Image) -> ingest_pb2.Image:
    """A JPEG, PNG or WebP that is stored as it is to be seen as it is, else a JPEG of it, turned.

    Raises FrameError when it cannot be decoded.
    """
    orientation = orientation_of(image)
    if orientation == _AS_STORED:
        return image
    pixels = np.ascontiguousarray(_turned(decode_picture(image), orientation))
    data = simplejpeg.encode_jpeg(pixels, _QUALITY, "RGB")
    return ingest_pb2.Image(encoding=ingest_pb2.IMAGE_ENCODING_JPEG, data=data)


def orientation_of(image: ingest_pb2.Image) -> int:
    """EXIF's orientation, 1 to 8 (CIPA DC-008, 4.6.5.1.2); 1, as stored, where none can be read."""
    blocks = {
        ingest_pb2.IMAGE_ENCODING_JPEG: _jpeg_blocks,
        ingest_pb2.IMAGE_ENCODING_PNG: _png_blocks,
        ingest_pb2.IMAGE_ENCODING_WEBP: _webp_blocks,
    }
    try:
        for block in blocks[image.encoding](image.data):
            return _orientation_in(block.removeprefix(_EXIF_MARK))
    except struct.error:
        pass  # it ends too early: whoever decodes the picture says so
    return _AS_STORED


def _turned(pixels: NDArray[np.uint8], orientation: int) -> NDArray[np.uint8]:
    """(H, W, 3) → (H, W, 3) or (W, H, 3): the stored first row and column go to their edges."""
    if orientation >= 5:  # the first row is the left or the right edge
        pixels = pixels.swapaxes(0, 1)
    is_flipped_down = orientation in (3, 4, 7, 8)
    is_flipped_across = orientation in (2, 3, 6, 7)
    return pixels[:: -1 if is_flipped_down else 1, :: -1 if is_flipped_across else 1]


def _orientation_in(tiff: bytes) -> int:
    """Of a TIFF's first directory. Raises struct.error where it ends too early."""
    order = "<" if tiff.startswith(b"II") else ">"
    (directory,) = struct.unpack_from(f"{order}I", tiff, 4)
    (count,) = struct.unpack_from(f"{order}H", tiff, directory)
    for entry in range(directory + 2, directory + 2 + 12 * count, 12):
        tag, value = struct.unpack_from(f"{order}H6xH", tiff, entry)
        if tag == _ORIENTATION_TAG and value in _ORIENTATIONS:
            return int(value)
    return _AS_STORED


def _jpeg_blocks(data: bytes) -> Iterator[bytes]:
    """EXIF blocks before the picture itself. Raises struct.error, as those below."""
    at, start_of_scan = 2, 0xDA
    while True:
        mark, kind, length = struct.unpack_from(">BBH", data, at)
        if mark != 0xFF or kind == start_of_scan:
            return
        block = data[at + 4 : at + 2 + length]
        if kind == 0xE1 and block.startswith(_EXIF_MARK):
            yield block
        at += 2 + length


def _png_blocks(data: bytes) -> Iterator[bytes]:
    at = 8
    while at < len(data):
        length, kind = struct.unpack_from(">I4s", data, at)
        if kind == b"eXIf":
            yield data[at + 8 : at + 8 + length]
        at += 12 + length


def _webp_blocks(data: bytes) -> Iterator[bytes]:
    at = 12
    while at < len(data):
        kind, length = struct.unpack_from("<4sI", data, at)
        if kind == b"EXIF":
            yield data[at + 8 : at + 8 + length]
        at += 8 + length + length % 2
