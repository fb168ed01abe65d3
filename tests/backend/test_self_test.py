import time
from typing import Any

import numpy as np
import pytest

from gpu.backend import Backend, BackendError
from gpu.cpu import CpuBlocks
from gpu.discovery import make_backend
from gpu.memory_limit import MemoryLimit
from gpu.opencl import OpenClBackend
from gpu.opencl import devices as opencl_devices
from gpu.self_test import copy_bytes_per_s
from gpu.self_test_view import CAMERA, GRID, MAX_BLOCKS, fuse_s, fused

LIMIT_BYTES = 100 << 20


@pytest.fixture(params=["opencl:pocl", "webgpu:llvmpipe"])
def backend(request: pytest.FixtureRequest) -> Backend:
    found = make_backend(request.param)
    assert found is not None
    return found


def test_a_good_device_passes_and_takes_its_time(backend: Backend) -> None:
    started_s = time.monotonic()
    assert copy_bytes_per_s(backend, time.monotonic, 0.05) > 0
    assert backend.memory().used_bytes == 0
    assert fuse_s(backend, time.monotonic, 0.05) > 0
    assert backend.memory().used_bytes == 0
    assert time.monotonic() - started_s >= 0.1


def test_little_memory_is_enough_to_copy() -> None:
    small = OpenClBackend(opencl_devices()[-1], MemoryLimit(1 << 20))
    assert copy_bytes_per_s(small, time.monotonic, 0.01) > 0


class Altering(OpenClBackend):
    """Launches one kernel with one argument multiplied."""

    altered: tuple[str, str, float]

    def launch(self, kernel: str, groups: int, **arguments: Any) -> None:
        altered, name, factor = self.altered
        if kernel == altered:
            arguments[name] = type(arguments[name])(arguments[name] * factor)
        super().launch(kernel, groups, **arguments)


@pytest.mark.parametrize(
    ("altered", "complaint"),
    [
        (("integrate_blocks", "steps_per_m", 1.02), "of a view's voxels are as on the CPU"),
        (("integrate_blocks", "width", 0.5), "of a view's voxels are as on the CPU"),
        (("touch_blocks", "step_m", 4.0), "touched .* blocks, on the CPU 4.., and only"),
    ],
)
def test_a_device_that_fuses_otherwise_fails(
    altered: tuple[str, str, float], complaint: str
) -> None:
    backend = Altering(opencl_devices()[-1], MemoryLimit(LIMIT_BYTES))
    backend.altered = altered
    with pytest.raises(BackendError, match=complaint):
        fuse_s(backend, time.monotonic, 0)


def test_the_view_has_a_ball_and_a_wall() -> None:
    view = fused(CpuBlocks(GRID, CAMERA, MAX_BLOCKS))
    assert len(view.coords) > 400
    assert len(np.unique(view.words[2])) > 1000  # colours
    seen = view.words[1] != 0
    assert 0.4 < seen.mean() < 0.8
