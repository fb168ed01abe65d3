"""Frames and calibrations for the wire, from NumPy arrays or encoded images."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mapcast_client.errors import DependencyError, FrameError, InputError
from mapcast_client.poses import pose_message
from mapcast_client.v1 import ingest_pb2

_JPEG_MAGIC = b"\xff\xd8\xff"
_PNG_MAGIC = b"\x89PNG\r\n\x1a\n"


def calibration_message(
    width_px: int,
    height_px: int,
    fx_px: float,
    fy_px: float,
    cx_px: float,
    cy_px: float,
    depth_scale_m: float = 0.001,
    distortion: Sequence[float] = (),
    depth_invalid: int = 0,
    frame_rate_hz: float = 30.0,
) -> ingest_pb2.Calibration:
    """Describe a camera, with or without depth; the centre of the first pixel is (0, 0).

    `depth_scale_m` is metres per unit of a 16-bit depth image, `distortion` k1 k2 p1 p2 [k3].
    """
    camera = ingest_pb2.Camera(
        width_px=width_px,
        height_px=height_px,
        fx_px=fx_px,
        fy_px=fy_px,
        cx_px=cx_px,
        cy_px=cy_px,
        distortion=distortion,
    )
    return ingest_pb2.Calibration(
        camera=camera,
        depth_scale_m=depth_scale_m,
        depth_invalid=depth_invalid,
        frame_rate_hz=frame_rate_hz,
    )


def frame_message(
    index: int,
    capture_ns: int,
    color: NDArray[np.uint8],
    depth: NDArray[np.uint16] | NDArray[np.float32] | None = None,
    world_from_camera: NDArray[np.float64] | None = None,
    jpeg_quality: int | None = None,
) -> ingest_pb2.Frame:
    """Make a frame of (H, W, 3) sRGB `color` and (H, W) `depth` along +Z, 0 = invalid.

    uint16 depth is in the calibration's units, float32 in metres; monocular frames have none.
    `world_from_camera` (4, 4) is for sessions with given poses. With `jpeg_quality` (1–100) the
    colour travels as JPEG. Raises FrameError, InputError for a pose that is not rigid,
    DependencyError without simplejpeg.
    """
    if color.dtype != np.uint8 or color.ndim != 3 or color.shape[2] != 3:
        raise FrameError(f"color is {color.dtype} {color.shape}, must be uint8 (H, W, 3)")
    if depth is not None and depth.shape != color.shape[:2]:
        raise FrameError(f"depth is {depth.shape}, must be {color.shape[:2]} like the colour")
    return ingest_pb2.Frame(
        index=index,
        capture_ns=capture_ns,
        color=_raw_color(color) if jpeg_quality is None else _jpeg_color(color, jpeg_quality),
        depth=None if depth is None else _raw_depth(depth),
        world_from_camera=None if world_from_camera is None else pose_message(world_from_camera),
    )


def i420_frame_message(
    index: int,
    capture_ns: int,
    planes: NDArray[np.uint8],
    world_from_camera: NDArray[np.float64] | None = None,
) -> ingest_pb2.Frame:
    """Make a monocular frame of a video decoder's output, (H · 3/2, W): Y, then U, then V.

    H and W are even; colours are BT.601's in video range. Raises FrameError.
    """
    if planes.dtype != np.uint8 or planes.ndim != 2:
        raise FrameError(f"planes are {planes.dtype} {planes.shape}, must be uint8 (H * 3/2, W)")
    rows, width_px = planes.shape
    height_px = rows * 2 // 3
    if rows == 0 or rows % 3 or width_px % 2:
        raise FrameError(f"planes are {planes.shape}, must be (H * 3/2, W) with H and W even")
    return ingest_pb2.Frame(
        index=index,
        capture_ns=capture_ns,
        color=_image(ingest_pb2.IMAGE_ENCODING_I420, (height_px, width_px), planes.tobytes()),
        world_from_camera=None if world_from_camera is None else pose_message(world_from_camera),
    )


def encoded_frame_message(
    index: int,
    capture_ns: int,
    color: bytes,
    depth: bytes | None,
    width_px: int,
    height_px: int,
    world_from_camera: NDArray[np.float64] | None = None,
) -> ingest_pb2.Frame:
    """Make a frame of images that are encoded already: colour JPEG, PNG or WebP, depth 16-bit PNG.

    `depth` None: a monocular frame. Raises FrameError when the bytes do not begin as such,
    InputError for a non-rigid pose.
    """
    if depth is not None and not depth.startswith(_PNG_MAGIC):
        raise FrameError("depth is not a PNG image")
    size = (height_px, width_px)
    return ingest_pb2.Frame(
        index=index,
        capture_ns=capture_ns,
        color=_image(_color_encoding(color), size, color),
        depth=None if depth is None else _image(ingest_pb2.IMAGE_ENCODING_PNG, size, depth),
        world_from_camera=None if world_from_camera is None else pose_message(world_from_camera),
    )


def imu_message(
    capture_ns: NDArray[np.int64],
    angular_velocity: NDArray[np.floating],
    specific_force: NDArray[np.floating],
) -> ingest_pb2.ImuBatch:
    """Make a batch of N IMU samples: (N,) instants of the frames' clock, (N, 3) rad/s and m/s².

    Specific force has gravity in it, as accelerometers measure. Raises InputError.
    """
    count = len(capture_ns)
    for name, values in (
        ("angular_velocity", angular_velocity),
        ("specific_force", specific_force),
    ):
        if values.shape != (count, 3) or not np.isfinite(values).all():
            raise InputError(f"{name} is {values.shape}, must be ({count}, 3) and finite")
    if (np.diff(capture_ns) <= 0).any():
        raise InputError("capture_ns of IMU samples does not increase")
    samples = (
        ingest_pb2.ImuSample(capture_ns=instant, gx=gx, gy=gy, gz=gz, ax=ax, ay=ay, az=az)
        for instant, (gx, gy, gz), (ax, ay, az) in zip(
            capture_ns.tolist(), angular_velocity.tolist(), specific_force.tolist(), strict=True
        )
    )
    return ingest_pb2.ImuBatch(samples=samples)


def _color_encoding(color: bytes) -> ingest_pb2.ImageEncoding:
    if color.startswith(_JPEG_MAGIC):
        return ingest_pb2.IMAGE_ENCODING_JPEG
    if color.startswith(_PNG_MAGIC):
        return ingest_pb2.IMAGE_ENCODING_PNG
    if color.startswith(b"RIFF") and color[8:12] == b"WEBP":
        return ingest_pb2.IMAGE_ENCODING_WEBP
    raise FrameError("color is not a JPEG, PNG or WebP image")


def _raw_color(color: NDArray[np.uint8]) -> ingest_pb2.Image:
    return _image(ingest_pb2.IMAGE_ENCODING_RGB8, color.shape, color.tobytes())


def _jpeg_color(color: NDArray[np.uint8], quality: int) -> ingest_pb2.Image:
    if not 1 <= quality <= 100:
        raise FrameError(f"jpeg_quality is {quality}, must be 1 to 100")
    try:
        import simplejpeg
    except ImportError as error:
        raise DependencyError(f"no simplejpeg ({error}): pip install simplejpeg") from None
    data = simplejpeg.encode_jpeg(np.ascontiguousarray(color), quality, colorsubsampling="420")
    return _image(ingest_pb2.IMAGE_ENCODING_JPEG, color.shape, data)


def _raw_depth(depth: NDArray[Any]) -> ingest_pb2.Image:
    native = depth.dtype.newbyteorder("=")
    if native == np.uint16:
        encoding, wire_type = ingest_pb2.IMAGE_ENCODING_DEPTH_U16, "<u2"
    elif native == np.float32:
        encoding, wire_type = ingest_pb2.IMAGE_ENCODING_DEPTH_F32, "<f4"
    else:
        raise FrameError(f"depth is {depth.dtype}, must be uint16 or float32")
    return _image(encoding, depth.shape, depth.astype(wire_type, copy=False).tobytes())


def _image(
    encoding: ingest_pb2.ImageEncoding, shape: tuple[int, ...], data: bytes
) -> ingest_pb2.Image:
    return ingest_pb2.Image(encoding=encoding, width_px=shape[1], height_px=shape[0], data=data)
