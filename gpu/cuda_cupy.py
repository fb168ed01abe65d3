"""NVIDIA's driver through CuPy: its memory pool, streams and DLPack.

Written without such a device at hand: `tests/device` is what shows that it runs.
"""

import ctypes
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

import cupy
import numpy as np
from cupy.cuda import driver, runtime
from cupy.cuda.function import Function, Module
from cupy.cuda.memory import MemoryPointer, OutOfMemoryError
from numpy.typing import NDArray

from gpu.backend import BackendError, DeviceMemoryError
from gpu.cuda_driver import CudaDevice, CudaEvent, CudaFunction, CudaStream, SharedMemory

_ARGUMENTS, _ARGUMENTS_SIZE, _END = 1, 2, 0
"""CU_LAUNCH_PARAM_BUFFER_POINTER, _SIZE and _END: arguments in one piece."""
_DLPACK_CUDA = 2
_LARGE_BYTES = 16 << 20
"""When so much is freed, the device gets it back: growing, and other programs, need it."""


class CupyEvent:
    """A mark between the tasks of a stream."""

    def __init__(self, device: cupy.cuda.Device, event: cupy.cuda.Event) -> None:
        """Wrap a recorded event."""
        self._device = device
        self.event = event

    @property
    def is_done(self) -> bool:
        """Whether all before the mark is done."""
        with _calls(self._device, "asking for an event"):
            return bool(self.event.done)

    def wait(self) -> None:
        """Return when all before the mark is done. Raises BackendError if it failed."""
        with _calls(self._device, "waiting"):
            self.event.synchronize()


class CupyFunction:
    """A kernel, loaded onto the device."""

    def __init__(self, function: Function, name: str) -> None:
        """Wrap a function, which keeps its module loaded."""
        self.function = function
        self._name = name

    @property
    def name(self) -> str:
        """Its name in the source."""
        return self._name


class CupyStream:
    """Tasks that a device does one after the other, see `CudaStream`."""

    def __init__(self, device: cupy.cuda.Device) -> None:
        """Start one that waits for no other."""
        self._device = device
        with _calls(device, "making a stream"):
            self.stream = cupy.cuda.Stream(non_blocking=True)

    def upload(self, source: NDArray[np.uint8], target: int) -> None:
        """Copy the host's bytes to an address of the device."""
        address = source.ctypes.data
        self._copy(target, address, source.nbytes, runtime.memcpyHostToDevice)

    def download(self, source: int, target: NDArray[np.uint8]) -> None:
        """Copy from an address of the device to the host's bytes."""
        address = target.ctypes.data
        self._copy(address, source, target.nbytes, runtime.memcpyDeviceToHost)

    def copy(self, source: int, target: int, size_bytes: int) -> None:
        """Copy between two addresses of the device."""
        self._copy(target, source, size_bytes, runtime.memcpyDeviceToDevice)

    def fill(self, target: int, word: int, count: int) -> None:
        """Set so many 32-bit words from an address on."""
        with _calls(self._device, f"filling {count} words"):
            result = _libcuda().cuMemsetD32Async(  # CuPy sets bytes only
                ctypes.c_uint64(target), ctypes.c_uint32(word), ctypes.c_size_t(count),
                ctypes.c_void_p(self.stream.ptr),
            )  # fmt: skip
            driver.check_status(result)

    def launch(self, function: CudaFunction, groups: int, items: int, arguments: bytes) -> None:
        """Run a kernel; `arguments` as its compiler lays them out in memory."""
        assert isinstance(function, CupyFunction)
        packed = ctypes.create_string_buffer(arguments, len(arguments))
        size = ctypes.c_size_t(len(arguments))
        extra = (ctypes.c_void_p * 5)(
            _ARGUMENTS, ctypes.addressof(packed), _ARGUMENTS_SIZE, ctypes.addressof(size), _END
        )
        with _calls(self._device, f"starting {function.name} in {groups} groups"):
            driver.launchKernel(
                function.function.ptr, groups, 1, 1, items, 1, 1, 0, self.stream.ptr, 0,
                ctypes.addressof(extra),
            )  # fmt: skip

    def record(self) -> CupyEvent:
        """Mark the end of what was asked until now."""
        with _calls(self._device, "marking"):
            event = cupy.cuda.Event(disable_timing=True)
            event.record(self.stream)
        return CupyEvent(self._device, event)

    def wait_for(self, event: CudaEvent) -> None:
        """Do nothing of what is asked from now on before a mark of another stream is reached."""
        assert isinstance(event, CupyEvent)
        with _calls(self._device, "waiting for a mark"):
            self.stream.wait_event(event.event)

    def synchronise(self) -> None:
        """Return when all is done."""
        with _calls(self._device, "waiting"):
            self.stream.synchronize()

    def _copy(self, target: int, source: int, size_bytes: int, kind: int) -> None:
        with _calls(self._device, f"copying {size_bytes} bytes"):
            runtime.memcpyAsync(target, source, size_bytes, kind, self.stream.ptr)


