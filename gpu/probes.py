"""Asks each driver for its devices; what is not installed is a reason why there are none."""

import importlib.util
import os
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from gpu.backend import Backend, BackendError, DeviceInfo
from gpu.memory_limit import MemoryLimit

ASSUMED_MEMORY_BYTES = 4 << 30
"""Of a device whose driver says nothing, as WebGPU's."""
_MEMORY = Path("/proc/meminfo")


@dataclass(frozen=True, slots=True)
class Device:
    """A device that is there."""

    info: DeviceInfo
    free_bytes: Callable[[], int]
    """What nobody has taken of its memory; 0: the driver does not say. Raises BackendError."""
    open: Callable[[MemoryLimit], Backend]
    """Raises BackendError if it cannot be used."""

    def limit_bytes(self, share: float) -> int:
        """A share of what is free, as far as that is known, else assumed. Raises BackendError."""
        return int(share * (self.known_bytes() or ASSUMED_MEMORY_BYTES))

    def known_bytes(self) -> int:
        """What is free, or at least there; 0: not even that is known. Raises BackendError."""
        known = [size for size in (self.free_bytes(), self.info.memory_bytes) if size]
        return min(known, default=0)


Probe = Callable[[], list[Device]]
"""Lists a backend's devices. Raises BackendError, saying why there can be none."""


@contextmanager
def _needing(package: str, extra: str) -> Iterator[None]:
    """Around a probe: whatever fails in a package or its driver is a reason."""
    if importlib.util.find_spec(package) is None:
        raise BackendError(f"{package} is not installed: pip install 'mapcast[{extra}]'")
    try:
        yield
    except BackendError:
        raise
    except Exception as error:  # each driver has its own ways of being broken
        raise BackendError(f"{package} does not work: {error}") from error


@_needing("cupy", "cuda")
def cuda_devices() -> list[Device]:
    """NVIDIA's devices. Raises BackendError if CuPy or the driver is missing or broken."""
    from gpu import cuda

    return [
        Device(
            cuda.device_info(each),
            partial(cuda.free_memory_bytes, each.index),
            partial(cuda.CudaBackend, each.index),
        )
        for each in cuda.devices()
    ]


@_needing("pyopencl", "opencl")
def opencl_devices() -> list[Device]:
    """OpenCL's devices. Raises BackendError if PyOpenCL or a driver is missing or broken."""
    from gpu import opencl

    found = [
        Device(
            opencl.device_info(each),
            partial(_shared_bytes, opencl.free_bytes(each), bool(each.host_unified_memory)),
            partial(opencl.OpenClBackend, each),
        )
        for each in opencl.devices()
    ]
    return newest_software_first(found)


@_needing("wgpu", "webgpu")
def webgpu_devices() -> list[Device]:
    """WebGPU's devices. Raises BackendError if wgpu is missing or broken, or finds none."""
    from gpu import webgpu

    return [
        Device(
            webgpu.device_info(each),
            partial(_shared_bytes, 0, webgpu.shares_memory(each)),
            partial(webgpu.WebGpuBackend, each),
        )
        for each in webgpu.adapters()
    ]


PROBES: Mapping[str, Probe] = {
    "cuda": cuda_devices,
    "opencl": opencl_devices,
    "webgpu": webgpu_devices,
}


def newest_software_first(devices: list[Device]) -> list[Device]:
    """GPUs as they were, then software by its version: PoCL may be there from pip and Debian."""
    gpus = [each for each in devices if not each.info.is_software]
    software = [each for each in devices if each.info.is_software]
    return gpus + sorted(software, key=lambda each: _version(each.info.driver), reverse=True)


def available_memory_bytes() -> int:
    """What this machine's programs may still take; elsewhere than on Linux half of its memory."""
    if _MEMORY.exists() and (match := re.search(r"MemAvailable:\s+(\d+) kB", _MEMORY.read_text())):
        return int(match[1]) << 10
    if hasattr(os, "sysconf") and "SC_PHYS_PAGES" in os.sysconf_names:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 2
    return 0


def _shared_bytes(free_bytes: int, is_shared: bool) -> int:
    """What is free of a device's memory, if it says; or of the machine's, if that is the same."""
    return free_bytes or (available_memory_bytes() if is_shared else 0)


def _version(driver: str) -> list[int]:
    return [int(number) for number in re.findall(r"\d+", driver)]
