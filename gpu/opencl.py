"""Kernels on OpenCL devices."""

from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pyopencl as cl
from numpy.typing import NDArray

from gpu.backend import BackendError, Buffer, DeviceInfo, DeviceMemory, DeviceMemoryError
from gpu.memory_limit import MemoryLimit
from gpu.signatures import Signature, signature, source

MAX_UPLOADS = 64
"""Copies to the device that may be under way."""
_DIVIDES_EXACTLY = 1 << 7
"""CL_FP_CORRECTLY_ROUNDED_DIVIDE_SQRT, a bit of what a device says of its single precision."""


@dataclass(frozen=True, slots=True, eq=False)
class OpenClBuffer:
    """Memory of an OpenCL device."""

    memory: cl.Buffer
    size_bytes: int


class OpenClBackend:
    """An OpenCL device. One thread calls it."""

    def __init__(self, device: cl.Device, limit: MemoryLimit, relaxed: bool = False) -> None:
        """Use a device; `relaxed`: faster arithmetic, whose last bits differ between devices.

        Raises BackendError if it does not work.
        """
        self.device = device
        self._limit = limit
        self._relaxed = relaxed
        with self._reported():
            self._context = cl.Context([device])
            self._queue = cl.CommandQueue(self._context)
        self._uploads: deque[cl.Event] = deque()
        self._programs: dict[str, cl.Program] = {}
        self._kernels: dict[str, tuple[Signature, cl.Kernel]] = {}

    @cached_property
    def info(self) -> DeviceInfo:
        """What it is."""
        return device_info(self.device)

    def alloc(self, size_bytes: int) -> OpenClBuffer:
        """Take memory, zeroed, rounded up to whole words. Raises DeviceMemoryError."""
        size_bytes = max(size_bytes + 3 & ~3, 4)
        self._limit.take(size_bytes)
        try:
            memory = cl.Buffer(self._context, cl.mem_flags.READ_WRITE, size_bytes)
            self._fill(memory, 0, size_bytes)
        except cl.Error as error:
            self._limit.give(size_bytes)
            raise DeviceMemoryError(f"{self.info.name}: {size_bytes} bytes: {error}") from error
        return OpenClBuffer(memory, size_bytes)

    def borrow(self, tensor: Any) -> None:
        """None: no library shares its tensors with OpenCL."""

    def free(self, buffer: Buffer) -> None:
        """Give memory back: nothing may use it any more."""
        assert isinstance(buffer, OpenClBuffer)
        with self._reported():
            buffer.memory.release()
        self._limit.give(buffer.size_bytes)

    def upload(self, buffer: Buffer, array: NDArray[Any], offset_bytes: int = 0) -> None:
        """Copy an array, of whole words, into a buffer; the array may change at once."""
        if not array.size:
            return
        staged = np.array(array, order="C")  # the driver reads it when it comes to it
        with self._reported():
            self._forget_uploads()
            self._uploads.append(
                cl.enqueue_copy(
                    self._queue, _memory(buffer), staged, dst_offset=offset_bytes, is_blocking=False
                )
            )

    def download(
        self, buffer: Buffer, dtype: type[np.generic], count: int, offset_bytes: int = 0
    ) -> NDArray[Any]:
        """(count,) numbers of a buffer, after all that was asked before."""
        numbers = np.empty(count, dtype)
        if count:
            with self._reported():
                cl.enqueue_copy(self._queue, numbers, _memory(buffer), src_offset=offset_bytes)
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
        if size_bytes:
            with self._reported():
                cl.enqueue_copy(
                    self._queue,
                    _memory(target),
                    _memory(source),
                    byte_count=size_bytes,
                    src_offset=source_offset_bytes,
                    dst_offset=target_offset_bytes,
                )

    def fill(self, buffer: Buffer, word: int) -> None:
        """Set every word of a buffer to the same 32 bits."""
        with self._reported():
            self._fill(_memory(buffer), word, buffer.size_bytes)

    def _fill(self, memory: cl.Buffer, word: int, size_bytes: int) -> None:
        cl.enqueue_fill_buffer(self._queue, memory, np.array(word, np.uint32), 0, size_bytes)

    def launch(self, kernel: str, groups: int, **arguments: Buffer | int | float) -> None:
        """Run a kernel in so many groups; its arguments by their names."""
        declared, compiled = self._kernel(kernel)
        values = [
            value.memory if isinstance(value, OpenClBuffer) else _WORDS[parameter.type](value)
            for parameter, value in zip(
                declared.parameters, declared.ordered(arguments), strict=True
            )
        ]
        if groups:
            with self._reported():
                compiled(self._queue, (groups * declared.items,), (declared.items,), *values)

    def _forget_uploads(self) -> None:
        """Let go of what has been copied; an event that is dropped earlier waits for its copy."""
        done = cl.command_execution_status.COMPLETE
        while self._uploads and (
            len(self._uploads) >= MAX_UPLOADS or self._uploads[0].command_execution_status == done
        ):
            self._uploads.popleft()

    def memory(self) -> DeviceMemory:
        """What is taken."""
        return self._limit.memory

    def synchronise(self) -> None:
        """Wait until all is done. Raises BackendError if something went wrong on the device."""
        with self._reported():
            self._queue.finish()

    def _kernel(self, name: str) -> tuple[Signature, cl.Kernel]:
        if name not in self._kernels:
            declared = signature(name)
            if declared.file not in self._programs:
                self._programs[declared.file] = self._built(declared.file)
            with self._reported():
                self._kernels[name] = declared, cl.Kernel(self._programs[declared.file], name)
        return self._kernels[name]

    def _built(self, file: str) -> cl.Program:
        options = ["-cl-std=CL1.2", "-DDIALECT_OPENCL"]
        if self._relaxed:
            options += ["-cl-fast-relaxed-math", "-DRELAXED"]
        elif self.device.single_fp_config & _DIVIDES_EXACTLY:
            options.append("-cl-fp32-correctly-rounded-divide-sqrt")
        with self._reported(f" cannot compile {file}.c"):
            program = cl.Program(self._context, source(file))
            program.build(options)
        return program

    @contextmanager
    def _reported(self, doing: str = "") -> Iterator[None]:
        """Turn OpenCL's errors into ours."""
        try:
            yield
        except cl.MemoryError as error:  # some drivers take memory only when it is used
            raise DeviceMemoryError(f"{self.info.name}{doing}: {error}") from error
        except cl.Error as error:
            raise BackendError(f"{self.info.name}{doing}: {error}") from error