class CupyDriver:
    """One device, see `CudaDriver`."""

    def __init__(self, device_index: int) -> None:
        """Use a device. Raises BackendError if there is none of this index."""
        self._info = device_at(device_index)
        self._device = cupy.cuda.Device(device_index)
        self._pool = cupy.cuda.MemoryPool()
        self._memory: dict[int, MemoryPointer] = {}

    @property
    def device(self) -> CudaDevice:
        """Which."""
        return self._info

    def malloc(self, size_bytes: int, stream: CudaStream) -> int:
        """The address of memory, aligned to 256 bytes, that this stream may use at once."""
        assert isinstance(stream, CupyStream)
        with _calls(self._device, f"taking {size_bytes} bytes"), stream.stream:  # the pool's
            memory = self._pool.malloc(size_bytes)
        address = int(memory.ptr)
        self._memory[address] = memory
        return address

    def free(self, address: int) -> None:
        """Give memory back; what its stream was asked before may still use it, no other's."""
        with _calls(self._device, "giving memory back"):
            size_bytes = self._memory.pop(address).mem.size  # kept for the same stream only
            if size_bytes >= _LARGE_BYTES:
                self._pool.free_all_blocks()

    def pinned(self, size_bytes: int) -> NDArray[np.uint8]:
        """Memory of the host that the device reads and writes by itself."""
        with _calls(self._device, f"pinning {size_bytes} bytes"):
            return np.frombuffer(cupy.cuda.alloc_pinned_memory(size_bytes), np.uint8, size_bytes)

    def stream(self) -> CupyStream:
        """A new stream."""
        return CupyStream(self._device)

    def load(self, code: bytes, kernel: str) -> CupyFunction:
        """A kernel of compiled code. Raises BackendError if the device cannot run it."""
        with _calls(self._device, f"loading {kernel}"):
            module = Module()
            module.load(code)
            return CupyFunction(module.get_function(kernel), kernel)

    def share(self, tensor: Any, stream: CudaStream) -> SharedMemory | None:
        """The memory of another library's tensor, through DLPack; None if it is elsewhere."""
        assert isinstance(stream, CupyStream)
        try:
            kind, index = tensor.__dlpack_device__()
            if (kind, index) != (_DLPACK_CUDA, self._device.id):
                return None
            with _calls(self._device, "borrowing a tensor"):
                array = cupy.from_dlpack(tensor.__dlpack__(stream=stream.stream.ptr))
        except (AttributeError, TypeError, ValueError, BufferError, RuntimeError) as error:
            raise BackendError(f"cannot borrow {type(tensor).__name__}: {error}") from error
        is_contiguous = bool(array.flags.c_contiguous)
        return SharedMemory(int(array.data.ptr), int(array.nbytes), is_contiguous, array)


def devices() -> list[CudaDevice]:
    """All NVIDIA devices. Raises BackendError if there is no driver, or nothing it drives."""
    try:
        count = runtime.getDeviceCount()
    except runtime.CUDARuntimeError as error:
        raise BackendError(f"no NVIDIA driver or device: {error}") from error
    return [device_at(index) for index in range(count)]


def device_at(device_index: int) -> CudaDevice:
    """A device. Raises BackendError if there is none of this index."""
    try:
        properties = runtime.getDeviceProperties(device_index)
        version = runtime.driverGetVersion()
    except runtime.CUDARuntimeError as error:
        raise BackendError(f"no CUDA device {device_index}: {error}") from error
    return CudaDevice(
        device_index,
        properties["name"].decode(),
        f"sm_{properties['major']}{properties['minor']}",
        f"CUDA {version // 1000}.{version % 1000 // 10}",
        int(properties["totalGlobalMem"]),
    )


def free_memory_bytes(device_index: int) -> int:
    """What nobody has taken of a device's memory. Raises BackendError."""
    device = cupy.cuda.Device(device_index)
    with _calls(device, "asking for its memory"):
        return int(runtime.memGetInfo()[0])


@cache
def _libcuda() -> ctypes.CDLL:
    return ctypes.CDLL("libcuda.so.1")


@contextmanager
def _calls(device: cupy.cuda.Device, doing: str) -> Iterator[None]:
    """The device is the thread's meanwhile; errors of the driver become ours."""
    try:
        with device:
            device.use()  # a thread's first call must say so, even of the default one
            yield
    except OutOfMemoryError as error:
        raise DeviceMemoryError(f"CUDA device {device.id}, {doing}: {error}") from error
    except (driver.CUDADriverError, runtime.CUDARuntimeError) as error:
        raise BackendError(f"CUDA device {device.id}, {doing}: {error}") from error
