"""Two-camera stereo beside OpenCV's: what it gets wrong, how much it says, and how fast.

Pixels without a disparity count as wrong. Visible are those that the right picture shows, too, by
the left one's truth.
"""

import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np

from clients.cli.bench.figure import Figure
from clients.cli.bench.sgbm import DISPARITIES, SgbmSettings, as_it_comes, tuned
from clients.cli.bench.stereo_scenes import Score, StereoScene, scenes, score
from gpu.backend import Backend
from gpu.kernels.stereo import STEPS_PER_PX
from gpu.stereo import StereoMatcher
from gpu.stereo_search import MatchSettings

PEER = "OpenCV SGBM"
RUNS = 5
_TUNED, _AS_ADVISED = "tuned on it", "as advised"
_SETTINGS = MatchSettings(disparities=DISPARITIES)


def measure(data: Path, backends: Mapping[str, Backend]) -> list[Figure]:
    """Measure on the scenes that `data` has and scikit-image brings, on the CPU and on devices.

    Raises InputError or DependencyError if a scene is missing.
    """
    figures = []
    for scene in scenes(data):
        sgbm, peer = tuned(scene)
        figures += [*_errors(scene, peer), *_density(scene, peer)]
        figures += [*_times(scene, sgbm, backends), *_sameness(scene, backends)]
    return figures


def _errors(scene: StereoScene, peer: Score) -> list[Figure]:
    """Where none counts as wrong: all disparities, those that pass the checks, and filled ones."""
    matcher = StereoMatcher(_SETTINGS)
    raw = matcher.search(scene.left, scene.right).disparity / np.float32(STEPS_PER_PX)
    match = matcher.match(scene.left, scene.right)
    unchecked, checked = score(scene, raw.astype(np.float32)), score(scene, match.disparity_px)
    filled = score(scene, match.filled(scene.left.shape[1]))
    plain = score(scene, as_it_comes().disparities(scene.left, scene.right))
    known, visible = "of all pixels with truth", "of visible pixels"
    return [
        _held(scene, f"{visible}, holes filled", filled.bad_visible, peer.bad_visible),
        _held(scene, f"{known}, holes filled", filled.bad_known, peer.bad_known),
        _held(scene, f"{visible}, unchecked", unchecked.bad_visible, peer.bad_visible),
        _held(scene, f"{known}, unchecked", unchecked.bad_known, peer.bad_known),
        _beside(scene, f"{visible}, checked", checked.bad_visible, peer.bad_visible),
        _beside(scene, f"{known}, checked", checked.bad_known, peer.bad_known),
        _beside(scene, f"{visible} that have one, checked", checked.bad_given, peer.bad_given),
        _held(scene, f"{visible}, checked", checked.bad_visible, plain.bad_visible, _AS_ADVISED),
        _held(scene, f"{known}, checked", checked.bad_known, plain.bad_known, _AS_ADVISED),
    ]


def _density(scene: StereoScene, peer: Score) -> list[Figure]:
    match = StereoMatcher(_SETTINGS).match(scene.left, scene.right)
    checked = score(scene, match.disparity_px)
    filled = score(scene, match.filled(scene.left.shape[1]))
    name = f"stereo: {scene.name}, density of pixels with truth"
    return [
        Figure(f"{name}, checked", checked.density, "%", PEER, peer.density),
        Figure(f"{name}, holes filled", filled.density, "%", PEER, peer.density),
    ]


def _held(
    scene: StereoScene, what: str, value: float, peer_value: float, settings: str = _TUNED
) -> Figure:
    """A figure in which we are to be better than SGBM."""
    figure = _beside(scene, what, value, peer_value, settings)
    return replace(figure, target=1.0, holds=peer_value > value)


def _beside(
    scene: StereoScene, what: str, value: float, peer_value: float, settings: str = _TUNED
) -> Figure:
    name, ratio = f"stereo: {scene.name}, bad-2 {what}", peer_value / value
    return Figure(name, value, "%", f"{PEER}, {settings}", peer_value, ratio)


def _times(scene: StereoScene, sgbm: SgbmSettings, backends: Mapping[str, Backend]) -> list[Figure]:
    """Medians of runs in turns, so that what else the machine does is everyone's."""
    matchers = {"CPU": StereoMatcher(_SETTINGS)}
    matchers |= {name: StereoMatcher(_SETTINGS, backend) for name, backend in backends.items()}
    runs: dict[str, Callable[[], object]] = {
        name: partial(matcher.match, scene.left, scene.right) for name, matcher in matchers.items()
    }
    times_ms = _in_turns({**runs, PEER: partial(sgbm.disparities, scene.left, scene.right)})
    for matcher in matchers.values():
        matcher.close()
    peer_ms = times_ms.pop(PEER)
    return [
        Figure(f"stereo: {scene.name}, {name}", ms, "ms", PEER, peer_ms, peer_ms / ms)
        for name, ms in times_ms.items()
    ]


def _in_turns(runs: Mapping[str, Callable[[], object]]) -> dict[str, float]:
    times_ms: dict[str, list[float]] = {name: [] for name in runs}
    for _ in range(RUNS + 1):
        for name, run in runs.items():
            start_s = time.perf_counter()
            run()
            times_ms[name].append(1e3 * (time.perf_counter() - start_s))
    return {name: statistics.median(times[1:]) for name, times in times_ms.items()}


def _sameness(scene: StereoScene, backends: Mapping[str, Backend]) -> list[Figure]:
    expected = StereoMatcher(_SETTINGS).search(scene.left, scene.right)
    figures = []
    for name, backend in backends.items():
        matcher = StereoMatcher(_SETTINGS, backend)
        found = matcher.search(scene.left, scene.right)
        matcher.close()
        differing = float(np.count_nonzero(found.disparity != expected.disparity))
        what = f"stereo: {scene.name}, pixels in which {name} differs from the CPU"
        figures.append(Figure(what, differing, "px", target=0.0, holds=differing == 0))
    return figures
