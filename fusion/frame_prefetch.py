"""Getting the next views from a store ahead of their use, on a thread beside the fusing one."""

from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor

from fusion.frame_store import FrameStore
from slam.frame import Frame

AHEAD = 3


class FramePrefetch:
    """At most `AHEAD` views in the making or made. One thread calls it.

    Its own thread ends with it.
    """

    def __init__(self, frames: FrameStore) -> None:
        self._frames = frames
        self._thread = ThreadPoolExecutor(1, "frames")
        self._coming: dict[int, Future[Frame | None]] = {}

    def expect(self, capture_ns: Sequence[int]) -> None:
        """Say which views are needed next, the first one first; others are dropped."""
        wanted = capture_ns[:AHEAD]
        for dropped in self._coming.keys() - set(wanted):
            self._coming.pop(dropped).cancel()
        for instant in wanted:
            if instant not in self._coming:
                self._coming[instant] = self._thread.submit(self._frames.get, instant)

    def take(self, capture_ns: int, timeout_s: float | None) -> Frame | None:
        """An expected view; None if it is not stored any more.

        Raises TimeoutError if it has not come in time: it is still expected then.
        """
        view = self._coming[capture_ns].result(timeout_s)
        del self._coming[capture_ns]
        return view
