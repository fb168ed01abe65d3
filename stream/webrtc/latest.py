"""The slot between the decoder and the session: the newest frame wins."""

import asyncio
from collections.abc import Callable

from av import VideoFrame


class LatestFrame:
    """Holds one decoded frame; a newer one replaces it.

    It stands where aiortc has an unbounded queue: `put` is what its decoder thread calls through
    the event loop, `get` what `track.recv()` awaits. One reader.
    """

    def __init__(self, replaced: Callable[[], None]) -> None:
        self._replaced = replaced
        self._frame: VideoFrame | None = None
        self._has_ended = False
        self._changed = asyncio.Event()

    async def put(self, frame: VideoFrame | None) -> None:
        """Offer a frame; None: there will be no more."""
        if frame is None:
            self._has_ended = True
        else:
            if self._frame is not None:
                self._replaced()
            self._frame = frame
        self._changed.set()

    async def get(self) -> VideoFrame | None:
        """Wait for a frame that was not taken yet; None: there will be no more."""
        while self._frame is None and not self._has_ended:
            self._changed.clear()
            await self._changed.wait()
        frame, self._frame = self._frame, None
        return frame
