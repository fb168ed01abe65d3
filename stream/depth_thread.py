"""Estimating depth beside the fusion of live frames, one at a time."""

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor

from fusion.live_map import LiveMap
from fusion.monocular import DepthRequest, Estimate


class DepthThread:
    """At most one estimate in the making; `wake` is called, from its thread, when it is ready."""

    def __init__(self, wake: Callable[[], None]) -> None:
        self._wake = wake
        self._thread = ThreadPoolExecutor(1, "depth")
        self._pending: Future[Estimate] | None = None

    @property
    def is_free(self) -> bool:
        """Whether it could begin another estimate: none is in the making or waits to be taken."""
        return self._pending is None

    def begin(self, live_map: LiveMap, request: DepthRequest) -> None:
        """Begin an estimate; the thread must be free."""
        assert self._pending is None
        self._pending = self._thread.submit(live_map.estimate, request)
        self._pending.add_done_callback(lambda _: self._wake())

    def take(self, wait: bool = False) -> Estimate | None:
        """The estimate, if it is ready, or once it is; None when there is none."""
        if self._pending is None or not (wait or self._pending.done()):
            return None
        estimate, self._pending = self._pending.result(), None
        return estimate

    def close(self) -> None:
        """End the thread, after what it is at."""
        self._thread.shutdown()
