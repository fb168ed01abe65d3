"""A map's end of background refinement: keyframes' frames go out, constraints come in."""

from collections import OrderedDict

from fusion.frame_store import FrameStore
from slam.frame import Frame
from slam.pose_graph import PoseGraph
from slam.refine import Refiner
from slam.refine_messages import RefineResult

_RECENT_FRAMES = 20
"""A tracker says that a frame is a keyframe a few frames later."""
_FRAMES_PER_OFFER, _MOST_FRAMES_PER_OFFER = 8, 40
"""Looking through all keyframes takes a while where there are many, and it is better to wait until
the graph has come to rest."""
_LOOKED_UP_AT_ONCE = 2
"""Frames that are decoded from the store in one go; later ones wait."""


class MapRefinement:
    """Offers each keyframe of a map to a refiner once, and gives its answers to the pose graph."""

    def __init__(self, refiner: Refiner, frames: FrameStore | None) -> None:
        """`frames`: where to look for the frames of keyframes that are no longer recent."""
        self._refiner = refiner
        self._frames = frames
        self._recent: OrderedDict[int, Frame] = OrderedDict()
        self._missing: set[int] = set()
        self._seen_since_offer = 0
        self._is_corrected = False
        self._results: list[RefineResult] = []

    def see(self, frame: Frame) -> None:
        """Keep a tracked frame for a moment: it may turn out to be a keyframe."""
        self._recent[frame.capture_ns] = frame
        self._seen_since_offer += 1
        if len(self._recent) > _RECENT_FRAMES:
            self._recent.popitem(last=False)

    def tick(self, graph: PoseGraph) -> None:
        """Offer keyframes that are new, and put what was found since into the graph."""
        is_due = self._is_corrected or self._seen_since_offer >= _FRAMES_PER_OFFER
        if is_due and (graph.is_settled or self._seen_since_offer >= _MOST_FRAMES_PER_OFFER):
            self._offer(graph)
        while (result := self._refiner.poll()) is not None:
            graph.constrain(result.constraints)
            self._is_corrected = True
            self._results.append(result)

    def take_results(self) -> list[RefineResult]:
        """The results since the last call."""
        results, self._results = self._results, []
        return results

    def finish(self, graph: PoseGraph) -> bool:
        """Bring the refinement to an end, without waiting for it; whether it has come to one."""
        graph.settle()
        if self._seen_since_offer:
            self._offer(graph)
        self._refiner.settle()
        self.tick(graph)
        return self._refiner.is_idle

    def start_over(self) -> None:
        """The map was replaced: keyframes and lengths of before mean nothing any more."""
        self._refiner.start_over()
        self._recent.clear()
        self._results.clear()
        self._missing.clear()

    def close(self) -> None:
        """End the refining process."""
        self._refiner.close()

    def _offer(self, graph: PoseGraph) -> None:
        poses = {key: keyframe.world_from_keyframe for key, keyframe in graph.keyframes().items()}
        self._refiner.update(poses)
        looked_up = 0
        for key in poses:
            if key in self._missing or not self._refiner.wants(key):
                continue
            frame = self._recent.get(key)
            if frame is None and looked_up < _LOOKED_UP_AT_ONCE:
                looked_up += 1
                frame = self._look_up(key)
            if frame is not None:
                self._refiner.offer(key, frame)
        self._seen_since_offer = 0
        self._is_corrected = False

    def _look_up(self, key: int) -> Frame | None:
        frame = None if self._frames is None else self._frames.get(key)
        if frame is None:
            self._missing.add(key)
        return frame
