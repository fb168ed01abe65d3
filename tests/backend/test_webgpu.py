from collections.abc import Iterator

import numpy as np
import pytest

from gpu.backend import BackendError, DeviceMemoryError
from gpu.memory_limit import MemoryLimit
from gpu.webgpu import WebGpuBackend, adapters

LIMIT_BYTES = 300 << 20
MOST_GROUPS_A_SIDE = 65535


@pytest.fixture(scope="module")
def backend() -> WebGpuBackend:
    return WebGpuBackend(adapters()[-1], MemoryLimit(LIMIT_BYTES))


@pytest.fixture(autouse=True)
def _nothing_left(backend: WebGpuBackend) -> Iterator[None]:
    before = backend.memory().used_bytes
    yield
    assert backend.memory().used_bytes == before


def test_the_software_adapter_says_what_it_is(backend: WebGpuBackend) -> None:
    assert backend.info.backend == "webgpu"
    assert "llvmpipe" in backend.info.name
    assert "Vulkan" in backend.info.driver
    assert backend.info.is_software


def test_blocks_move_in_more_groups_than_a_side_has(backend: WebGpuBackend) -> None:
    blocks, count = 64, MOST_GROUPS_A_SIDE + 1000
    words = np.random.default_rng(3).integers(0, 1 << 32, (blocks, 512), np.uint32)
    sources = np.full(count, 2, np.int32)
    targets = np.full(count, 5, np.int32)  # the same words from all of them
    sources[-1], targets[-1] = 7, 63
    sources[MOST_GROUPS_A_SIDE], targets[MOST_GROUPS_A_SIDE] = 8, 62
    buffers = [backend.alloc(array.nbytes) for array in (sources, targets, words)]
    for buffer, array in zip(buffers, (sources, targets, words), strict=True):
        backend.upload(buffer, array)
    backend.launch(
        "move_words", count, sources=buffers[0], targets=buffers[1], words=buffers[2], count=count
    )
    moved = backend.download(buffers[2], np.uint32, words.size).reshape(words.shape)
    words[[5, 63, 62]] = words[[2, 7, 8]]
    np.testing.assert_array_equal(moved, words)
    for buffer in buffers:
        backend.free(buffer)


def test_what_is_asked_is_done_in_that_order(backend: WebGpuBackend) -> None:
    """Uploads, fills, copies and launches of many batches, as they would be on the host."""
    rng = np.random.default_rng(7)
    expected = rng.integers(0, 1 << 32, (2, 16, 512), np.uint32)
    pools = [backend.alloc(each.nbytes) for each in expected]
    slots = [backend.alloc(4) for _ in range(2)]
    for pool, words in zip(pools, expected, strict=True):
        backend.upload(pool, words)
    for step in range(300):
        which, (source, target) = step % 2, rng.choice(16, 2, replace=False)
        match rng.integers(5):
            case 0:
                word = int(rng.choice([0, 0xDEADBEEF, 5]))
                backend.fill(pools[which], word)
                expected[which] = word
            case 1:
                block = rng.integers(0, 1 << 32, 512, np.uint32)
                backend.upload(pools[which], block, int(target) * 2048)
                expected[which, target] = block
                block[:] = 0
            case 2:
                backend.copy(
                    pools[which], pools[1 - which], 2048, int(source) * 2048, int(target) * 2048
                )
                expected[1 - which, target] = expected[which, source]
            case _:
                for slot, value in zip(slots, (source, target), strict=True):
                    backend.upload(slot, np.array([value], np.int32))
                backend.launch(
                    "move_words",
                    1,
                    sources=slots[0],
                    targets=slots[1],
                    words=pools[which],
                    count=1,
                )
                expected[which, target] = expected[which, source]
    for pool, words in zip(pools, expected, strict=True):
        np.testing.assert_array_equal(backend.download(pool, np.uint32, words.size), words.ravel())
    part = backend.download(pools[0], np.uint8, 3, 4 * 2048)
    np.testing.assert_array_equal(part, expected[0, 4].view(np.uint8)[:3])
    for buffer in (*pools, *slots):
        backend.free(buffer)


