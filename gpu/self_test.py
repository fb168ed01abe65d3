"""Whether a device does what its kernels say, and how fast it reaches its memory."""

from collections.abc import Callable

import numpy as np

from gpu.backend import Backend, BackendError
from gpu.kernels import BLOCK_VOXELS

_BLOCK_BYTES = 4 * BLOCK_VOXELS
_MOST_BYTES = 64 << 20
_MOVES_A_WAIT = 4


def copy_bytes_per_s(backend: Backend, now_s: Callable[[], float], duration_s: float) -> float:
    """Move half of many blocks to the other half, again and again for a time.

    Returns bytes per second, read and written. Raises BackendError if they are not there then.
    """
    memory = backend.memory()
    room_bytes = min(_MOST_BYTES, (memory.limit_bytes - memory.used_bytes) // 2)
    blocks = room_bytes // (2 * _BLOCK_BYTES) * 2
    rng = np.random.default_rng(1)
    words = rng.integers(0, 1 << 32, (blocks, BLOCK_VOXELS), np.uint32)
    sources, targets = rng.permutation(blocks).astype(np.int32).reshape(2, -1)
    buffers = {"sources": sources, "targets": targets, "words": words}
    taken = {name: backend.alloc(array.nbytes) for name, array in buffers.items()}
    try:
        for name, array in buffers.items():
            backend.upload(taken[name], array)

        def move() -> None:
            backend.launch("move_words", len(sources), count=len(sources), **taken)

        moves_per_s = _repeated(backend, move, now_s, duration_s)
        moved = backend.download(taken["words"], np.uint32, words.size).reshape(words.shape)
    finally:
        for buffer in taken.values():
            backend.free(buffer)
    words[targets] = words[sources]
    if wrong := int((moved != words).any(axis=1).sum()):
        raise BackendError(f"{backend.info.name}: {wrong} of {blocks} blocks came back wrong")
    return 2 * sources.size * _BLOCK_BYTES * moves_per_s


def _repeated(
    backend: Backend, work: Callable[[], None], now_s: Callable[[], float], duration_s: float
) -> float:
    """Repeat for a time; how often per second. The first time, which compiles, does not count."""
    work()
    backend.synchronise()
    started_s = now_s()
    rounds, taken_s = 0, 0.0
    while not rounds or taken_s < duration_s:
        for _ in range(_MOVES_A_WAIT):
            work()
        backend.synchronise()
        rounds, taken_s = rounds + _MOVES_A_WAIT, now_s() - started_s
    return rounds / taken_s
