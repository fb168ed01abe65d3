"""ROS image and camera messages as the wire's images and our camera."""

import struct
from typing import Any

import numpy as np

from mapcast_client.errors import InputError
from mapcast_client.v1 import ingest_pb2
from slam.camera import Camera

Pixels = np.ndarray[Any, np.dtype[Any]]

COLOR_ENCODINGS = ("rgb8", "bgr8", "rgba8", "bgra8", "mono8", "8UC3", "8UC1")
DEPTH_ENCODINGS = ("16UC1", "mono16", "32FC1")
_RED_FIRST = {"rgb8": 3, "rgba8": 4, "bgr8": 3, "bgra8": 4, "8UC3": 3, "mono8": 1, "8UC1": 1}
_COMPRESSED_DEPTH_HEADER_BYTES = 12
"""compressed_depth_image_transport's enum and two floats before the PNG."""


def stamp_ns(data: bytes | memoryview, is_ros1: bool) -> int:
    """The instant of a serialised message that begins with a header."""
    head = bytes(data[:12])
    if is_ros1:
        _, seconds, nanoseconds = struct.unpack("<III", head)
    else:
        order = "<" if head[1] & 1 else ">"  # the CDR encapsulation's endianness
        seconds, nanoseconds = struct.unpack(f"{order}iI", head[4:12])
    return int(seconds) * 1_000_000_000 + int(nanoseconds)


def color_image(message: Any, where: str) -> ingest_pb2.Image:
    """A colour image. Raises InputError for an encoding that is not read."""
    if hasattr(message, "format"):
        return _compressed(bytes(message.data), message.format, where)
    channels = _RED_FIRST.get(message.encoding)
    if channels is None:
        raise InputError(
            f"{where}: encoding is {message.encoding!r}, must be one of "
            f"{', '.join(COLOR_ENCODINGS)} for colour"
        )
    pixels = _rows(message, np.dtype(np.uint8), channels, where)
    if channels == 1:
        pixels = np.repeat(pixels, 3, axis=2)
    elif message.encoding.startswith(("bgr", "8UC3")):  # OpenCV's order
        pixels = pixels[..., 2::-1]
    return _image(ingest_pb2.IMAGE_ENCODING_RGB8, np.ascontiguousarray(pixels[..., :3]))


def depth_image(message: Any, where: str) -> ingest_pb2.Image:
    """A depth image: 16-bit millimetres or float metres (REP 118). Raises InputError."""
    if hasattr(message, "format"):
        data = bytes(message.data)
        is_compressed_depth = "compressedDepth" in message.format
        png = data[_COMPRESSED_DEPTH_HEADER_BYTES:] if is_compressed_depth else data
        if "32FC1" in message.format:
            raise InputError(f"{where}: compressed float depth is quantised and not read")
        return _compressed(png, "png", where)
    if message.encoding in ("16UC1", "mono16"):
        pixels = _rows(message, np.dtype(np.uint16), 1, where)
        return _image(ingest_pb2.IMAGE_ENCODING_DEPTH_U16, pixels[..., 0])
    if message.encoding == "32FC1":
        pixels = _rows(message, np.dtype(np.float32), 1, where)
        return _image(ingest_pb2.IMAGE_ENCODING_DEPTH_F32, pixels[..., 0])
    raise InputError(
        f"{where}: encoding is {message.encoding!r}, must be one of {', '.join(DEPTH_ENCODINGS)} "
        "for depth"
    )


def camera_of(message: Any, where: str, is_rectified: bool = False) -> Camera:
    """The camera of a sensor_msgs/CameraInfo. Raises InputError for a model that is not ours.

    Its K and D are of the raw image; that of a rectified one is in P, without distortion.
    """
    is_ros1 = hasattr(message, "K")
    if is_rectified:
        projection = np.asarray(message.P if is_ros1 else message.p).ravel()
        if projection[0] > 0:  # else it was left out, as of cameras that are not calibrated
            fx_px, _, cx_px, _, _, fy_px, cy_px = projection[:7].tolist()
            return Camera(int(message.width), int(message.height), fx_px, fy_px, cx_px, cy_px)
    matrix = np.asarray(message.K if is_ros1 else message.k)
    distortion = np.asarray(message.D if is_ros1 else message.d, np.float64)
    if message.distortion_model not in ("plumb_bob", "rational_polynomial", "none", ""):
        raise InputError(f"{where}: distortion model {message.distortion_model!r} is not plumb_bob")
    if distortion[5:].any():
        raise InputError(f"{where}: distortion has {len(distortion)} terms, 5 are read")
    fx_px, _, cx_px, _, fy_px, cy_px = matrix.ravel()[:6].tolist()
    terms = tuple(distortion[:5].tolist()) if distortion.any() else ()
    return Camera(int(message.width), int(message.height), fx_px, fy_px, cx_px, cy_px, terms)


def _rows(message: Any, dtype: "np.dtype[Any]", channels: int, where: str) -> Pixels:
    """(H, W, channels) pixels, without the padding of rows, in this machine's byte order."""
    height_px, width_px = int(message.height), int(message.width)
    row_bytes = width_px * channels * dtype.itemsize
    data = np.asarray(message.data, np.uint8)
    if message.step < row_bytes or len(data) < height_px * message.step:
        raise InputError(
            f"{where}: {len(data)} bytes with a step of {message.step} do not hold "
            f"{width_px}x{height_px} px of {message.encoding}"
        )
    rows = data[: height_px * message.step].reshape(height_px, message.step)[:, :row_bytes]
    sent = dtype.newbyteorder(">" if message.is_bigendian else "<")
    pixels = np.ascontiguousarray(rows).view(sent)
    return pixels.astype(dtype, copy=False).reshape(height_px, width_px, channels)


def _image(encoding: ingest_pb2.ImageEncoding, pixels: Pixels) -> ingest_pb2.Image:
    height_px, width_px = pixels.shape[:2]
    return ingest_pb2.Image(
        encoding=encoding, width_px=width_px, height_px=height_px, data=pixels.tobytes()
    )


def _compressed(data: bytes, form: str, where: str) -> ingest_pb2.Image:
    if data.startswith(b"\xff\xd8\xff"):
        return ingest_pb2.Image(encoding=ingest_pb2.IMAGE_ENCODING_JPEG, data=data)
    if data.startswith(b"\x89PNG\r\n\x1a\n"):
        return ingest_pb2.Image(encoding=ingest_pb2.IMAGE_ENCODING_PNG, data=data)
    raise InputError(f"{where}: compressed as {form!r}, must be JPEG or PNG")
