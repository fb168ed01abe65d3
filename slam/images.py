"""Frames as they come over the wire, decoded and checked."""

import struct
from collections.abc import Callable, Mapping
from typing import TypeVar

import cv2
import numpy as np
import simplejpeg
from numpy.typing import NDArray

from mapcast_client.errors import FrameError
from mapcast_client.v1 import ingest_pb2
from slam.camera import Calibration, Camera
from slam.frame import DepthImage, Frame
from slam.geometry import Mat4, from_pose_vector

_PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_PNG_HEADER = struct.Struct(">8s4x4sIIBB")
_PNG_END = b"\x00\x00\x00\x00IEND\xaeB`\x82"
_PNG_GRAY = 0
_QUATERNION_TOLERANCE = 1e-2

_Color = NDArray[np.uint8]


def decode_frame(message: ingest_pb2.Frame, calibration: Calibration) -> Frame:
    """Decode a frame's images into read-only arrays of the camera's size.

    Depth that the sensor could not measure becomes 0: `depth_invalid` in 16-bit images; NaN,
    infinite and negative metres in float ones.

    Raises FrameError, naming the frame and the image, if an image is missing, has the wrong
    encoding, type or size (checked before anything of that size is allocated), or is truncated or
    corrupt as far as its format tells (JPEG has no checksum); and if the frame's pose is not
    finite or its quaternion not of unit length.
    """
    where = f"frame {message.index}"
    camera = calibration.camera
    color = _decode(message.color, _COLOR_DECODERS, camera, f"{where}: colour image")
    depth = _decode(message.depth, _DEPTH_DECODERS, camera, f"{where}: depth image")
    is_metric = message.depth.encoding == ingest_pb2.IMAGE_ENCODING_DEPTH_F32
    depth = _without_unmeasured(depth, calibration.depth_invalid)
    color.flags.writeable = False
    depth.flags.writeable = False
    return Frame(
        message.index,
        message.capture_ns,
        color,
        depth,
        1.0 if is_metric else calibration.depth_scale_m,
        _pose(message, where),
    )


_Decoded = TypeVar("_Decoded")


def _decode(
    image: ingest_pb2.Image,
    decoders: Mapping[int, Callable[[bytes, Camera, str], _Decoded]],
    camera: Camera,
    where: str,
) -> _Decoded:
    if not image.data:
        raise FrameError(f"{where} is missing")
    decoder = decoders.get(image.encoding)
    if decoder is None:
        allowed = ", ".join(_encoding_name(encoding) for encoding in decoders)
        raise FrameError(
            f"{where} has encoding {_encoding_name(image.encoding)}, must be one of {allowed}"
        )
    if (image.width_px, image.height_px) != (0, 0):
        _require_size(image.width_px, image.height_px, camera, where)
    return decoder(image.data, camera, where)


def _encoding_name(encoding: int) -> str:
    known = ingest_pb2.ImageEncoding.DESCRIPTOR.values_by_number.get(encoding)
    return str(encoding) if known is None else known.name.removeprefix("IMAGE_ENCODING_")


def _require_size(width_px: int, height_px: int, camera: Camera, where: str) -> None:
    if (width_px, height_px) != (camera.width_px, camera.height_px):
        raise FrameError(
            f"{where} is {width_px}x{height_px} px, "
            f"must be {camera.width_px}x{camera.height_px} px as the session's camera"
        )


def _color_jpeg(data: bytes, camera: Camera, where: str) -> _Color:
    try:
        height_px, width_px, _, _ = simplejpeg.decode_jpeg_header(data)
        _require_size(width_px, height_px, camera, where)
        color: _Color = simplejpeg.decode_jpeg(data, "RGB")
    except FrameError:
        raise
    except ValueError as error:
        raise FrameError(f"{where} is not a whole JPEG of {len(data)} bytes: {error}") from None
    return color


def _color_png(data: bytes, camera: Camera, where: str) -> _Color:
    bits, _ = _png_type(data, camera, where)
    if bits > 8:
        raise FrameError(f"{where} is a PNG of {bits} bits a channel, must be 8")
    flags = cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION
    color = _png_pixels(data, flags, where)
    return cv2.cvtColor(color, cv2.COLOR_BGR2RGB, dst=color).astype(np.uint8, copy=False)


def _depth_png(data: bytes, camera: Camera, where: str) -> DepthImage:
    bits, color_type = _png_type(data, camera, where)
    if (bits, color_type) != (16, _PNG_GRAY):
        kind = "gray" if color_type == _PNG_GRAY else "colour"
        raise FrameError(f"{where} is a {bits}-bit {kind} PNG, must be 16-bit gray")
    return _png_pixels(data, cv2.IMREAD_UNCHANGED, where).astype(np.uint16, copy=False)


