"""Runs depth sources over the colour of an RGB-D recording, tracked as a plain camera's."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from fusion.depth.known import KnownDepth
from fusion.depth.source import DepthSource
from fusion.monocular import Monocular
from replay.evaluate_depth import DepthTrial
from replay.registration import Registration
from replay.sequence import RgbdSequence
from slam.frame import Frame
from slam.images import decode_frame
from slam.pose_graph import PoseGraph
from slam.rectify import Rectifier
from slam.tracker import Tracker


@dataclass(frozen=True, slots=True)
class ScaledTrial:
    """A trial, and what its map's unit is."""

    trial: DepthTrial
    metres_per_unit: float
    """What brings the depths of the map's points to the sensor's: the median over all frames of
    their median. It favours no source, for all have these points."""


@dataclass(frozen=True, slots=True)
class _Tried:
    graph: PoseGraph
    trial: DepthTrial
    metres_per_unit: float | None
    """Of this frame alone."""


class DepthTrials:
    """Tracks a recording's colour and lets every source estimate the same frames.

    The frames are those that a live session would choose for the first source.
    """

    def __init__(
        self, registration: Registration, tracker: Tracker, sources: Mapping[str, DepthSource]
    ) -> None:
        """The tracker and the sources must be made for the registration's colour camera."""
        self._registration = registration
        self._tracker = tracker
        self._sources = sources
        self._chooser = Monocular(next(iter(sources.values())))
        self._map_number = 0
        self._graphs = [PoseGraph(tracker.world_from_tracker)]
        self._trials: list[_Tried] = []

    def run(self, sequence: RgbdSequence, limit: int | None = None) -> Iterator[int]:
        """Work through at most `limit` frames; yields after each how many trials there are."""
        rectifier = Rectifier(sequence.calibration.camera)
        for message in sequence.frames(limit):
            self.add(rectifier.rectify(decode_frame(message, sequence.calibration)))
            yield len(self._trials)

    def add(self, frame: Frame) -> None:
        """Track a frame with depth by its colour alone; try the sources on it if it is chosen."""
        colored = replace(frame, depth=None)
        tracked = self._tracker.track(colored)
        if tracked.map_number != self._map_number:
            self._map_number = tracked.map_number
            self._graphs.append(PoseGraph(self._tracker.world_from_tracker))
            self._chooser.start_over(wants_scale=False)
        graph = self._graphs[-1]
        graph.update(tracked.keyframes)
        if tracked.tracker_from_camera is None:
            return
        graph.add(frame.index, frame.capture_ns, tracked)
        picture, view = self._chooser.see(colored, graph)
        points_world = graph.points_world(tracked.points_tracker)
        request = self._chooser.request(picture, view, points_world, graph, len(self._graphs))
        if request is None:
            return
        estimates = {
            name: estimated.depth_m
            for name, source in self._sources.items()
            if (estimated := source.depth(request.frame, request.context)) is not None
        }
        truth_m = self._registration.depth_seen_by(self._chooser.camera, frame)
        points = KnownDepth.of_points(self._chooser.camera, request.context)
        scale = _metres_per_unit(points, truth_m)
        self._trials.append(_Tried(graph, DepthTrial(truth_m, estimates), scale))

    def scaled(self) -> list[ScaledTrial]:
        """All trials in metres; without those of maps none of whose points has a true depth."""
        found = []
        for graph in self._graphs:
            tried = [trial for trial in self._trials if trial.graph is graph]
            ratios = [trial.metres_per_unit for trial in tried if trial.metres_per_unit]
            if ratios:
                scale = float(np.median(ratios))
                found += [ScaledTrial(trial.trial, scale) for trial in tried]
        return found


def _metres_per_unit(points: KnownDepth, truth_m: NDArray[np.float32]) -> float | None:
    true_m = points.of(truth_m)
    ratios = true_m[true_m > 0] / points.depth_m[true_m > 0]
    return float(np.median(ratios)) if len(ratios) else None
