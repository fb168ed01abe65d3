"""What a session's camera saw last, as JPEG for whoever asks."""

import asyncio

import numpy as np
import simplejpeg

from mapcast_client.v1 import ingest_pb2
from slam.images import decode_picture, picture_size

QUALITY = 80


class NewestPicture:
    """The colour image of the newest frame taken; encoded when it is asked for, and once.

    Nothing has looked at the image yet: its frame waits for the worker.
    """

    def __init__(self) -> None:
        self._image = ingest_pb2.Image()
        self._encoded = self._image
        """The image that `_encoding` is of."""
        self._encoding: asyncio.Task[bytes] | None = None

    def take(self, image: ingest_pb2.Image) -> None:
        """Note the image of a newer frame."""
        self._image = image

    @property
    def is_missing(self) -> bool:
        """Whether there was no frame yet, or one without an image."""
        return not self._image.data

    async def jpeg(self) -> bytes:
        """The picture, or the one whose encoding has not ended yet: one is encoded at a time.

        Raises FrameError for an image that is broken or too large.
        """
        running = self._encoding
        if running is None or (running.done() and self._encoded is not self._image):
            self._encoded = self._image
            running = self._encoding = asyncio.create_task(
                asyncio.to_thread(_encode_jpeg, self._image)
            )
        return await asyncio.shield(running)


def _encode_jpeg(image: ingest_pb2.Image) -> bytes:
    if image.encoding == ingest_pb2.IMAGE_ENCODING_JPEG:
        picture_size(image)  # raises
        return image.data
    color = np.ascontiguousarray(decode_picture(image))
    jpeg: bytes = simplejpeg.encode_jpeg(color, QUALITY, colorsubsampling="420")
    return jpeg
