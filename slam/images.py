"""Frames as they come over the wire, decoded and checked."""

from collections.abc import Mapping
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from mapcast_client.errors import FrameError
from mapcast_client.v1 import ingest_pb2
from slam.camera import Calibration, Camera
from slam.frame import DepthImage, Frame
from slam.geometry import Mat4, from_pose_vector
from slam.image_codecs import COLOR_CODECS, DEPTH_DECODERS, require_size

MAX_PICTURE_PX = 4096 * 4096
"""Of a picture that no camera was told for: 48 MiB decoded."""
_QUATERNION_TOLERANCE = 1e-2


def decode_frame(message: ingest_pb2.Frame, calibration: Calibration) -> Frame:
    """Decode the two images of an RGB-D frame into read-only arrays of the camera's size.

    Depth that the sensor could not measure becomes 0: `depth_invalid` in 16-bit images; NaN,
    infinite and negative metres in float ones.

    Raises FrameError, naming the frame and the image, if an image is missing, has the wrong
    encoding, type or size (checked before anything of that size is allocated), or is truncated or
    corrupt as far as its format tells (JPEG has no checksum); and if the frame's pose is not
    finite or its quaternion not of unit length.
    """
    where = f"frame {message.index}"
    color = _color(message, calibration.camera, where)
    depth = _depth(message.depth, calibration, f"{where}: depth image")
    is_metric = depth.dtype == np.float32
    return Frame(
        message.index,
        message.capture_ns,
        color,
        depth,
        1.0 if is_metric else calibration.depth_scale_m,
        _pose(message, where),
    )


def decode_monocular_frame(message: ingest_pb2.Frame, camera: Camera) -> Frame:
    """Decode the colour of a frame of a monocular session.

    A depth image is not looked at: a sender may have one all the same. Raises FrameError as
    `decode_frame` does.
    """
    where = f"frame {message.index}"
    color = _color(message, camera, where)
    return Frame(message.index, message.capture_ns, color, world_from_camera=_pose(message, where))


def color_size(message: ingest_pb2.Frame) -> tuple[int, int]:
    """(width_px, height_px) of a frame's colour image, for a session without a camera yet.

    What the image says about itself counts, then what the message says. Raises FrameError if
    neither says anything, or the image is missing or not what it claims to be.
    """
    where = f"frame {message.index}: colour image"
    image = message.color
    declared = (image.width_px, image.height_px)
    size = _known(image, COLOR_CODECS, where).size(image.data, where) or declared
    if 0 in size:
        raise FrameError(f"{where} does not tell its size: width_px and height_px are needed")
    return size


def decode_picture(image: ingest_pb2.Image) -> NDArray[np.uint8]:
    """(H, W, 3) sRGB of a colour image of any size up to MAX_PICTURE_PX. Raises FrameError."""
    size = picture_size(image)
    return COLOR_CODECS[image.encoding].decode(image.data, size, "picture")


def picture_size(image: ingest_pb2.Image) -> tuple[int, int]:
    """(width_px, height_px) of a colour image. Raises FrameError, too for one that is too large."""
    where = "picture"
    codec = _known(image, COLOR_CODECS, where)
    size = codec.size(image.data, where) or (image.width_px, image.height_px)
    if size[0] * size[1] > MAX_PICTURE_PX:
        raise FrameError(
            f"{where} is {size[0]}x{size[1]} px: {size[0] * size[1]} pixels, limit {MAX_PICTURE_PX}"
        )
    return size


def _color(message: ingest_pb2.Frame, camera: Camera, where: str) -> NDArray[np.uint8]:
    """The frame's colour image, read-only."""
    where = f"{where}: colour image"
    codec = _known(message.color, COLOR_CODECS, where)
    color = codec.decode(message.color.data, _checked_size(message.color, camera, where), where)
    color.flags.writeable = False
    return color


def _depth(image: ingest_pb2.Image, calibration: Calibration, where: str) -> DepthImage:
    """The frame's depth image, read-only, with 0 where there is none."""
    decode = _known(image, DEPTH_DECODERS, where)
    depth = decode(image.data, _checked_size(image, calibration.camera, where), where)
    depth = _without_unmeasured(depth, calibration.depth_invalid)
    depth.flags.writeable = False
    return depth


_Codec = TypeVar("_Codec")


def _known(image: ingest_pb2.Image, codecs: Mapping[int, _Codec], where: str) -> _Codec:
    """What reads the image's encoding."""
    if not image.data:
        raise FrameError(f"{where} is missing")
    codec = codecs.get(image.encoding)
    if codec is None:
        allowed = ", ".join(_encoding_name(encoding) for encoding in codecs)
        raise FrameError(
            f"{where} has encoding {_encoding_name(image.encoding)}, must be one of {allowed}"
        )
    return codec


def _checked_size(image: ingest_pb2.Image, camera: Camera, where: str) -> tuple[int, int]:
    """The camera's size, which the image must declare if it declares any."""
    expected = (camera.width_px, camera.height_px)
    declared = (image.width_px, image.height_px)
    if declared != (0, 0):
        require_size(declared, expected, where)
    return expected


def _encoding_name(encoding: int) -> str:
    known = ingest_pb2.ImageEncoding.DESCRIPTOR.values_by_number.get(encoding)
    return str(encoding) if known is None else known.name.removeprefix("IMAGE_ENCODING_")


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
