"""The devices that benches measure on, software ones among them."""

from gpu.backend import Backend, BackendError
from gpu.discovery import GPU_BACKENDS, find
from gpu.memory_limit import MemoryLimit

LIMIT_BYTES = 4 << 30
RELAXED = "relaxed"


def open_devices() -> dict[str, Backend]:
    """The first device of each backend, by their names; OpenCL's in relaxed arithmetic, too."""
    opened: dict[str, Backend] = {}
    for name in GPU_BACKENDS:
        for device in find(name).devices[:1]:
            try:
                opened[device.info.description] = device.open(MemoryLimit(LIMIT_BYTES))
            except BackendError:
                continue
            if name == "opencl":
                from gpu.opencl import OpenClBackend  # it may not be installed

                strict = opened[device.info.description]
                assert isinstance(strict, OpenClBackend)
                limit = MemoryLimit(LIMIT_BYTES)
                relaxed = OpenClBackend(strict.device, limit, relaxed=True)
                opened[f"{device.info.description}, {RELAXED}"] = relaxed
    return opened
