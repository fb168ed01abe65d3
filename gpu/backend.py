"""What runs kernels on a device: few verbs, the same for CUDA, OpenCL and WebGPU."""

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from mapcast_client.errors import MapcastError

WORD_BYTES = 4
"""Buffers hold words of so many."""


class BackendError(MapcastError):
    """A device that is not there, or does not do what it is asked to."""


class DeviceMemoryError(BackendError):
    """The device, or its share that may be used, has no room."""


@dataclass(frozen=True, slots=True)
class DeviceInfo:
    """A device as its driver presents it."""

    backend: str
    """cuda, opencl or webgpu."""
    name: str
    driver: str
    memory_bytes: int
    """0: the driver does not say."""
    is_software: bool
    """It is this machine's processor."""

    @property
    def description(self) -> str:
        """What it is, for people."""
        return f"{self.name} ({self.backend})"


@dataclass(frozen=True, slots=True)
class DeviceMemory:
    """What is taken of a device, by this process."""

    used_bytes: int
    limit_bytes: int


class Buffer(Protocol):
    """Memory of a device: 32-bit words."""

    @property
    def size_bytes(self) -> int:
        """A multiple of 4."""


class Backend(Protocol):
    """A device, and the kernels of `gpu/kernels/device` compiled for it. One thread at a time.

    What is asked is done in that order, but maybe later: only `download` and `synchronise` wait.
    """

    @property
    def info(self) -> DeviceInfo:
        """What it is."""

    def alloc(self, size_bytes: int) -> Buffer:
        """Take memory, zeroed, rounded up to whole words. Raises DeviceMemoryError."""

    def borrow(self, tensor: Any) -> Buffer | None:
        """Another library's tensor on this device as a buffer, by DLPack: nothing is copied.

        None if it is elsewhere, or the device cannot. What is done with the buffer comes after what
        that library has asked of the device until now; until that is done, and the buffer freed,
        the tensor must not change. It counts as that library's memory. Raises BackendError if it is
        not contiguous whole words.
        """

    def free(self, buffer: Buffer) -> None:
        """Give memory back: nothing may use it any more."""

    def upload(self, buffer: Buffer, array: NDArray[Any], offset_bytes: int = 0) -> None:
        """Copy an array, of whole words, into a buffer; the array may change at once."""

    def download(
        self, buffer: Buffer, dtype: type[np.generic], count: int, offset_bytes: int = 0
    ) -> NDArray[Any]:
        """(count,) numbers of a buffer, after all that was asked before."""

    def copy(
        self,
        source: Buffer,
        target: Buffer,
        size_bytes: int,
        source_offset_bytes: int = 0,
        target_offset_bytes: int = 0,
    ) -> None:
        """Copy between two buffers of the device."""

    def fill(self, buffer: Buffer, word: int) -> None:
        """Set every word of a buffer to the same 32 bits."""

    def launch(self, kernel: str, groups: int, **arguments: Buffer | int | float) -> None:
        """Run a kernel in so many groups; its arguments by their names.

        Raises BackendError if they are not those of its declaration, see `gpu.signatures`.
        """

    def memory(self) -> DeviceMemory:
        """What is taken."""

    def synchronise(self) -> None:
        """Wait until all is done. Raises BackendError if something went wrong on the device."""
