"""Tests of real GPUs: collected only where there is one, so that others need not skip them.

There, the suite of `tests/backend` runs on it, too. They are to run alone: they look at the memory
that is free, and at the time.
"""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from gpu.backend import Backend
from gpu.discovery import GPU_BACKENDS, find
from gpu.memory_limit import MemoryLimit

sys.path.append(str(Path(__file__).parents[1] / "backend"))  # what both have: the host's kernels

_FOUND = {backend: find(backend) for backend in GPU_BACKENDS}
_GPUS = {
    f"{backend}:{number}": gpu
    for backend, found in _FOUND.items()
    for number, gpu in enumerate(found.gpus)
}
collect_ignore_glob = ["test_cuda_*.py"] if not _FOUND["cuda"].gpus else []
if not _GPUS:
    collect_ignore_glob = ["test_*.py"]


def pytest_report_header() -> list[str]:
    if not _GPUS:
        reasons = "; ".join(f"{backend}: {found.reason}" for backend, found in _FOUND.items())
        return [f"no GPU, tests/device is left out ({reasons})"]
    return [f"GPU {name}: {gpu.info.name}, {gpu.info.driver}" for name, gpu in _GPUS.items()]


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "gpu" in metafunc.fixturenames:
        is_cuda = Path(metafunc.module.__file__).name.startswith("test_cuda_")
        names = ["cuda:0"] if is_cuda else list(_GPUS)
        metafunc.parametrize("gpu", names)


@pytest.fixture(name="backend")
def backend_fixture(gpu: str) -> Iterator[Backend]:
    backend = _GPUS[gpu].open(MemoryLimit(4 << 30))
    yield backend
    backend.synchronise()
