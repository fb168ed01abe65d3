"""What `gpu.cuda` asks of NVIDIA's driver: `gpu.cuda_cupy` does it; the tests put another there."""

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class CudaDevice:
    """An NVIDIA device as its driver presents it."""

    index: int
    name: str
    architecture: str
    """What code must be compiled for, such as sm_90."""
    driver: str
    """The newest CUDA that the driver knows."""
    memory_bytes: int


@dataclass(frozen=True, slots=True)
class SharedMemory:
    """Memory of the device that another library took."""

    address: int
    size_bytes: int
    is_contiguous: bool
    owner: object
    """It stays taken as long as this lives."""


class CudaEvent(Protocol):
    """A mark between the tasks of a stream."""

    @property
    def is_done(self) -> bool:
        """Whether all before the mark is done."""

    def wait(self) -> None:
        """Return when all before the mark is done. Raises BackendError if it failed."""


class CudaFunction(Protocol):
    """A kernel, loaded onto the device."""

    @property
    def name(self) -> str:
        """Its name in the source."""


class CudaStream(Protocol):
    """Tasks that a device does one after the other, while this process goes on.

    Of the host's memory, only what `CudaDriver.pinned` gave may be named, and it must be left
    alone until the task is done. All raise BackendError with the driver's text; of a task that
    fails later, whoever asks next hears.
    """

    def upload(self, source: NDArray[np.uint8], target: int) -> None:
        """Copy the host's bytes to an address of the device."""

    def download(self, source: int, target: NDArray[np.uint8]) -> None:
        """Copy from an address of the device to the host's bytes."""

    def copy(self, source: int, target: int, size_bytes: int) -> None:
        """Copy between two addresses of the device."""

    def fill(self, target: int, word: int, count: int) -> None:
        """Set so many 32-bit words from an address on."""

    def launch(self, function: CudaFunction, groups: int, items: int, arguments: bytes) -> None:
        """Run a kernel; `arguments` as its compiler lays them out in memory."""

    def record(self) -> CudaEvent:
        """Mark the end of what was asked until now."""

    def wait_for(self, event: CudaEvent) -> None:
        """Do nothing of what is asked from now on before a mark of another stream is reached."""

    def synchronise(self) -> None:
        """Return when all is done."""


class CudaDriver(Protocol):
    """One device. One thread calls it."""

    @property
    def device(self) -> CudaDevice:
        """Which."""

    def malloc(self, size_bytes: int, stream: CudaStream) -> int:
        """The address of memory, aligned to 256 bytes, that this stream may use at once.

        What it holds is undefined. Raises DeviceMemoryError.
        """

    def free(self, address: int) -> None:
        """Give memory back; what its stream was asked before may still use it, no other's."""

    def pinned(self, size_bytes: int) -> NDArray[np.uint8]:
        """Memory of the host that the device reads and writes by itself."""

    def stream(self) -> CudaStream:
        """A new stream."""

    def load(self, code: bytes, kernel: str) -> CudaFunction:
        """A kernel of compiled code. Raises BackendError if the device cannot run it."""

    def share(self, tensor: Any, stream: CudaStream) -> SharedMemory | None:
        """The memory of another library's tensor, through DLPack; None if it is elsewhere.

        What the stream does from now on comes after what that library has asked of the device for
        it. Raises BackendError if it is no tensor.
        """
