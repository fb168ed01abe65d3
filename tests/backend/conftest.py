"""The backends that the suite runs on: each one that is here, and on CI all of them."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from fake_cuda_driver import FakeCudaDriver
from host_backend import HostBackend

from gpu.backend import Backend, BackendError
from gpu.cuda import CudaBackend
from gpu.discovery import GPU_BACKENDS, find
from gpu.memory_limit import MemoryLimit

AMPLE_BYTES = 1 << 34
GPU = "gpu-"
NAMES = ["host", "cuda-fake", "opencl", "webgpu"] + [
    GPU + backend for backend in GPU_BACKENDS if find(backend).gpus
]
"""Where there is a GPU, the suite runs on it, too."""


@pytest.fixture(scope="session")
def host_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the kernels are compiled as host C++, once."""
    return tmp_path_factory.mktemp("host")


@pytest.fixture(scope="module", params=NAMES)
def limited_backend(request: pytest.FixtureRequest, host_folder: Path) -> Callable[[int], Backend]:
    """Makes a backend that may take so many bytes; its arithmetic is exact."""
    name = request.param

    def make(limit_bytes: int) -> Backend:
        if name == "host":
            return HostBackend(host_folder, limit_bytes)
        if name == "cuda-fake":
            return CudaBackend(0, MemoryLimit(limit_bytes), driver=FakeCudaDriver(host_folder))
        if name.startswith(GPU):
            return find(name.removeprefix(GPU)).gpus[0].open(MemoryLimit(limit_bytes))
        try:
            return _of_driver(name, MemoryLimit(limit_bytes))
        except (ImportError, BackendError) as error:
            if os.environ.get("CI") == "true":
                pytest.fail(f"CI must have {name}: {error}")
            pytest.skip(f"no {name}: {error}")

    return make


def _of_driver(name: str, limit: MemoryLimit) -> Backend:
    """A backend on the driver's last device: software, if there is any."""
    if name == "opencl":
        from gpu.opencl import OpenClBackend, devices

        return OpenClBackend(devices()[-1], limit)
    from gpu.webgpu import WebGpuBackend, adapters

    return WebGpuBackend(adapters()[-1], limit)


@pytest.fixture(scope="module")
def backend(limited_backend: Callable[[int], Backend]) -> Backend:
    """A backend with all the memory there is."""
    return limited_backend(AMPLE_BYTES)
