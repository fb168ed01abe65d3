"""An NVIDIA driver without a device: it does what it is told, at the worst time that is allowed.

Memory is arrays, and a kernel is the same source as host C++ (`host_backend`). A launch's
arguments are taken apart by the declaration in the source and by the offsets that NVIDIA's
compiler wrote into the compiled code; neither comes from `gpu.signatures`. Tasks are done only
when someone waits for them, and no others. Or `early`: those of every stream but the first at once,
and of the first all that it was asked, as soon as someone waits for one.
"""

import re
import struct
import weakref
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from cubin import CompiledKernel, compiled_kernels
from host_backend import HostBackend, HostBuffer
from numpy.typing import NDArray

from gpu.backend import BackendError, DeviceMemoryError
from gpu.cuda_driver import CudaDevice, CudaEvent, CudaFunction, CudaStream, SharedMemory
from gpu.signatures import SOURCES

_FIRST_ADDRESS = 1 << 40
_GAP_BYTES = 1 << 20
"""Between two pieces of memory: what runs out of one is in none."""
_GARBAGE = 5
"""In memory just taken: not 0, but no index that a kernel could crash with."""
_FORMATS = {"int": "<i", "uint": "<I", "float": "<f"}


@dataclass(frozen=True, slots=True)
class FakeFunction:
    name: str
    compiled: CompiledKernel


@dataclass(frozen=True, slots=True)
class Launch:
    kernel: str
    groups: int
    arguments: dict[str, int | float]
    """Addresses and numbers by the names in the source."""


@dataclass(frozen=True, slots=True, eq=False)
class FakeEvent:
    stream: "FakeStream"
    tasks: int

    @property
    def is_done(self) -> bool:
        return self.stream.done >= self.tasks

    def wait(self) -> None:
        self.stream.run(self.tasks)
        if self.stream.is_fast:
            self.stream.synchronise()


class FakeStream:
    def __init__(self, driver: "FakeCudaDriver", is_early: bool, is_fast: bool) -> None:
        self._driver = driver
        self._is_early = is_early
        self.is_fast = is_fast
        self._tasks: deque[Callable[[], None]] = deque()
        self.done = 0

    def upload(self, source: NDArray[np.uint8], target: int) -> None:
        self._driver.check_pinned(source)
        self._driver.check(target, source.nbytes)
        self._driver.uploaded_bytes += source.nbytes

        def task() -> None:
            self._driver.bytes_at(target, source.nbytes)[:] = source

        self.ask(task)

    def download(self, source: int, target: NDArray[np.uint8]) -> None:
        self._driver.check_pinned(target)
        self._driver.check(source, target.nbytes)

        def task() -> None:
            target[:] = self._driver.bytes_at(source, target.nbytes)

        self.ask(task)

    def copy(self, source: int, target: int, size_bytes: int) -> None:
        self._driver.check(source, size_bytes)
        self._driver.check(target, size_bytes)

        def task() -> None:
            data = self._driver.bytes_at(source, size_bytes)
            self._driver.bytes_at(target, size_bytes)[:] = data

        self.ask(task)

    def fill(self, target: int, word: int, count: int) -> None:
        self._driver.check(target, 4 * count)
        assert 0 <= word < 1 << 32

        def task() -> None:
            self._driver.bytes_at(target, 4 * count).view(np.uint32)[:] = word

        self.ask(task)

    def launch(self, function: CudaFunction, groups: int, items: int, arguments: bytes) -> None:
        assert isinstance(function, FakeFunction)
        if not 0 < groups < 1 << 31 or items != function.compiled.items:
            raise BackendError(f"{function.name}: {groups} groups of {items}")
        launch = Launch(function.name, groups, _unpacked(function, arguments))
        self._driver.check_launch(launch)
        self._driver.launches.append(launch)
        self.ask(lambda: self._driver.run(launch))

    def record(self) -> FakeEvent:
        return FakeEvent(self, self.done + len(self._tasks))

    def wait_for(self, event: CudaEvent) -> None:
        self.ask(event.wait)

    def synchronise(self) -> None:
        self.run(self.done + len(self._tasks))

    def ask(self, task: Callable[[], None]) -> None:
        self._tasks.append(task)
        if self._is_early:
            self.synchronise()

    def run(self, tasks: int) -> None:
        while self.done < tasks:
            task = self._tasks.popleft()
            self.done += 1
            task()


@dataclass(frozen=True, slots=True)
class _Memory:
    words: NDArray[np.uint32]
    stream: FakeStream | None
    """None: another library's."""


