"""What finds the nearest features for refinement: the session's device, or the CPU."""

import logging

from gpu.backend import Backend
from gpu.discovery import CPU, choose
from gpu.matching import Descriptors, Nearest, nearest
from gpu.memory_limit import MemoryLimit

logger = logging.getLogger(__name__)

DEVICE_MEMORY_BYTES = 16 << 20
"""The device is the session's. Two keyframes of 2,000 features, and what is found, take 0.7 MB; of
10,000, which is more than SIFT is asked for, 3.4 MB."""


class MatchingDevice:
    """A device for matching, opened when it is first needed.

    One that is not there, has no room or fails is left alone from then on: the CPU finds the same.
    """

    def __init__(self, choice: str = CPU, memory_bytes: int = DEVICE_MEMORY_BYTES) -> None:
        """`choice` is as `gpu.discovery` takes it; with `cpu` no driver is touched."""
        self._choice = choice
        self._memory_bytes = memory_bytes
        self._backend: Backend | None = None

    def nearest(self, first: Descriptors, second: Descriptors) -> Nearest:
        """The nearest and the next of two sets, both ways: `gpu.matching.nearest`."""
        if self._choice != CPU:
            try:
                return nearest(first, second, self._opened())
            except Exception as error:  # each driver has its own ways of being broken
                logger.warning("refinement matches on the CPU from now on: %s", error)
                self._choice, self._backend = CPU, None
        return nearest(first, second)

    def _opened(self) -> Backend | None:
        if self._backend is None:
            device = choose(self._choice)
            if device is None:
                self._choice = CPU
                return None
            self._backend = device.open(MemoryLimit(self._memory_bytes))
        return self._backend
