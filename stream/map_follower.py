"""How much of the fusing thread's time goes into moving views to corrected poses."""

import time
from collections.abc import Callable

from fusion.live_map import LiveMap
from stream.mesh_publisher import IDLE_S

TICK_S = 0.01
"""For moving views between two jobs: a live frame waits hardly longer for it."""
LARGE_VOX = 2.0
"""What is off by more is seen to be wrong, and moved between any two jobs."""
SMALL_SHARE = 0.1
"""Of the time, while a frame is worked on, for what is off by less: trackers adjust poses all the
time."""


class MapFollower:
    """Moves views of a map that are off, a few at a time: frames go before, pauses are used.

    A pause is also what is left between one frame's result and the next frame.
    """

    def __init__(self, clock: Callable[[], float] = time.perf_counter) -> None:
        self._clock = clock
        self._patient_until_s = 0.0
        self._has_rested = True

    def wait_s(self, live_map: LiveMap) -> float:
        """How long the next job may be waited for before another tick."""
        if not live_map.is_following:
            return IDLE_S / 2
        return TICK_S if self._has_rested else 0.0

    def tick(self, live_map: LiveMap, jobs_wait: bool, jobs_come: bool) -> bool:
        """Move a few views; whether any moved.

        `jobs_wait`: to be fused now; `jobs_come`: or before long, another stage has some.
        """
        now_s = self._clock()
        is_patient = jobs_wait or (jobs_come and now_s < self._patient_until_s)
        has_moved = live_map.tick(TICK_S, LARGE_VOX if is_patient else 0.0)
        self._has_rested = not has_moved and live_map.graph.is_settled
        if not is_patient:
            then_s = self._clock()
            self._patient_until_s = then_s + (then_s - now_s) / SMALL_SHARE
        return has_moved
