"""Feature matching beside OpenCV's `BFMatcher`: ORB of two pictures of a recording.

Everyone finds the two nearest of each descriptor and who is nearest to whom in return, and keeps
what is mutual and clearly nearer than the next; in turns, with as many threads. The pictures are
enlarged, so that they have as many features as a large one.
"""

import statistics
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from itertools import islice

import cv2
import numba
import numpy as np
from numpy.typing import NDArray

from clients.cli.bench.figure import Figure
from gpu.backend import Backend
from gpu.matching import match
from mapcast_client.errors import InputError
from replay.sequence import RgbdSequence
from slam.images import decode_frame

FEATURES = 5000
APART = 20
"""Frames from one picture to the other."""
MAX_RATIO = 0.8
THREADS = 2
ROUNDS = 9
MIN_SPEEDUP = 4.0
PEER = "OpenCV BFMatcher"
CPU = "CPU"

Descriptors = NDArray[np.uint8]
Matches = NDArray[np.int32]


def measure(sequence: RgbdSequence, devices: Mapping[str, Backend]) -> list[Figure]:
    """Measure on this processor, and on devices.

    Raises InputError if the recording is too short.
    """
    first, second = _descriptors(sequence)
    ways: dict[str, Callable[[], Matches]] = {
        PEER: partial(_opencv, first, second),
        CPU: partial(match, first, second, MAX_RATIO),
    }
    for name, backend in devices.items():
        ways[name] = partial(match, first, second, MAX_RATIO, backend)
    with _threads() as threads:
        pairs = {name: {(i, j) for i, j in way().tolist()} for name, way in ways.items()}
        medians_ms = _medians_ms(ways)
    what = f"matching: {len(first)} × {len(second)} ORB, ratio and mutual"
    wrong = max(len(found ^ pairs[PEER]) for found in pairs.values())
    return [
        _faster(f"{what}, CPU, {threads} threads each, median", medians_ms, CPU, PEER, MIN_SPEEDUP),
        *(_faster(f"{what}, {name}, median", medians_ms, name, PEER) for name in list(ways)[2:]),
        Figure(f"matching: of {len(pairs[PEER])} pairs, others than OpenCV's on any device", wrong,
               "pairs", target=0, holds=wrong == 0),
    ]  # fmt: skip


def _faster(
    figure: str, medians_ms: Mapping[str, float], who: str, peer: str, target: float | None = None
) -> Figure:
    value, peer_value = medians_ms[who], medians_ms[peer]
    ratio = peer_value / value
    holds = None if target is None else ratio >= target
    return Figure(figure, value, "ms", peer, peer_value, ratio, target, holds)


def _descriptors(sequence: RgbdSequence) -> list[Descriptors]:
    pictures = [
        decode_frame(message, sequence.calibration).color
        for message in islice(sequence.frames(APART + 1), 0, None, APART)
    ]
    if len(pictures) < 2:
        raise InputError(f"{sequence.name}: {len(sequence)} frames, matching needs {APART + 1}")
    cv2.ocl.setUseOpenCL(False)  # ORB asks OpenCL's loader, which then knows no PoCL of PyPI's
    orb = cv2.ORB.create(FEATURES, fastThreshold=10)
    found = []
    for picture in pictures:
        gray = cv2.cvtColor(np.asarray(picture), cv2.COLOR_RGB2GRAY)
        large = cv2.resize(gray, None, fx=2, fy=2, interpolation=cv2.INTER_CUBIC)
        found.append(np.asarray(orb.detectAndCompute(large, None)[1], np.uint8))
    return found


@contextmanager
def _threads() -> Iterator[int]:
    """Everyone has the same number of them."""
    before = numba.get_num_threads(), cv2.getNumThreads()
    threads = min(THREADS, before[0])
    numba.set_num_threads(threads)
    cv2.setNumThreads(threads)
    try:
        yield threads
    finally:
        numba.set_num_threads(before[0])
        cv2.setNumThreads(before[1])


def _medians_ms(ways: Mapping[str, Callable[[], Matches]]) -> dict[str, float]:
    times_ms: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(ROUNDS):
        for name, way in ways.items():
            start_s = time.perf_counter()
            way()
            times_ms[name].append(1e3 * (time.perf_counter() - start_s))
    return {name: statistics.median(times) for name, times in times_ms.items()}


def _opencv(first: Descriptors, second: Descriptors) -> Matches:
    matcher = cv2.BFMatcher(cv2.NORM_HAMMING)
    back = [found.trainIdx for found in matcher.match(second, first)]
    kept = [
        (best.queryIdx, best.trainIdx)
        for best, following in matcher.knnMatch(first, second, 2)
        if best.distance < MAX_RATIO * following.distance and back[best.trainIdx] == best.queryIdx
    ]
    return np.array(kept, np.int32).reshape(-1, 2)
