"""Pinned memory of the host through which copies to and from an NVIDIA device pass."""

from collections import deque

import numpy as np
from numpy.typing import NDArray

from gpu.cuda_driver import CudaDriver, CudaEvent, CudaStream

_ALIGNMENT_BYTES = 256


class Uploads:
    """A ring of the host's pinned memory, and one of the device's, of the same layout.

    A stream of its own sends what lies in the one to the other, and only the last step, from
    there to the buffer, is the computing stream's: so what a frame needs crosses the bus while
    the kernels of the frame before still run, and no buffer changes before its turn. Room is
    used again after that last step, for which the host waits if it must.
    """

    def __init__(self, driver: CudaDriver, computing: CudaStream, size_bytes: int) -> None:
        """Take the rings, of `size_bytes` each."""
        assert size_bytes % (2 * _ALIGNMENT_BYTES) == 0
        self._computing = computing
        self._sending = driver.stream()
        self._pinned = driver.pinned(size_bytes)
        self._device = driver.malloc(size_bytes, self._sending)
        self._size_bytes = size_bytes
        self._next = 0
        """Where the next piece goes, in bytes since the beginning of the first lap."""
        self._taken: deque[tuple[int, CudaEvent]] = deque()
        """Where each piece is, likewise, and when it has left the rings; oldest first."""

    def send(self, data: NDArray[np.uint8], target: int) -> None:
        """Copy bytes to an address of the device; they may change at once."""
        piece_bytes = self._size_bytes // 2  # so that one is sent while the next is written
        for start in range(0, len(data), piece_bytes):
            self._send(data[start : start + piece_bytes], target + start)

    def _send(self, piece: NDArray[np.uint8], target: int) -> None:
        place = self._room(len(piece))
        start = place % self._size_bytes
        pinned = self._pinned[start : start + len(piece)]
        pinned[:] = piece
        self._sending.upload(pinned, self._device + start)
        self._computing.wait_for(self._sending.record())
        self._computing.copy(self._device + start, target, len(piece))
        self._taken.append((place, self._computing.record()))

    def _room(self, size_bytes: int) -> int:
        """Where the next piece goes; waits until what was there a lap before has left."""
        place = self._next
        if place % self._size_bytes + size_bytes > self._size_bytes:
            place += -place % self._size_bytes  # pieces are whole: the rest of a lap is left out
        self._next = place + -(-size_bytes // _ALIGNMENT_BYTES) * _ALIGNMENT_BYTES
        while self._taken and self._taken[0][0] < self._next - self._size_bytes:
            _, gone = self._taken.popleft()
            gone.wait()
        return place


class Downloads:
    """Two pieces of the host's pinned memory: while one fills, the other is emptied."""

    def __init__(self, driver: CudaDriver, computing: CudaStream, size_bytes: int) -> None:
        """Take the pieces, of `size_bytes` together."""
        self._computing = computing
        self._piece_bytes = size_bytes // 2
        self._pinned = driver.pinned(2 * self._piece_bytes).reshape(2, -1)

    def fetch(self, source: int, target: NDArray[np.uint8]) -> None:
        """Copy from an address of the device, after all that was asked; waits for it."""
        under_way: deque[tuple[NDArray[np.uint8], NDArray[np.uint8], CudaEvent]] = deque()
        for index, start in enumerate(range(0, len(target), self._piece_bytes)):
            piece = target[start : start + self._piece_bytes]
            pinned = self._pinned[index % 2, : len(piece)]
            self._computing.download(source + start, pinned)
            under_way.append((piece, pinned, self._computing.record()))
            if len(under_way) == 2:
                _empty(*under_way.popleft())
        while under_way:
            _empty(*under_way.popleft())


def _empty(piece: NDArray[np.uint8], pinned: NDArray[np.uint8], arrived: CudaEvent) -> None:
    arrived.wait()
    piece[:] = pinned
