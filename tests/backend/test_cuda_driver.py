"""What `CudaBackend` tells NVIDIA's driver, without one: see `fake_cuda_driver`."""

import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import fake_cuda_driver
import numpy as np
import pytest
import torch
from asked_operations import ask_the_same
from fake_cuda_driver import FakeCudaDriver, FakeEvent, FakeFunction, FakeStream
from host_backend import HostBackend

from gpu.backend import Backend, BackendError, Buffer, DeviceMemoryError
from gpu.cuda import CudaBackend
from gpu.device.blocks import DeviceBlocks
from gpu.device.touch import DeviceTouch, TouchedBlocks
from gpu.memory_limit import MemoryLimit
from gpu.nvrtc import cubin
from gpu.self_test_view import CAMERA, GRID, MAX_BLOCKS, fused
from gpu.signatures import Parameter, signature, signatures

LIMIT_BYTES = 1 << 24
STAGING_BYTES = 1 << 14
"""Little, so that room in the rings is used again and again."""


@pytest.fixture(scope="module", name="folder")
def folder_fixture(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("host")


@pytest.fixture(name="driver", params=[False, True], ids=["late", "early"])
def driver_fixture(request: pytest.FixtureRequest, folder: Path) -> FakeCudaDriver:
    return FakeCudaDriver(folder, early=request.param)


@pytest.fixture(name="backend")
def backend_fixture(driver: FakeCudaDriver) -> CudaBackend:
    return CudaBackend(0, MemoryLimit(LIMIT_BYTES), driver=driver, staging_bytes=STAGING_BYTES)


def _value(index: int, parameter: Parameter, backend: Backend) -> Buffer | int | float:
    """An argument that no other parameter gets."""
    if parameter.is_buffer:
        return backend.alloc(4 * (index + 1))
    return {"int": -1000 - index, "uint": 0xF0000000 + index, "float": index + 0.5}[parameter.type]


@pytest.mark.parametrize("kernel", sorted(signatures()))
def test_each_argument_arrives_under_its_name(
    kernel: str, driver: FakeCudaDriver, backend: CudaBackend
) -> None:
    declared = signature(kernel)
    arguments = {
        each.name: _value(index, each, backend) for index, each in enumerate(declared.parameters)
    }
    backend.launch(kernel, 70_000, **dict(reversed(arguments.items())))
    expected: dict[str, Any] = {
        name: getattr(value, "address", value) for name, value in arguments.items()
    }
    assert driver.launches == [fake_cuda_driver.Launch(kernel, 70_000, expected)]


def test_arguments_of_another_kind_are_refused(backend: CudaBackend) -> None:
    buffers = {name: backend.alloc(4) for name in ("sources", "targets", "words")}
    for wrong in ({}, {"count": 1.5}, {"count": 1 << 31}, {"count": 1, "more": 1}):
        with pytest.raises(BackendError, match="move_words"):
            backend.launch("move_words", 1, **buffers, **wrong)
    with pytest.raises(BackendError, match="no kernel"):
        backend.launch("move_nothing", 1)


def test_no_groups_launch_nothing(driver: FakeCudaDriver, backend: CudaBackend) -> None:
    buffers = {name: backend.alloc(4) for name in ("sources", "targets", "words")}
    backend.launch("move_words", 0, count=0, **buffers)
    assert driver.launches == []


@pytest.mark.parametrize("seed", range(4))
def test_whatever_is_asked_equals_the_host(seed: int, backend: CudaBackend, folder: Path) -> None:
    ask_the_same(backend, HostBackend(folder), 150, seed)


def test_a_view_is_fused_as_on_the_host(driver: FakeCudaDriver, folder: Path) -> None:
    backend = CudaBackend(0, MemoryLimit(1 << 30), driver=driver, staging_bytes=STAGING_BYTES)
    found, expected = (
        fused(DeviceBlocks(each, GRID, CAMERA, MAX_BLOCKS))
        for each in (backend, HostBackend(folder))
    )
    assert len(expected.coords) > 400
    np.testing.assert_array_equal(found.coords, expected.coords)
    np.testing.assert_array_equal(found.words, expected.words)


def test_colours_go_up_while_the_device_looks_for_blocks(
    driver: FakeCudaDriver, monkeypatch: pytest.MonkeyPatch
) -> None:
    fetch, asked_at_first = DeviceTouch._download, []

    def look_and_fetch(touch: DeviceTouch) -> TouchedBlocks:
        asked_at_first.append([launch.kernel for launch in driver.launches])
        return fetch(touch)

    monkeypatch.setattr(DeviceTouch, "_download", look_and_fetch)
    fused(
        DeviceBlocks(CudaBackend(0, MemoryLimit(1 << 30), driver=driver), GRID, CAMERA, MAX_BLOCKS)
    )
    asked = asked_at_first[0]
    assert asked.index("touch_blocks") < asked.index("color_pixels")
    assert "integrate_blocks" not in asked


def _result_of_uploads(backend: CudaBackend) -> bool:
    """Whether uploads before and after a kernel gave what they must."""
    blocks = np.arange(16 * 512, dtype=np.int32).reshape(16, 512)
    words = backend.alloc(blocks.nbytes)
    sources, targets = backend.alloc(32), backend.alloc(32)
    backend.upload(words, blocks)
    backend.upload(sources, np.arange(8, dtype=np.int32))
    backend.upload(targets, np.arange(8, 16, dtype=np.int32))
    backend.launch("move_words", 8, sources=sources, targets=targets, words=words, count=8)
    backend.upload(words, -blocks[:8])
    found = backend.download(words, np.int32, blocks.size).reshape(16, 512)
    return bool((found == np.concatenate([-blocks[:8], blocks[:8]])).all())


def test_uploads_keep_their_order_among_kernels(backend: CudaBackend) -> None:
    assert _result_of_uploads(backend)


def test_the_fake_finds_uploads_that_nobody_awaits(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(FakeStream, "wait_for", lambda stream, event: None)
    driver = FakeCudaDriver(folder)
    backend = CudaBackend(0, MemoryLimit(LIMIT_BYTES), driver=driver)
    buffer = backend.alloc(4)
    backend.upload(buffer, np.array([7], np.int32))
    assert backend.download(buffer, np.int32, 1) != 7


@pytest.mark.parametrize("early", [False, True])
def test_the_fake_finds_staging_used_too_soon(
    early: bool, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    driver = FakeCudaDriver(folder, early=early)
    backend = CudaBackend(0, MemoryLimit(LIMIT_BYTES), driver=driver, staging_bytes=STAGING_BYTES)
    words = np.arange(STAGING_BYTES, dtype=np.int32)
    buffer = backend.alloc(words.nbytes)
    with monkeypatch.context() as patched:
        patched.setattr(FakeEvent, "wait", lambda event: None)
        backend.upload(buffer, words)
    assert (backend.download(buffer, np.int32, len(words)) != words).any()


def test_an_upload_crosses_the_bus_while_a_kernel_runs(folder: Path) -> None:
    driver = FakeCudaDriver(folder, early=True)
    backend = CudaBackend(0, MemoryLimit(LIMIT_BYTES), driver=driver)
    buffers = {name: backend.alloc(2048) for name in ("sources", "targets", "words")}
    backend.synchronise()
    computing, sending = driver.streams
    computed, sent = computing.done, sending.done
    backend.launch("move_words", 1, count=0, **buffers)
    backend.upload(buffers["words"], np.ones(512, np.int32))
    assert computing.done == computed
    assert sending.done == sent + 1


def test_an_upload_waits_for_nothing_while_there_is_room(folder: Path) -> None:
    driver = FakeCudaDriver(folder)
    backend = CudaBackend(0, MemoryLimit(LIMIT_BYTES), driver=driver)
    buffer = backend.alloc(1 << 20)
    for _ in range(32):
        backend.upload(buffer, np.ones(1 << 18, np.int32))
    assert [each.done for each in driver.streams] == [0, 0]
    backend.upload(buffer, np.ones(1 << 18, np.int32))
    assert all(each.done > 0 for each in driver.streams)


def test_parts_that_are_not_in_a_buffer_are_refused(backend: CudaBackend) -> None:
    buffer, other = backend.alloc(64), backend.alloc(64)
    words = np.zeros(4, np.int32)
    asked: list[Callable[[], object]] = [
        lambda: backend.upload(buffer, words, 52),
        lambda: backend.upload(buffer, words, -4),
        lambda: backend.upload(buffer, words, 2),
        lambda: backend.upload(buffer, np.zeros(3, np.uint8)),
        lambda: backend.download(buffer, np.int32, 17),
        lambda: backend.download(buffer, np.int32, 1, 64),
        lambda: backend.copy(buffer, other, 32, 36),
        lambda: backend.copy(buffer, other, 32, 0, 36),
        lambda: backend.copy(buffer, other, -4),
    ]
    for each in asked:
        with pytest.raises(BackendError, match="of a buffer of 64, must be words in it"):
            each()
    assert (backend.download(buffer, np.int32, 16) == 0).all()


def test_what_was_given_back_is_refused(backend: CudaBackend) -> None:
    buffers = {name: backend.alloc(64) for name in ("sources", "targets", "words")}
    buffer = buffers["words"]
    backend.free(buffer)
    asked: list[Callable[[], object]] = [
        lambda: backend.free(buffer),
        lambda: backend.fill(buffer, 0),
        lambda: backend.download(buffer, np.int32, 0),
        lambda: backend.launch("move_words", 1, count=0, **buffers),
    ]
    for each in asked:
        with pytest.raises(BackendError, match="no longer, a buffer"):
            each()
    assert backend.memory().used_bytes == 128


def test_the_fake_refuses_what_a_driver_does_not_notice(driver: FakeCudaDriver) -> None:
    stream = driver.stream()
    address, freed, pinned = driver.malloc(64, stream), driver.malloc(64, stream), driver.pinned(64)
    driver.free(freed)
    function = driver.load(cubin("blocks", "sm_90", False), "move_words")
    asked: list[Callable[[], object]] = [
        lambda: stream.upload(pinned, address + 4),
        lambda: stream.upload(np.zeros(64, np.uint8), address),
        lambda: stream.download(freed, pinned),
        lambda: stream.fill(address - 4, 0, 1),
        lambda: driver.free(freed),
        lambda: _launch(stream, function, 64, [address, address + 4, freed]),
        lambda: _launch(stream, function, 64, [address, address, address]),
        lambda: _launch(stream, function, 32, [address, address, address + 8]),
        lambda: stream.launch(function, 1, 64, struct.pack("<QQQ", *[address] * 3)),
    ]
    for each in asked:
        with pytest.raises(BackendError):
            each()
    _launch(stream, function, 64, [address, address, address + 8])


def _launch(stream: FakeStream, function: FakeFunction, items: int, buffers: list[int]) -> None:
    stream.launch(function, 1, items, struct.pack("<QQQi", *buffers, 0))


def test_memory_ends_at_the_limit_and_at_the_devices(folder: Path) -> None:
    driver = FakeCudaDriver(folder, memory_bytes=STAGING_BYTES + 1000)
    backend = CudaBackend(0, MemoryLimit(2000), driver=driver, staging_bytes=STAGING_BYTES)
    first = backend.alloc(600)
    for size_bytes, message in ((1404, "limit 2000"), (404, "fake device")):
        with pytest.raises(DeviceMemoryError, match=message):
            backend.alloc(size_bytes)
    assert backend.memory().used_bytes == 600
    backend.free(first)
    assert (backend.download(backend.alloc(997), np.uint32, 250) == 0).all()
    assert backend.memory().used_bytes == 1000


def test_a_fault_on_the_device_is_told_to_who_waits(
    driver: FakeCudaDriver, backend: CudaBackend
) -> None:
    def fault() -> None:
        raise BackendError("an illegal memory access was encountered")

    driver.streams[0].ask(fault)
    with pytest.raises(BackendError, match="illegal memory access"):
        backend.synchronise()
    driver.streams[0].ask(fault)
    with pytest.raises(BackendError, match="illegal memory access"):
        backend.download(backend.alloc(4), np.int32, 1)


def test_a_borrowed_tensor_is_not_copied(driver: FakeCudaDriver, backend: CudaBackend) -> None:
    tensor = torch.arange(1024, dtype=torch.int32)
    words = backend.borrow(tensor)
    assert words.size_bytes == 4096
    assert backend.memory().used_bytes == 0
    sources, targets = backend.alloc(4), backend.alloc(4)
    backend.upload(targets, np.array([1], np.int32))
    backend.launch("move_words", 1, sources=sources, targets=targets, words=words, count=1)
    backend.synchronise()
    assert tensor.tolist() == 2 * list(range(512))


def test_a_borrowed_tensor_stays_until_the_device_is_done(backend: CudaBackend) -> None:
    own = backend.alloc(4096)
    borrowed = backend.borrow(torch.full((32, 32), 2.5))
    backend.copy(borrowed, own, 4096)
    backend.free(borrowed)
    del borrowed
    assert (backend.download(own, np.float32, 1024) == 2.5).all()
    assert backend.memory().used_bytes == 4096


@pytest.mark.parametrize(
    ("tensor", "message"),
    [
        (torch.zeros(4, 6)[:, ::2], "not contiguous"),
        (torch.zeros(5, dtype=torch.uint8), "not words"),
        (torch.zeros(0), "not words"),
    ],
)
def test_tensors_that_are_not_whole_words_are_refused(
    tensor: torch.Tensor, message: str, backend: CudaBackend
) -> None:
    with pytest.raises(BackendError, match=message):
        backend.borrow(tensor)
