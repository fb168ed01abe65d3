"""A decoded picture as the wire's I420, and whether it shows anything."""

import numpy as np
from av import VideoFrame
from numpy.typing import NDArray

from mapcast_client.v1 import ingest_pb2

SAMPLE_STEP_PX = 16
DARK_LUMA = 32
"""Video black is 16; a lens under a finger stays below this."""
FLAT_LUMA = 3.0
"""Standard deviation; a real picture of the dullest wall has more, by its noise and shade."""


def to_i420(frame: VideoFrame) -> ingest_pb2.Image:
    """The three planes without the padding of their rows."""
    if frame.format.name != "yuv420p":
        frame = frame.reformat(format="yuv420p")
    planes = [_plane(frame, index).tobytes() for index in range(3)]
    return ingest_pb2.Image(
        encoding=ingest_pb2.IMAGE_ENCODING_I420,
        width_px=frame.width,
        height_px=frame.height,
        data=b"".join(planes),
    )


def shows_nothing(frame: VideoFrame) -> bool:
    """Whether the picture is black, or of one shade all over."""
    luma = _plane(frame, 0)[::SAMPLE_STEP_PX, ::SAMPLE_STEP_PX]
    return bool(luma.max() < DARK_LUMA or luma.std() < FLAT_LUMA)


def _plane(frame: VideoFrame, index: int) -> NDArray[np.uint8]:
    """(H, W) uint8 view of a plane; of the chroma planes half of both."""
    plane = frame.planes[index]
    rows = np.frombuffer(memoryview(plane), np.uint8).reshape(-1, plane.line_size)
    return rows[: plane.height, : plane.width]
