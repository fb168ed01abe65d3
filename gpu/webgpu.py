"""Kernels on WebGPU devices: Vulkan, Metal and Direct3D 12."""

import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache, cached_property
from typing import Any

import numpy as np
import wgpu
from numpy.typing import NDArray
from wgpu.backends.wgpu_native.extras import set_instance_extras

from gpu.backend import BackendError, Buffer, DeviceInfo, DeviceMemory, DeviceMemoryError
from gpu.memory_limit import MemoryLimit
from gpu.signatures import Parameter, Signature, signature
from gpu.webgpu_batch import CommandBatch, WebGpuBuffer
from gpu.webgpu_kernel import WebGpuKernel
from gpu.wgsl import module

_BUFFER_USAGE = wgpu.BufferUsage.STORAGE | wgpu.BufferUsage.COPY_SRC | wgpu.BufferUsage.COPY_DST
_READ_USAGE = wgpu.BufferUsage.MAP_READ | wgpu.BufferUsage.COPY_DST
_LIMITS = ("max-storage-buffer-binding-size", "max-buffer-size")
_SMALLEST_READ_BYTES = 1 << 16
_SCREEN_FOLDER = "XDG_RUNTIME_DIR"
_ABSENCES = {
    "darwin": "no Metal device",
    "win32": "no Direct3D 12 or Vulkan device",
    "linux": "no Vulkan driver with a device: install the GPU's own, or mesa-vulkan-drivers for "
    "a software device",
}
"""By platform: what is missing where there is no adapter, and what brings it."""

_FILL = Signature(
    "fill_words",
    "webgpu",
    256,
    (
        Parameter("words", "uint", "out"),
        Parameter("word", "uint", "value"),
        Parameter("count", "int", "value"),
    ),
)
_FILL_MODULE = """
@group(0) @binding(0) var<storage, read_write> words: array<u32>;
struct Scalars { groups: i32, word: u32, count: i32 }
@group(0) @binding(1) var<uniform> scalars: Scalars;
@compute @workgroup_size(256)
fn fill_words(
    @builtin(workgroup_id) id: vec3u,
    @builtin(local_invocation_index) item: u32,
    @builtin(num_workgroups) n: vec3u,
) {
    let i = i32((id.x + id.y * n.x) * 256u + item);
    if (i < scalars.count) { words[i] = scalars.word; }
}
"""


