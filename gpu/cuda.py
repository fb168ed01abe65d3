"""Kernels on NVIDIA devices."""

from collections import deque
from dataclasses import dataclass
from functools import cached_property
from struct import Struct
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gpu import nvrtc
from gpu.backend import BackendError, Buffer, DeviceInfo, DeviceMemory
from gpu.cuda_driver import CudaDevice, CudaDriver, CudaEvent, CudaFunction
from gpu.cuda_staging import Downloads, Uploads
from gpu.memory_limit import MemoryLimit
from gpu.signatures import Signature, signature

STAGING_BYTES = 32 << 20
"""Room for uploads under way, on the host and on the device: several frames of a camera."""
_READ_BACK_BYTES = 8 << 20
_LAYOUT = {"int": "i", "uint": "I", "float": "f"}


@dataclass(frozen=True, slots=True, eq=False)
class CudaBuffer:
    """Memory of an NVIDIA device."""

    address: int
    size_bytes: int
    owner: object = None
    """Whose it is, if another library's."""


@dataclass(frozen=True, slots=True)
class _Kernel:
    declared: Signature
    layout: Struct
    function: CudaFunction


class CudaBackend:
    """An NVIDIA device. One thread calls it.

    Besides what the limit counts, it takes STAGING_BYTES of the device's memory.
    """

    def __init__(
        self,
        device_index: int,
        limit: MemoryLimit,
        relaxed: bool = False,
        driver: CudaDriver | None = None,
        staging_bytes: int = STAGING_BYTES,
    ) -> None:
        """Use a device, through CuPy if no driver is given.

        `relaxed`: faster arithmetic, whose last bits differ from the other backends'. Raises
        BackendError if there is no such device.
        """
        self._driver = driver or _opened(device_index)
        self._limit = limit
        self._relaxed = relaxed
        self._stream = self._driver.stream()
        self._uploads = Uploads(self._driver, self._stream, staging_bytes)
        self._downloads = Downloads(
            self._driver, self._stream, min(staging_bytes, _READ_BACK_BYTES)
        )
        self._live: set[CudaBuffer] = set()
        self._returned: deque[tuple[CudaEvent, object]] = deque()
        """Owners of borrowed memory that is no longer used once the device gets there."""
        self._kernels: dict[str, _Kernel] = {}

    @cached_property
    def info(self) -> DeviceInfo:
        """What it is."""
        return device_info(self._driver.device)

    def alloc(self, size_bytes: int) -> CudaBuffer:
        """Take memory, zeroed, rounded up to whole words. Raises DeviceMemoryError."""
        size_bytes = max(size_bytes + 3 & ~3, 4)
        self._limit.take(size_bytes)
        try:
            address = self._driver.malloc(size_bytes, self._stream)
        except BackendError:
            self._limit.give(size_bytes)
            raise
        buffer = CudaBuffer(address, size_bytes)
        self._live.add(buffer)
        self.fill(buffer, 0)
        return buffer

    def borrow(self, tensor: Any) -> CudaBuffer | None:
        """Another library's tensor on this device as a buffer: nothing is copied."""
        self._let_go()
        shared = self._driver.share(tensor, self._stream)
        if shared is None:
            return None
        self._check_shared(shared.is_contiguous, "not contiguous")
        words = shared.address % 4 == 0 and shared.size_bytes % 4 == 0 and shared.size_bytes > 0
        self._check_shared(words, f"{shared.size_bytes} bytes at {shared.address:#x}: not words")
        buffer = CudaBuffer(shared.address, shared.size_bytes, shared.owner)
        self._live.add(buffer)
        return buffer

    def free(self, buffer: Buffer) -> None:
        """Give memory back: nothing may use it any more."""
        address = self._address(buffer, 0, 0)
        assert isinstance(buffer, CudaBuffer)
        self._live.remove(buffer)
        if buffer.owner is None:
            self._driver.free(address)
            self._limit.give(buffer.size_bytes)
        else:
            self._returned.append((self._stream.record(), buffer.owner))
        self._let_go()

    def upload(self, buffer: Buffer, array: NDArray[Any], offset_bytes: int = 0) -> None:
        """Copy an array, of whole words, into a buffer; the array may change at once."""
        data = np.ascontiguousarray(array).reshape(-1).view(np.uint8)
        self._uploads.send(data, self._address(buffer, offset_bytes, len(data)))

    def download(
        self, buffer: Buffer, dtype: type[np.generic], count: int, offset_bytes: int = 0
    ) -> NDArray[Any]:
        """(count,) numbers of a buffer, after all that was asked before."""
        numbers = np.empty(count, dtype)
        address = self._address(buffer, offset_bytes, numbers.nbytes)
        self._downloads.fetch(address, numbers.view(np.uint8))
        return numbers

    def copy(
        self,
        source: Buffer,
        target: Buffer,
        size_bytes: int,
        source_offset_bytes: int = 0,
        target_offset_bytes: int = 0,
    ) -> None:
        """Copy between two buffers of the device."""
        first = self._address(source, source_offset_bytes, size_bytes)
        second = self._address(target, target_offset_bytes, size_bytes)
        if size_bytes:
            self._stream.copy(first, second, size_bytes)

    def fill(self, buffer: Buffer, word: int) -> None:
        """Set every word of a buffer to the same 32 bits."""
        address = self._address(buffer, 0, buffer.size_bytes)
        self._stream.fill(address, word, buffer.size_bytes // 4)

    def launch(self, kernel: str, groups: int, **arguments: Buffer | int | float) -> None:
        """Run a kernel in so many groups; its arguments by their names."""
        if kernel not in self._kernels:
            self._kernels[kernel] = self._loaded(signature(kernel))
        loaded = self._kernels[kernel]
        values = [
            self._address(value, 0, 0) if parameter.is_buffer else value
            for parameter, value in zip(
                loaded.declared.parameters, loaded.declared.ordered(arguments), strict=True
            )
        ]
        if groups:
            packed = loaded.layout.pack(*values)
            self._stream.launch(loaded.function, groups, loaded.declared.items, packed)

    def memory(self) -> DeviceMemory:
        """What is taken."""
        return self._limit.memory

    def synchronise(self) -> None:
        """Wait until all is done. Raises BackendError if something went wrong on the device."""
        self._stream.synchronise()

    def _address(self, buffer: Any, offset_bytes: int, size_bytes: int) -> int:
        """Where a part of a buffer is.

        The driver knows no buffers: what lies beyond one, or was freed, is another one's.
        """
        if buffer not in self._live:
            raise BackendError(f"{self.info.name}: {buffer!r} is not, or no longer, a buffer")
        if (
            offset_bytes % 4
            or size_bytes % 4
            or not (0 <= offset_bytes <= offset_bytes + size_bytes <= buffer.size_bytes)
        ):
            raise BackendError(
                f"{self.info.name}: {size_bytes} bytes at {offset_bytes} of a buffer of "
                f"{buffer.size_bytes}, must be words in it"
            )
        return int(buffer.address) + offset_bytes

    def _let_go(self) -> None:
        while self._returned and self._returned[0][0].is_done:
            self._returned.popleft()

    def _check_shared(self, fits: bool, problem: str) -> None:
        if not fits:
            raise BackendError(f"{self.info.name}: a tensor is {problem}")

    def _loaded(self, declared: Signature) -> _Kernel:
        code = nvrtc.cubin(declared.file, self._driver.device.architecture, self._relaxed)
        function = self._driver.load(code, declared.name)
        return _Kernel(declared, parameters_layout(declared), function)


def parameters_layout(declared: Signature) -> Struct:
    """A kernel's arguments in memory: addresses and words in their order, aligned as in C."""
    letters = ["P" if each.is_buffer else _LAYOUT[each.type] for each in declared.parameters]
    return Struct("@" + "".join(letters))


def device_info(device: CudaDevice) -> DeviceInfo:
    """What a device is, by its driver."""
    return DeviceInfo("cuda", device.name, device.driver, device.memory_bytes, False)


def devices() -> list[CudaDevice]:
    """All NVIDIA devices. Raises BackendError if there are none, or no driver or compiler."""
    from gpu import cuda_cupy

    nvrtc.check()
    return cuda_cupy.devices()


def free_memory_bytes(device_index: int) -> int:
    """What nobody has taken of a device's memory. Raises BackendError."""
    from gpu import cuda_cupy

    return cuda_cupy.free_memory_bytes(device_index)


def _opened(device_index: int) -> CudaDriver:
    from gpu import cuda_cupy

    return cuda_cupy.CupyDriver(device_index)
