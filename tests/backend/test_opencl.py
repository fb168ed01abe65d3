"""What OpenCL's driver refuses is told as every backend tells it."""

import re
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from gpu import opencl
from gpu.backend import BackendError, DeviceMemoryError
from gpu.memory_limit import MemoryLimit
from gpu.opencl import OpenClBackend, OpenClBuffer, devices
from gpu.signatures import signature

WORDS = np.zeros(8, np.uint32)
Asked = Callable[[OpenClBackend, OpenClBuffer], object]


@pytest.fixture
def backend() -> OpenClBackend:
    return OpenClBackend(devices()[-1], MemoryLimit(1 << 60))


@pytest.mark.parametrize(
    "ask",
    [
        lambda backend, buffer: backend.upload(buffer, WORDS),
        lambda backend, buffer: backend.download(buffer, np.uint32, len(WORDS)),
        lambda backend, buffer: backend.copy(buffer, buffer, 4, 16, 0),
        lambda backend, buffer: backend.fill(OpenClBuffer(buffer.memory, 64), 1),
    ],
    ids=["upload", "download", "copy", "fill"],
)
def test_what_cannot_be_done_is_named_with_the_device(backend: OpenClBackend, ask: Asked) -> None:
    buffer = backend.alloc(16)
    with pytest.raises(BackendError) as refused:
        ask(backend, buffer)
    assert backend.info.name in str(refused.value)
    assert backend.download(buffer, np.uint32, 4).tolist() == [0, 0, 0, 0]


def test_a_launch_that_a_device_cannot_do_is_named_with_it(
    backend: OpenClBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(opencl, "signature", lambda name: replace(signature(name), items=1 << 20))
    buffer = backend.alloc(16)
    with pytest.raises(BackendError, match=re.escape(backend.info.name)):
        backend.launch("move_words", 1, sources=buffer, targets=buffer, words=buffer, count=0)


def test_memory_that_is_not_there_is_not_counted(backend: OpenClBackend) -> None:
    with pytest.raises(DeviceMemoryError, match=str(1 << 50)):
        backend.alloc(1 << 50)
    assert backend.memory().used_bytes == 0


def test_source_that_does_not_compile_says_where(
    backend: OpenClBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(opencl, "source", lambda file: "kernel void broken(")
    with pytest.raises(BackendError, match=r"cannot compile \w+\.c"):
        backend.launch("move_words", 1)