class WebGpuBackend:
    """A WebGPU device. One thread calls it.

    What is asked for gathers in a batch, which goes to the device when it is full, when a buffer
    that it uses is written or freed, and before anything waits.
    """

    def __init__(self, adapter: wgpu.GPUAdapter, limit: MemoryLimit) -> None:
        """Use an adapter, with buffers as large as it allows."""
        self._adapter = adapter
        self._limit = limit
        with self._reported():
            self._device = adapter.request_device_sync(
                required_limits={name: adapter.limits[name] for name in _LIMITS}
            )
            self._batch = CommandBatch(self._device)
            self._read = self._device.create_buffer(size=_SMALLEST_READ_BYTES, usage=_READ_USAGE)
        self._largest_bytes = min(int(self._device.limits[name]) for name in _LIMITS)
        self._kernels: dict[str, WebGpuKernel] = {}

    @cached_property
    def info(self) -> DeviceInfo:
        """What it is."""
        return device_info(self._adapter)

    def alloc(self, size_bytes: int) -> WebGpuBuffer:
        """Take memory, zeroed, rounded up to whole words. Raises DeviceMemoryError."""
        size_bytes = max(size_bytes + 3 & ~3, 4)
        if size_bytes > self._largest_bytes:
            raise DeviceMemoryError(
                f"{self.info.name}: a buffer of {size_bytes} bytes, limit {self._largest_bytes}"
            )
        self._limit.take(size_bytes)
        try:
            with self._reported():
                memory = self._device.create_buffer(size=size_bytes, usage=_BUFFER_USAGE)
        except BackendError:
            self._limit.give(size_bytes)
            raise
        return WebGpuBuffer(memory, size_bytes)

    def borrow(self, tensor: Any) -> None:
        """None: no library shares its tensors with WebGPU."""

    def free(self, buffer: Buffer) -> None:
        """Give memory back: nothing may use it any more."""
        assert isinstance(buffer, WebGpuBuffer)
        with self._reported():
            self._finish_use(buffer)
            for kernel in self._kernels.values():
                kernel.forget(buffer)
            buffer.memory.destroy()
        self._limit.give(buffer.size_bytes)

    def upload(self, buffer: Buffer, array: NDArray[Any], offset_bytes: int = 0) -> None:
        """Copy an array, of whole words, into a buffer; the array may change at once."""
        assert isinstance(buffer, WebGpuBuffer)
        if not array.size:
            return
        with self._reported():
            self._finish_use(buffer)
            data = np.ascontiguousarray(array)
            self._device.queue.write_buffer(buffer.memory, offset_bytes, data)

    def download(
        self, buffer: Buffer, dtype: type[np.generic], count: int, offset_bytes: int = 0
    ) -> NDArray[Any]:
        """(count,) numbers of a buffer, after all that was asked before."""
        assert isinstance(buffer, WebGpuBuffer)
        size_bytes = count * np.dtype(dtype).itemsize
        whole_bytes = size_bytes + 3 & ~3
        if not count:
            return np.empty(0, dtype)
        with self._reported():
            self._make_read_buffer(whole_bytes)
            self._batch.copy(buffer.memory, self._read, whole_bytes, offset_bytes, 0)
            self._wait_for_read(whole_bytes)
            try:
                mapped = self._read.read_mapped(0, whole_bytes, copy=False)
                return np.frombuffer(mapped, dtype, count).copy()
            finally:
                self._read.unmap()

    def copy(
        self,
        source: Buffer,
        target: Buffer,
        size_bytes: int,
        source_offset_bytes: int = 0,
        target_offset_bytes: int = 0,
    ) -> None:
        """Copy between two buffers of the device."""
        assert isinstance(source, WebGpuBuffer)
        assert isinstance(target, WebGpuBuffer)
        if size_bytes:
            with self._reported():
                self._batch.copy(
                    source.memory,
                    target.memory,
                    size_bytes,
                    source_offset_bytes,
                    target_offset_bytes,
                )

    def fill(self, buffer: Buffer, word: int) -> None:
        """Set every word of a buffer to the same 32 bits."""
        assert isinstance(buffer, WebGpuBuffer)
        with self._reported():
            if word == 0:
                self._batch.clear(buffer.memory, buffer.size_bytes)
                return
            words = buffer.size_bytes // 4
            kernel = self._kernel(_FILL.name)
            values = {"words": buffer, "word": word & 0xFFFFFFFF, "count": words}
            kernel.launch(self._batch, -(-words // _FILL.items), values)

    def launch(self, kernel: str, groups: int, **arguments: Buffer | int | float) -> None:
        """Run a kernel in so many groups; its arguments by their names."""
        with self._reported():
            self._kernel(kernel).launch(self._batch, groups, arguments)

    def memory(self) -> DeviceMemory:
        """What is taken."""
        return self._limit.memory

    def synchronise(self) -> None:
        """Wait until all is done. Raises BackendError if something went wrong on the device."""
        with self._reported():
            self._batch.clear(self._read, 4)
            self._wait_for_read(4)
            self._read.unmap()

    def _finish_use(self, buffer: WebGpuBuffer) -> None:
        """Hand over what uses a buffer: writing or freeing it comes before a batch's commands."""
        if self._batch.uses(buffer.memory):
            self._batch.submit()

    def _wait_for_read(self, size_bytes: int) -> None:
        """Map the buffer that a batch's last command writes: all others are done then, too."""
        self._batch.submit()
        self._read.map_sync("READ", 0, size_bytes)

    def _make_read_buffer(self, size_bytes: int) -> None:
        if size_bytes > self._read.size:
            self._read.destroy()
            size_bytes = min(max(size_bytes, 2 * self._read.size), self._largest_bytes)
            self._read = self._device.create_buffer(size=size_bytes, usage=_READ_USAGE)

    def _kernel(self, name: str) -> WebGpuKernel:
        if name not in self._kernels:
            declared = _FILL if name == _FILL.name else signature(name)
            text = _FILL_MODULE if name == _FILL.name else module(declared)
            self._kernels[name] = WebGpuKernel(self._device, declared, text)
        return self._kernels[name]

    @contextmanager
    def _reported(self) -> Iterator[None]:
        """Turn wgpu's errors into ours."""
        try:
            yield
        except wgpu.GPUError as error:
            kind = (
                DeviceMemoryError if isinstance(error, wgpu.GPUOutOfMemoryError) else BackendError
            )
            raise kind(f"{self.info.name}: {error}") from error
        except (RuntimeError, ValueError) as error:
            raise BackendError(f"{self.info.name}: {error}") from error


def device_info(adapter: wgpu.GPUAdapter) -> DeviceInfo:
    """What an adapter is, by its driver."""
    info = adapter.info
    driver = f"{info['backend_type']} {info['description']}".strip()
    is_software = info["adapter_type"] == "CPU"
    return DeviceInfo("webgpu", info["device"], driver, 0, is_software)


def shares_memory(adapter: wgpu.GPUAdapter) -> bool:
    """Whether its memory is the machine's."""
    return adapter.info["adapter_type"] in ("CPU", "IntegratedGPU")


def adapters() -> list[wgpu.GPUAdapter]:
    """All adapters, those of GPUs first. Raises BackendError if there is none."""
    _choose_drivers()
    with _somewhere_to_look_for_a_screen():
        found = wgpu.gpu.enumerate_adapters_sync()
    if not found:
        raise BackendError(_ABSENCES.get(sys.platform, "no device"))
    return sorted(found, key=lambda each: device_info(each).is_software)


@cache
def _choose_drivers() -> None:
    """Leave OpenGL out: it shows every device once more."""
    set_instance_extras(backends=("Vulkan", "Metal", "DX12"))


@contextmanager
def _somewhere_to_look_for_a_screen() -> Iterator[None]:
    """Mesa's drivers look for Wayland's socket; without this they complain on standard error."""
    if _SCREEN_FOLDER in os.environ:
        yield
        return
    os.environ[_SCREEN_FOLDER] = tempfile.gettempdir()
    try:
        yield
    finally:
        del os.environ[_SCREEN_FOLDER]