def _png_type(data: bytes, camera: Camera, where: str) -> tuple[int, int]:
    """(bits per channel, PNG colour type) of a PNG that has the camera's size and an end."""
    if len(data) < _PNG_HEADER.size or not data.startswith(_PNG_SIGNATURE):
        raise FrameError(f"{where} is not a PNG: it begins with {data[:8]!r}")
    _, chunk, width_px, height_px, bits, color_type = _PNG_HEADER.unpack_from(data)
    if chunk != b"IHDR":
        raise FrameError(f"{where} is not a PNG: its first chunk is {chunk!r}, must be IHDR")
    _require_size(width_px, height_px, camera, where)
    if not data.endswith(_PNG_END):
        raise FrameError(f"{where} is a truncated PNG: {len(data)} bytes without an end")
    return bits, color_type


def _png_pixels(data: bytes, flags: int, where: str) -> NDArray[np.integer | np.floating]:
    try:
        pixels: NDArray[np.integer | np.floating] | None = cv2.imdecode(
            np.frombuffer(data, np.uint8), flags
        )
    except cv2.error as error:
        raise FrameError(f"{where} is a corrupt PNG: {error.err}") from None
    if pixels is None:  # what OpenCV answers to most corruption, whatever its stubs say
        raise FrameError(f"{where} is a corrupt PNG of {len(data)} bytes")
    return pixels


def _color_rgb8(data: bytes, camera: Camera, where: str) -> _Color:
    return _raw(data, np.dtype(np.uint8), (camera.height_px, camera.width_px, 3), where)


def _depth_u16(data: bytes, camera: Camera, where: str) -> DepthImage:
    return _raw(data, np.dtype("<u2"), (camera.height_px, camera.width_px), where)


def _depth_f32(data: bytes, camera: Camera, where: str) -> DepthImage:
    return _raw(data, np.dtype("<f4"), (camera.height_px, camera.width_px), where)


_Scalar = TypeVar("_Scalar", bound=np.generic)


def _raw(
    data: bytes, dtype: np.dtype[_Scalar], shape: tuple[int, ...], where: str
) -> NDArray[_Scalar]:
    expected_bytes = int(np.prod(shape)) * dtype.itemsize
    if len(data) != expected_bytes:
        raise FrameError(f"{where} has {len(data)} bytes, must be {expected_bytes} as raw {dtype}")
    return np.frombuffer(data, dtype).reshape(shape)


_COLOR_DECODERS: Mapping[int, Callable[[bytes, Camera, str], _Color]] = {
    ingest_pb2.IMAGE_ENCODING_JPEG: _color_jpeg,
    ingest_pb2.IMAGE_ENCODING_PNG: _color_png,
    ingest_pb2.IMAGE_ENCODING_RGB8: _color_rgb8,
}
_DEPTH_DECODERS: Mapping[int, Callable[[bytes, Camera, str], DepthImage]] = {
    ingest_pb2.IMAGE_ENCODING_PNG: _depth_png,
    ingest_pb2.IMAGE_ENCODING_DEPTH_U16: _depth_u16,
    ingest_pb2.IMAGE_ENCODING_DEPTH_F32: _depth_f32,
}


def _without_unmeasured(depth: DepthImage, depth_invalid: int) -> DepthImage:
    """The depth image with 0 where there is none; in place if the image is ours to write."""
    if depth.dtype == np.float32:
        unmeasured = ~((depth > 0) & (depth < np.inf))
    elif depth_invalid:
        unmeasured = depth == depth_invalid
    else:
        return depth
    measured = depth if depth.flags.writeable else depth.copy()
    np.copyto(measured, 0, where=unmeasured)
    return measured


def _pose(message: ingest_pb2.Frame, where: str) -> Mat4 | None:
    if not message.HasField("world_from_camera"):
        return None
    pose = message.world_from_camera
    vector = np.array([pose.tx, pose.ty, pose.tz, pose.qx, pose.qy, pose.qz, pose.qw])
    if not np.isfinite(vector).all():
        raise FrameError(f"{where}: world_from_camera is not finite: {vector.tolist()}")
    norm = float(np.linalg.norm(vector[3:]))
    if abs(norm - 1) > _QUATERNION_TOLERANCE:
        raise FrameError(
            f"{where}: world_from_camera has a quaternion of length {norm:.6g}, "
            f"must be 1 (to {_QUATERNION_TOLERANCE})"
        )
    return from_pose_vector(vector)
