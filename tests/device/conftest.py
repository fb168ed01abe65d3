"""Tests of real devices: collected only where there is one, so that others need not skip them.

There, the suite of `tests/backend` runs on it, too.
"""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from gpu.backend import Backend
from gpu.discovery import find
from gpu.memory_limit import MemoryLimit

sys.path.append(str(Path(__file__).parents[1] / "backend"))  # what both have: the host's kernels

_FOUND = find("cuda")
collect_ignore_glob = [] if _FOUND.gpus else ["test_*.py"]


def pytest_report_header() -> str:
    names = ", ".join(each.info.name for each in _FOUND.gpus)
    return f"CUDA devices: {names or 'none, tests/device is left out: ' + _FOUND.reason}"


@pytest.fixture(name="backend")
def backend_fixture() -> Iterator[Backend]:
    backend = _FOUND.gpus[0].open(MemoryLimit(4 << 30))
    yield backend
    backend.synchronise()
