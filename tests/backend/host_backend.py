"""The kernels' source as host C++: a backend in this process, group after group."""

import ctypes
import subprocess
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gpu.backend import Buffer, DeviceInfo, DeviceMemory
from gpu.memory_limit import MemoryLimit
from gpu.signatures import Signature, signature, signatures, source

FLAGS = [
    "-std=c++17", "-O2", "-march=native", "-ffp-contract=off", "-fno-math-errno",
    "-fno-trapping-math", "-fopenmp", "-shared", "-fPIC", "-DDIALECT_HOST", "-Wall", "-Werror",
    "-Wno-unused-function", "-Wno-unused-variable",
]  # fmt: skip
_C_TYPES = {"int": ctypes.c_int32, "uint": ctypes.c_uint32, "float": ctypes.c_float}


@dataclass(frozen=True, slots=True, eq=False)
class HostBuffer:
    words: NDArray[np.uint32]

    @property
    def size_bytes(self) -> int:
        return self.words.nbytes


class HostBackend:
    def __init__(self, folder: Path, limit_bytes: int = 1 << 40) -> None:
        self._folder = folder
        self._limit = MemoryLimit(limit_bytes)

    @property
    def info(self) -> DeviceInfo:
        return DeviceInfo("host", "C++", "g++", 0, True)

    def alloc(self, size_bytes: int) -> HostBuffer:
        words = np.zeros(max(-(-size_bytes // 4), 1), np.uint32)
        self._limit.take(words.nbytes)
        return HostBuffer(words)

    def borrow(self, tensor: Any) -> None:
        pass

    def free(self, buffer: Buffer) -> None:
        self._limit.give(buffer.size_bytes)

    def upload(self, buffer: Buffer, array: NDArray[Any], offset_bytes: int = 0) -> None:
        data = np.ascontiguousarray(array).view(np.uint8).ravel()
        assert len(data) % 4 == 0
        _bytes(buffer)[offset_bytes : offset_bytes + len(data)] = data

    def download(
        self, buffer: Buffer, dtype: type[np.generic], count: int, offset_bytes: int = 0
    ) -> NDArray[Any]:
        size = count * np.dtype(dtype).itemsize
        return _bytes(buffer)[offset_bytes : offset_bytes + size].copy().view(dtype)

    def copy(
        self,
        source: Buffer,
        target: Buffer,
        size_bytes: int,
        source_offset_bytes: int = 0,
        target_offset_bytes: int = 0,
    ) -> None:
        data = _bytes(source)[source_offset_bytes : source_offset_bytes + size_bytes]
        _bytes(target)[target_offset_bytes : target_offset_bytes + size_bytes] = data

    def fill(self, buffer: Buffer, word: int) -> None:
        assert isinstance(buffer, HostBuffer)
        buffer.words[:] = word

    def launch(self, kernel: str, groups: int, **arguments: Buffer | int | float) -> None:
        declared = signature(kernel)
        values = [
            value.words.ctypes.data_as(ctypes.c_void_p)
            if isinstance(value, HostBuffer)
            else _C_TYPES[parameter.type](value)
            for parameter, value in zip(
                declared.parameters, declared.ordered(arguments), strict=True
            )
        ]
        _library(declared.file, self._folder)[f"run_{kernel}"](groups, *values)

    def memory(self) -> DeviceMemory:
        return self._limit.memory

    def synchronise(self) -> None:
        pass


def _bytes(buffer: Buffer) -> NDArray[np.uint8]:
    assert isinstance(buffer, HostBuffer)
    return buffer.words.view(np.uint8)


@cache
def _library(file: str, folder: Path) -> ctypes.CDLL:
    """A source, compiled, with a loop over groups for each of its kernels."""
    runs = [_run(each) for each in signatures().values() if each.file == file]
    path, library = folder / f"{file}.cpp", folder / f"{file}.so"
    path.write_text(source(file) + "\n".join(runs))
    subprocess.run(["g++", *FLAGS, "-o", str(library), str(path)], check=True)
    return ctypes.CDLL(str(library))


def _run(kernel: Signature) -> str:
    star = {True: "*", False: ""}
    parameters = "".join(
        f", {each.type}{star[each.is_buffer]} {each.name}" for each in kernel.parameters
    )
    names = ", ".join(each.name for each in kernel.parameters)
    return (
        f'extern "C" void run_{kernel.name}(int groups{parameters}) {{\n'
        "    #pragma omp parallel for schedule(dynamic, 16)\n"
        f"    for (int group = 0; group < groups; group++) {{ host_group = group; "
        f"{kernel.name}({names}); }}\n}}\n"
    )
