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
        self._taken: deque[tuple[int, int, CudaEvent]] = deque()
        """Start and end of each piece in the rings, and when it has left them; oldest first."""

    def send(self, data: NDArray[np.uint8], target: int) -> None:
        """Copy bytes to an address of the device; they may change at once."""
        piece_bytes = self._size_bytes // 2  # so that one is sent while the next is written
        for start in range(0, len(data), piece_bytes):
            self._send(data[start : start + piece_bytes], target + start)

    def _send(self, piece: NDArray[np.uint8], target: int) -> None:
        start = self._room(len(piece))
        end = start + len(piece)
        pinned = self._pinned[start:end]
        pinned[:] = piece
        self._sending.upload(pinned, self._device + start)
        self._computing.wait_for(self._sending.record())
        self._computing.copy(self._device + start, target, len(piece))
        self._taken.append((start, end, self._computing.record()))

    def _room(self, size_bytes: int) -> int:
        """Where the rings have room; waits for it."""
        start = self._next if self._next + size_bytes <= self._size_bytes else 0
        end = start + size_bytes
        while any(first < end and start < last for first, last, _ in self._taken):
            _, _, gone = self._taken.popleft()
            gone.wait()
        self._next = -(-end // _ALIGNMENT_BYTES) * _ALIGNMENT_BYTES
        return start


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
