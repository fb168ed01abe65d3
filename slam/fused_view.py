"""Views whose depth was estimated, as messages: exactly as they went into the map."""

import numpy as np

from mapcast_client.errors import FrameError
from mapcast_client.v1 import ingest_pb2
from slam import plane_codec
from slam.frame import DepthImage, Frame

_COLOR = ingest_pb2.IMAGE_ENCODING_RGB8_ZSTD
_METRIC = ingest_pb2.IMAGE_ENCODING_DEPTH_F32_ZSTD
_SENSOR = ingest_pb2.IMAGE_ENCODING_DEPTH_U16_ZSTD
_CONFIDENCE = ingest_pb2.IMAGE_ENCODING_GRAY8_ZSTD


def encode_view(view: Frame) -> ingest_pb2.FusedView:
    """Pack a view with depth, without loss."""
    assert view.depth is not None, f"frame {view.index} is no view: it has no depth"
    height_px, width_px = view.depth.shape
    size = {"width_px": width_px, "height_px": height_px}
    message = ingest_pb2.FusedView(
        capture_ns=view.capture_ns,
        color=ingest_pb2.Image(encoding=_COLOR, data=plane_codec.encode_rgb8(view.color), **size),
        depth=encode_depth(view.depth),
        depth_scale=view.depth_scale_m,
    )
    if view.confidence is not None:
        data = plane_codec.encode_gray8(view.confidence)
        message.confidence.CopyFrom(ingest_pb2.Image(encoding=_CONFIDENCE, data=data, **size))
    return message


def encode_depth(depth: DepthImage) -> ingest_pb2.Image:
    """Pack a depth image, without loss."""
    if depth.dtype == np.float32:
        encoding, data = _METRIC, plane_codec.encode_f32(depth.astype(np.float32, copy=False))
    else:
        encoding, data = _SENSOR, plane_codec.encode_u16(depth.astype(np.uint16, copy=False))
    height_px, width_px = depth.shape
    return ingest_pb2.Image(encoding=encoding, width_px=width_px, height_px=height_px, data=data)


def decode_view(message: ingest_pb2.FusedView, index: int = 0) -> Frame:
    """Unpack a view; its images are read-only. Raises FrameError for one that is damaged."""
    where = f"view of {message.capture_ns}"
    color = plane_codec.decode_rgb8(*_sized(message.color, _COLOR, where))
    depth: DepthImage
    if message.depth.encoding == _SENSOR:
        depth = plane_codec.decode_u16(*_sized(message.depth, _SENSOR, where))
    else:
        depth = plane_codec.decode_f32(*_sized(message.depth, _METRIC, where))
    confidence = None
    if message.HasField("confidence"):
        confidence = plane_codec.decode_gray8(*_sized(message.confidence, _CONFIDENCE, where))
        confidence.flags.writeable = False
    color.flags.writeable = depth.flags.writeable = False
    return Frame(
        index, message.capture_ns, color, depth, message.depth_scale, confidence=confidence
    )


def _sized(
    image: ingest_pb2.Image, encoding: int, where: str
) -> tuple[bytes, tuple[int, int], str]:
    """An image's bytes and shape. Raises FrameError for another encoding."""
    if image.encoding != encoding:
        raise FrameError(f"{where} has an image of encoding {image.encoding}, must be {encoding}")
    return image.data, (image.height_px, image.width_px), where