def test_many_launches_keep_their_own_numbers(backend: WebGpuBackend) -> None:
    """More launches than a batch has places for their numbers, without a wait between them."""
    count = 200
    words = backend.alloc((count + 1) * 2048)
    backend.upload(words, np.arange(512, dtype=np.uint32))
    sources, targets = backend.alloc(4 * count), backend.alloc(4 * count)
    backend.upload(sources, np.zeros(count, np.int32))
    backend.upload(targets, np.arange(1, count + 1, dtype=np.int32))
    for done in range(1, count, 3):  # each but the last leaves all beyond its number alone
        backend.launch(
            "move_words", count, sources=sources, targets=targets, words=words, count=done
        )
    copied = backend.download(words, np.uint32, (count + 1) * 512).reshape(-1, 512)
    last = list(range(1, count, 3))[-1]
    assert (copied[: last + 1] == np.arange(512)).all()
    assert not copied[last + 1 :].any()
    for buffer in (words, sources, targets):
        backend.free(buffer)


def test_memory_is_zeroed_and_rounded_up_to_words(backend: WebGpuBackend) -> None:
    buffer = backend.alloc(5)
    assert buffer.size_bytes == 8
    np.testing.assert_array_equal(backend.download(buffer, np.uint32, 2), [0, 0])
    assert len(backend.download(buffer, np.uint32, 0)) == 0
    backend.upload(buffer, np.empty(0, np.uint32))
    backend.synchronise()
    backend.free(buffer)


def test_a_freed_buffer_may_still_be_in_a_batch(backend: WebGpuBackend) -> None:
    source, target = backend.alloc(2048), backend.alloc(2048)
    backend.fill(source, 9)
    backend.copy(source, target, 2048)
    backend.free(source)
    assert (backend.download(target, np.uint32, 512) == 9).all()
    backend.free(target)


def test_memory_beyond_a_limit_is_refused(backend: WebGpuBackend) -> None:
    with pytest.raises(DeviceMemoryError, match=r"a buffer of \d+ bytes, limit 134217728"):
        backend.alloc((128 << 20) + 4)
    taken = [backend.alloc(128 << 20) for _ in range(2)]
    with pytest.raises(DeviceMemoryError, match=f"in use, limit {LIMIT_BYTES}"):
        backend.alloc(128 << 20)
    for buffer in taken:
        backend.free(buffer)


def test_a_launch_with_wrong_arguments_is_refused(backend: WebGpuBackend) -> None:
    buffer = backend.alloc(2048)
    with pytest.raises(BackendError, match=r"move_words: \['targets'\] missing"):
        backend.launch("move_words", 1, sources=buffer, words=buffer, count=1)
    with pytest.raises(BackendError, match="words is written to, and is another"):
        backend.launch("move_words", 1, sources=buffer, targets=buffer, words=buffer, count=1)
    with pytest.raises(BackendError, match="there is no kernel nothing"):
        backend.launch("nothing", 1)
    backend.free(buffer)


def test_what_the_driver_refuses_is_named_and_forgotten(backend: WebGpuBackend) -> None:
    small, large = backend.alloc(8), backend.alloc(2048)
    backend.upload(large, np.arange(512, dtype=np.uint32))
    with pytest.raises(BackendError, match=r"(?s)llvmpipe.*Copy at offset 0 for 2048 bytes"):
        backend.copy(large, small, 2048)
        backend.synchronise()
    with pytest.raises(BackendError, match="llvmpipe"):
        backend.upload(small, np.zeros(3, np.uint32))
    with pytest.raises(BackendError, match="llvmpipe"):
        backend.download(small, np.uint32, 3)
    backend.fill(small, 4)
    np.testing.assert_array_equal(backend.download(small, np.uint32, 2), [4, 4])
    backend.free(small)
    backend.free(large)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("@compute @workgroup_size(64) fn move_words( {", "(?s)llvmpipe.*move_words"),
        ("@compute @workgroup_size(64) fn other() {}", "(?s)llvmpipe.*move_words"),
    ],
)
def test_what_does_not_compile_is_an_error_with_the_compilers_text(
    text: str, complaint: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gpu.webgpu.module", lambda kernel: text)
    backend = WebGpuBackend(adapters()[-1], MemoryLimit(LIMIT_BYTES))
    sources, targets, words = (backend.alloc(2048) for _ in range(3))
    with pytest.raises(BackendError, match=complaint):
        backend.launch("move_words", 1, sources=sources, targets=targets, words=words, count=1)
