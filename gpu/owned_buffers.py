"""Buffers that are given back together."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from gpu.backend import Backend, Buffer, DeviceInfo, DeviceMemory


class OwnedBuffers:
    """A backend that knows which buffers were taken through it. One thread calls it."""

    def __init__(self, backend: Backend) -> None:
        """Take buffers from a backend, for one owner."""
        self._backend = backend
        self._buffers: set[Buffer] = set()

    @property
    def info(self) -> DeviceInfo:
        """What it is."""
        return self._backend.info

    def alloc(self, size_bytes: int) -> Buffer:
        """Take memory, zeroed, rounded up to whole words. Raises DeviceMemoryError."""
        buffer = self._backend.alloc(size_bytes)
        self._buffers.add(buffer)
        return buffer

    def borrow(self, tensor: Any) -> Buffer | None:
        """Another library's tensor on this device as a buffer; None if it is elsewhere."""
        buffer = self._backend.borrow(tensor)
        if buffer is not None:
            self._buffers.add(buffer)
        return buffer

    def free(self, buffer: Buffer) -> None:
        """Give memory back: nothing may use it any more."""
        self._buffers.remove(buffer)
        self._backend.free(buffer)

    def free_all(self) -> None:
        """Give back all that was taken here."""
        while self._buffers:
            self._backend.free(self._buffers.pop())

    def upload(self, buffer: Buffer, array: NDArray[Any], offset_bytes: int = 0) -> None:
        """Copy an array, of whole words, into a buffer; the array may change at once."""
        self._backend.upload(buffer, array, offset_bytes)

    def download(
        self, buffer: Buffer, dtype: type[np.generic], count: int, offset_bytes: int = 0
    ) -> NDArray[Any]:
        """(count,) numbers of a buffer, after all that was asked before."""
        return self._backend.download(buffer, dtype, count, offset_bytes)

    def copy(
        self,
        source: Buffer,
        target: Buffer,
        size_bytes: int,
        source_offset_bytes: int = 0,
        target_offset_bytes: int = 0,
    ) -> None:
        """Copy between two buffers of the device."""
        self._backend.copy(source, target, size_bytes, source_offset_bytes, target_offset_bytes)

    def fill(self, buffer: Buffer, word: int) -> None:
        """Set every word of a buffer to the same 32 bits."""
        self._backend.fill(buffer, word)

    def launch(self, kernel: str, groups: int, **arguments: Buffer | int | float) -> None:
        """Run a kernel in so many groups; its arguments by their names."""
        self._backend.launch(kernel, groups, **arguments)

    def memory(self) -> DeviceMemory:
        """What is taken, by others too."""
        return self._backend.memory()

    def synchronise(self) -> None:
        """Wait until all is done. Raises BackendError if something went wrong on the device."""
        self._backend.synchronise()