class FakeCudaDriver:
    def __init__(self, folder: Path, memory_bytes: int = 1 << 40, early: bool = False) -> None:
        self.device = CudaDevice(0, "fake", "sm_90", "CUDA 12.9", memory_bytes)
        self.launches: list[Launch] = []
        self.uploaded_bytes = 0
        self.has_tensors = True
        """Whether those of this process count as its own, or as elsewhere."""
        self.streams: list[FakeStream] = []
        self._host = HostBackend(folder)
        self._early = early
        self._next = _FIRST_ADDRESS
        self._memory: dict[int, _Memory] = {}
        self._freed: set[int] = set()
        """Addresses that may not be named any more, though tasks under way still may use them."""
        self._pinned: list[NDArray[np.uint8]] = []

    def malloc(self, size_bytes: int, stream: CudaStream) -> int:
        assert isinstance(stream, FakeStream)
        taken = sum(self._memory[each].words.nbytes for each in self._memory.keys() - self._freed)
        if taken + size_bytes > self.device.memory_bytes:
            raise DeviceMemoryError(f"{size_bytes} bytes of the fake device, {taken} are taken")
        return self._take(np.full(size_bytes // 4, _GARBAGE, np.uint32), stream)

    def free(self, address: int) -> None:
        self.check(address, 0)
        self._freed.add(address)
        stream = self._memory[address].stream
        assert stream
        stream.ask(lambda: self._drop(address))

    def pinned(self, size_bytes: int) -> NDArray[np.uint8]:
        self._pinned.append(np.full(size_bytes // 4, _GARBAGE, np.uint32).view(np.uint8))
        return self._pinned[-1]

    def stream(self) -> FakeStream:
        self.streams.append(FakeStream(self, self._early and len(self.streams) > 0, self._early))
        return self.streams[-1]

    def load(self, code: bytes, kernel: str) -> FakeFunction:
        return FakeFunction(kernel, compiled_kernels(code)[kernel])

    def share(self, tensor: Any, stream: CudaStream) -> SharedMemory | None:
        if not self.has_tensors:
            return None
        array = np.from_dlpack(tensor)
        is_whole = array.flags.c_contiguous and array.nbytes % 4 == 0
        words = array.reshape(-1).view(np.uint32) if is_whole else np.zeros(1, np.uint32)
        address = self._take(words, None)
        owner = _Owner()
        weakref.finalize(owner, self._drop, address)
        return SharedMemory(address, array.nbytes, array.flags.c_contiguous, owner)

    def check(self, address: int, size_bytes: int) -> None:
        """Raises BackendError if it is not in memory that is taken."""
        start = self._start(address)
        if start in self._freed or address + size_bytes > start + self._memory[start].words.nbytes:
            raise BackendError(f"{size_bytes} bytes at {address:#x}: invalid address")

    def check_pinned(self, host: NDArray[np.uint8]) -> None:
        """Raises BackendError if it is not pinned memory."""
        if not any(np.shares_memory(host, each) for each in self._pinned):
            raise BackendError("memory of the host that is not pinned")

    def check_launch(self, launch: Launch) -> None:
        """Raises BackendError if a buffer is not taken, or `restrict` is not kept."""
        declared = _declared(launch.kernel)
        written = [launch.arguments[name] for name, kind in declared if kind.startswith("INOUT")]
        for name, kind in declared:
            if "(" not in kind:
                continue
            address = launch.arguments[name]
            assert isinstance(address, int)
            self.check(address, 4)
            if kind.startswith("OUT("):
                written.append(address)
        read = {launch.arguments[name] for name, kind in declared if kind.startswith("IN(")}
        if len(set(written)) < len(written) or read & set(written):
            raise BackendError(f"{launch.kernel}: a buffer is written and given twice")

    def bytes_at(self, address: int, size_bytes: int) -> NDArray[np.uint8]:
        start = self._start(address)
        offset = address - start
        found = self._memory[start].words.view(np.uint8)[offset : offset + size_bytes]
        if len(found) < size_bytes:
            raise BackendError(f"{size_bytes} bytes at {address:#x}: invalid address")
        return found

    def run(self, launch: Launch) -> None:
        arguments = {}
        for name, kind in _declared(launch.kernel):
            value = launch.arguments[name]
            arguments[name] = HostBuffer(self._words(value)) if "(" in kind else value
        self._host.launch(launch.kernel, launch.groups, **arguments)

    def _words(self, address: Any) -> NDArray[np.uint32]:
        return self._memory[self._start(address)].words[(address - self._start(address)) // 4 :]

    def _take(self, words: NDArray[np.uint32], stream: FakeStream | None) -> int:
        address = self._next
        self._next += -(-words.nbytes // 256) * 256 + _GAP_BYTES
        self._memory[address] = _Memory(words, stream)
        return address

    def _drop(self, address: int) -> None:
        del self._memory[address]
        self._freed.discard(address)

    def _start(self, address: int) -> int:
        starts = [each for each in self._memory if each <= address]
        if not starts:
            raise BackendError(f"{address:#x}: invalid address")
        return max(starts)


class _Owner:
    """What keeps another library's memory."""


@cache
def _declared(kernel: str) -> list[tuple[str, str]]:
    """Name and type of each parameter, as the kernel's source has them."""
    text = "".join(path.read_text() for path in sorted(SOURCES.glob("*.c")))
    match = re.search(rf"^KERNEL\(\w+\)\s+{kernel}\((.*?)\)\s*\{{", text, re.M | re.S)
    assert match, kernel
    parameters = [each.split() for each in match[1].split(",")]
    return [(name, kind) for kind, name in parameters]


def _unpacked(function: FakeFunction, arguments: bytes) -> dict[str, int | float]:
    if len(arguments) != function.compiled.parameters_bytes:
        raise BackendError(f"{function.name}: {len(arguments)} bytes of arguments")
    values: dict[str, int | float] = {}
    for (name, kind), (offset, size) in zip(
        _declared(function.name), function.compiled.parameters, strict=True
    ):
        form = "<Q" if "(" in kind else _FORMATS[kind]
        assert struct.calcsize(form) == size
        (values[name],) = struct.unpack_from(form, arguments, offset)
    return values
