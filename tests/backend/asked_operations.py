"""The same operations asked of two backends, at random: what is in their buffers must be equal."""

import numpy as np

from gpu.backend import Backend, Buffer

BLOCK_WORDS = 512
BLOCKS = 24
BUFFERS = 3
# Words are less than BLOCKS: where one lands wrongly among indices, no kernel crashes.


class Pair:
    """A backend and the one that it must equal; both do what is asked."""

    def __init__(self, backends: tuple[Backend, Backend], rng: np.random.Generator) -> None:
        self._backends = backends
        self._rng = rng
        size_bytes = 4 * BLOCK_WORDS * BLOCKS
        self._buffers = [[each.alloc(size_bytes) for _ in range(BUFFERS)] for each in backends]
        self._lists = [[each.alloc(4 * BLOCKS) for _ in range(2)] for each in backends]

    def upload(self) -> None:
        target, start, count = self._part()
        words = self._rng.integers(0, BLOCKS, count, np.uint32)
        for backend, buffers in self._each():
            given = words.copy()
            backend.upload(buffers[target], given, 4 * start)
            given[:] = BLOCKS

    def copy(self) -> None:
        source, first, count = self._part()
        target = (source + 1) % BUFFERS
        second = int(self._rng.integers(0, BLOCK_WORDS * BLOCKS - count + 1))
        for backend, buffers in self._each():
            backend.copy(buffers[source], buffers[target], 4 * count, 4 * first, 4 * second)

    def fill(self) -> None:
        target, word = int(self._rng.integers(BUFFERS)), int(self._rng.integers(BLOCKS))
        for backend, buffers in self._each():
            backend.fill(buffers[target], word)

    def launch(self) -> None:
        count = int(self._rng.integers(1, BLOCKS // 2 + 1))
        moved = self._rng.permutation(BLOCKS).astype(np.int32)
        target = int(self._rng.integers(BUFFERS))
        for (backend, buffers), lists in zip(self._each(), self._lists, strict=True):
            backend.upload(lists[0], moved[:count])
            backend.upload(lists[1], moved[count : 2 * count])
            backend.launch(
                "move_words", count, sources=lists[0], targets=lists[1], words=buffers[target],
                count=count,
            )  # fmt: skip

    def download(self) -> None:
        source, start, count = self._part()
        found = [
            backend.download(buffers[source], np.uint32, count, 4 * start)
            for backend, buffers in self._each()
        ]
        np.testing.assert_array_equal(*found)

    def exchange(self) -> None:
        """Give a buffer back and take another one."""
        place = int(self._rng.integers(BUFFERS))
        for backend, buffers in self._each():
            backend.free(buffers[place])
            buffers[place] = backend.alloc(4 * BLOCK_WORDS * BLOCKS)

    def _each(self) -> list[tuple[Backend, list[Buffer]]]:
        return list(zip(self._backends, self._buffers, strict=True))

    def _part(self) -> tuple[int, int, int]:
        """A buffer, and words of it: first and how many."""
        count = int(BLOCK_WORDS * BLOCKS * self._rng.random() ** 3)
        start = int(self._rng.integers(0, BLOCK_WORDS * BLOCKS - count + 1))
        return int(self._rng.integers(BUFFERS)), start, count


def ask_the_same(first: Backend, second: Backend, operations: int, seed: int) -> None:
    """Raises AssertionError if what comes down is not the same."""
    rng = np.random.default_rng(seed)
    pair = Pair((first, second), rng)
    kinds = [pair.upload, pair.copy, pair.fill, pair.launch, pair.download, pair.exchange]
    for kind in rng.choice(len(kinds), operations, p=[0.35, 0.15, 0.05, 0.25, 0.15, 0.05]):
        kinds[kind]()
    for _ in range(10):
        pair.download()