_WORDS: dict[str, Callable[[Any], Any]] = {
    "int": np.int32,
    "uint": np.uint32,
    "float": np.float32,
}


def _memory(buffer: Buffer) -> cl.Buffer:
    assert isinstance(buffer, OpenClBuffer)
    return buffer.memory


def device_info(device: cl.Device) -> DeviceInfo:
    """What a device is, by its driver."""
    platform = device.platform.name.strip().replace("Portable Computing Language", "PoCL")
    return DeviceInfo(
        "opencl",
        device.name.strip(),
        f"{platform} {device.driver_version.strip()}",
        int(device.global_mem_size),
        not device.type & cl.device_type.GPU,
    )


def free_bytes(device: cl.Device) -> int:
    """What nobody has taken of a device's memory; 0: its driver does not say. AMD's does."""
    try:
        return int(np.ravel(device.global_free_memory_amd)[0]) << 10  # all, and in one piece
    except cl.Error:
        return 0


def devices() -> list[cl.Device]:
    """All OpenCL devices, those of GPUs first. Raises BackendError if there is none."""
    try:
        found = [each for platform in cl.get_platforms() for each in platform.get_devices()]
    except cl.LogicError as error:
        raise BackendError(f"no OpenCL driver: {error}") from error
    if not found:
        raise BackendError("no OpenCL device: there are drivers, but none has one")
    return sorted(found, key=lambda each: not each.type & cl.device_type.GPU)
