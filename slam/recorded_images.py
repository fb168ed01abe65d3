"""Frames as they are recorded: raw images made smaller, everything else as it came."""

from collections.abc import Callable, Mapping

import numpy as np
import simplejpeg

from mapcast_client.errors import FrameError
from mapcast_client.v1 import ingest_pb2
from slam import plane_codec
from slam.image_codecs import COLOR_CODECS

VIDEO_QUALITY = 92
"""Of the JPEG that a video's decoded frame becomes."""
_VIDEO = ingest_pb2.IMAGE_ENCODING_I420


def recorded_frame(frame: ingest_pb2.Frame) -> ingest_pb2.Frame:
    """The frame with its raw images encoded: without loss, but for video, which had its share.

    Of a frame with depth nothing is lost: it is fused as it came, and taken out again as recorded.
    An image that is not what it says is left as it is: the worker will refuse it.
    """
    if frame.color.encoding not in _PACKERS and frame.depth.encoding not in _PACKERS:
        return frame
    recorded = ingest_pb2.Frame(index=frame.index, capture_ns=frame.capture_ns)
    if frame.HasField("world_from_camera"):
        recorded.world_from_camera.CopyFrom(frame.world_from_camera)
    if frame.HasField("color"):
        is_kept = frame.HasField("depth") and frame.color.encoding == _VIDEO
        recorded.color.CopyFrom(frame.color if is_kept else _packed(frame.color))
    if frame.HasField("depth"):
        recorded.depth.CopyFrom(_packed(frame.depth))
    return recorded


def _packed(image: ingest_pb2.Image) -> ingest_pb2.Image:
    pack = _PACKERS.get(image.encoding)
    if pack is None or not image.data:
        return image
    try:
        encoding, data = pack(image)
    except (FrameError, ValueError):  # its size is not what it says
        return image
    size = {"width_px": image.width_px, "height_px": image.height_px}
    return ingest_pb2.Image(encoding=encoding, data=data, **size)


_Packed = tuple[ingest_pb2.ImageEncoding, bytes]


def _packed_u16(image: ingest_pb2.Image) -> _Packed:
    values = np.frombuffer(image.data, "<u2")
    return ingest_pb2.IMAGE_ENCODING_DEPTH_U16_ZSTD, plane_codec.encode_u16(values)


def _packed_f32(image: ingest_pb2.Image) -> _Packed:
    values = np.frombuffer(image.data, "<f4")
    return ingest_pb2.IMAGE_ENCODING_DEPTH_F32_ZSTD, plane_codec.encode_f32(values)


def _packed_rgb8(image: ingest_pb2.Image) -> _Packed:
    colors = np.frombuffer(image.data, np.uint8).reshape(-1, 3)
    return ingest_pb2.IMAGE_ENCODING_RGB8_ZSTD, plane_codec.encode_rgb8(colors)


def _packed_i420(image: ingest_pb2.Image) -> _Packed:
    size = (image.width_px, image.height_px)
    color = COLOR_CODECS[image.encoding].decode(image.data, size, "video frame")
    jpeg = simplejpeg.encode_jpeg(color, VIDEO_QUALITY, colorsubsampling="420")
    return ingest_pb2.IMAGE_ENCODING_JPEG, jpeg


_PACKERS: Mapping[int, Callable[[ingest_pb2.Image], _Packed]] = {
    ingest_pb2.IMAGE_ENCODING_DEPTH_U16: _packed_u16,
    ingest_pb2.IMAGE_ENCODING_DEPTH_F32: _packed_f32,
    ingest_pb2.IMAGE_ENCODING_RGB8: _packed_rgb8,
    _VIDEO: _packed_i420,
}
