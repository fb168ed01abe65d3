"""Estimating depth beside the fusion of live frames, one at a time."""

import os
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor

import numba

from fusion.live_map import LiveMap
from fusion.monocular import DepthRequest, Estimate

NICENESS = 10


def _step_back() -> None:
    """Leave the cores to tracking, whose poses are waited for: take one, when it is free."""
    numba.set_num_threads(1)
    os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), NICENESS)  # of this thread alone


class DepthThread:
    """At most one estimate in the making; `wake` is called, from its thread, when it is ready."""

    def __init__(self, wake: Callable[[], None]) -> None:
        self._wake = wake
        self._thread = ThreadPoolExecutor(1, "depth", initializer=_step_back)
        self._pending: Future[Estimate] | None = None
        self._live_map: LiveMap | None = None

    @property
    def is_free(self) -> bool:
        """Whether it could begin another estimate: none is in the making or waits to be taken."""
        return self._pending is None

    def begin(self, live_map: LiveMap, request: DepthRequest) -> None:
        """Begin an estimate; the thread must be free."""
        assert self._pending is None
        self._live_map = live_map
        self._pending = self._thread.submit(live_map.estimate, request)
        self._pending.add_done_callback(lambda _: self._wake())

    def take(self, live_map: LiveMap | None, wait: bool = False) -> Estimate | None:
        """The estimate, if it is ready, or once it is; None when there is none for this map.

        Raises what estimating raised.
        """
        pending = self._pending
        if pending is None or not (wait or pending.done()):
            return None
        self._pending = None
        estimate = pending.result()
        return estimate if self._live_map is live_map else None

    def close(self) -> None:
        """End the thread, after what it is at."""
        self._thread.shutdown()
