"""`CudaBackend` on an NVIDIA device: what a fake driver proves elsewhere."""

import threading

import cupy
import numpy as np
import pytest
import torch
from asked_operations import ask_the_same
from host_backend import HostBackend

from gpu.backend import BackendError, DeviceMemoryError
from gpu.cuda import CudaBackend, free_memory_bytes
from gpu.memory_limit import MemoryLimit
from gpu.signatures import signatures

pytestmark = pytest.mark.alone


@pytest.mark.parametrize("seed", range(4))
def test_whatever_is_asked_equals_the_host(
    seed: int, backend: CudaBackend, tmp_path_factory: pytest.TempPathFactory
) -> None:
    ask_the_same(backend, HostBackend(tmp_path_factory.mktemp("host")), 150, seed)


@pytest.mark.parametrize("kernel", sorted(signatures()))
def test_each_kernel_loads(kernel: str, backend: CudaBackend) -> None:
    arguments = {
        each.name: backend.alloc(4) if each.is_buffer else 0
        for each in signatures()[kernel].parameters
    }
    backend.launch(kernel, 0, **arguments)


def test_another_thread_may_take_over(backend: CudaBackend) -> None:
    buffer = backend.alloc(4096)
    found: list[int] = []

    def work() -> None:
        backend.fill(buffer, 7)
        found.extend(backend.download(buffer, np.int32, 1024).tolist())

    thread = threading.Thread(target=work)
    thread.start()
    thread.join(60)
    assert found == 1024 * [7]


def test_memory_that_is_not_there_is_refused(backend: CudaBackend) -> None:
    everything = CudaBackend(0, MemoryLimit(1 << 60))
    with pytest.raises(DeviceMemoryError, match="Out of memory"):
        everything.alloc(backend.info.memory_bytes + (1 << 30))
    assert everything.memory().used_bytes == 0


def test_large_memory_is_given_back_to_the_device_at_once(backend: CudaBackend) -> None:
    before_bytes = free_memory_bytes(0)
    buffer = backend.alloc(1 << 30)
    backend.synchronise()
    assert free_memory_bytes(0) <= before_bytes - (1 << 30)
    backend.free(buffer)
    assert free_memory_bytes(0) > before_bytes - (1 << 28)


def test_a_borrowed_array_is_not_copied(backend: CudaBackend) -> None:
    array = cupy.asarray(np.arange(1024, dtype=np.int32))
    borrowed = backend.borrow(array)
    assert borrowed is not None
    assert borrowed.address == array.data.ptr
    assert (backend.download(borrowed, np.int32, 1024) == np.arange(1024)).all()
    backend.fill(borrowed, 3)
    backend.synchronise()
    assert (array.get() == 3).all()
    with pytest.raises(BackendError, match="not contiguous"):
        backend.borrow(array[::2])
    assert backend.borrow(np.zeros(4, np.int32)) is None


@pytest.mark.skipif(not torch.cuda.is_available(), reason="torch is a build without CUDA")
def test_a_borrowed_tensor_comes_after_torchs_own_work(backend: CudaBackend) -> None:
    with torch.cuda.stream(torch.cuda.Stream()):
        tensor = torch.zeros(1 << 24, dtype=torch.float32, device="cuda:0")
        for _ in range(100):
            tensor += 1.0
        borrowed = backend.borrow(tensor)
    assert (backend.download(borrowed, np.float32, 1 << 24) == 100.0).all()
