"""Where frames are, by the tracker and by the surface that is there already."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from scipy.spatial.transform import Rotation

from fusion.align import Aligner, Alignment, AlignmentSettings
from fusion.anchors import RECENT_VIEWS, Anchors
from fusion.frame_store import FrameStore
from fusion.volume import Volume
from slam.constraint import Constraint
from slam.frame import Frame
from slam.geometry import Mat4, inverse, rigid
from slam.pose_graph import PoseGraph
from slam.tracker import TrackedFrame

_OVERLAP = 0.5
"""A keyframe that saw so large a share of what a view shows can be what the view hangs on."""
_SEARCH_FRAMES = 5
"""Such keyframes are looked for once in so many frames: the camera hardly moves meanwhile."""
_SIGMA_M, _SIGMA_RAD = 0.001, 0.0007
"""Of a keyframe found on a surface, against the keyframes that saw it."""
_SETTLED_VOX = 1.0
"""The surface that a keyframe saw is where it should be if its view is in so exactly."""
_LOOKED_AT = np.array([0.0, 0.0, 2.0, 1.0])
_UNALIGNED_FRAMES = 10
"""So long the path goes on where alignment has left it; then it is the tracker's."""
_DROPOUT_NS = 1_000_000_000
"""So long alignment goes on without the tracker."""
_WIDER = 2.0
"""Without the tracker, the pose may be farther from the expected one."""
_KNOWN_SHARE = 0.5
"""Without the tracker, so much of what is seen must have been there."""


class PlacedViews(Protocol):
    """The views in the volume."""

    def placed(self, capture_ns: int) -> Mat4 | None:
        """The pose at which the view of an instant is in; None if it is not."""


@dataclass(frozen=True, slots=True)
class SurfacePose:
    """Where a frame is."""

    world_from_camera: Mat4
    """As the graph has the world."""
    alignment: Alignment | None = None
    """None: the surface does not tell."""
    is_trackers: bool = False
    """It is where the tracker says: neither aligned nor on from an aligned frame."""
    is_carried: bool = False
    """The tracker has no pose: it is alignment's alone."""

    @property
    def fits_at(self) -> Mat4:
        """Where it is to be fused: on the surface, which may be yet to follow the graph."""
        return (
            self.world_from_camera if self.alignment is None else self.alignment.world_from_camera
        )


@dataclass(frozen=True, slots=True)
class _Last:
    """The last frame that had a pose."""

    capture_ns: int
    unaligned_frames: int
    """How many there were since one that was aligned; that one: 0."""
    tracked_ns: int
    """When the tracker last had a pose."""
    keyframe_ns: int | None
    """A keyframe of the tracker; None if that had no pose, or no keyframe."""
    keyframe_from_camera: Mat4
    """By the tracker."""
    before_from_camera: Mat4
    """The motion to it from the frame before."""
    span_ns: int
    """The time that took."""


@dataclass(frozen=True, slots=True)
class _Found:
    """Where the surface was that determined all of a frame's pose."""

    anchor_ns: int | None
    """A keyframe that saw it; None: there was none."""
    anchor_from_camera: Mat4
    """By where the keyframe's view was in then."""


class SurfacePoses:
    """Finds frames on the surface of a volume, and tells the pose graph.

    A frame is expected where the last one is, moved on as the tracker moved. So the path is the
    surface's, and what the tracker corrects reaches it through the graph, which moves keyframes and
    what hangs on them. One thread calls it, that of the volume and the graph.
    """

    def __init__(
        self,
        volume: Volume,
        views: PlacedViews,
        graph: PoseGraph,
        settings: AlignmentSettings,
        frames: FrameStore | None = None,
    ) -> None:
        """Follow a volume, the views in it, which `frames` keeps, and the graph of their poses."""
        self._views, self._graph = views, graph
        self._aligner = Aligner(volume, settings)
        self._settled_m = _SETTLED_VOX * volume.settings.voxel_size_m
        self._anchors = Anchors(volume.camera, frames)
        self._anchor_ns: int | None = None
        self._frames_to_search = 0
        self._last: _Last | None = None
        self._found: dict[int, _Found | None] = {}
        """Where recent frames fit the surface, if that determines all of their pose."""
        self._known: Mapping[int, Mat4] = {}

    def find(self, frame: Frame, tracked: TrackedFrame) -> SurfacePose | None:
        """Say where a frame with depth is; None if neither the tracker nor the surface knows."""
        if tracked.tracker_from_camera is None:
            return self._carried(frame)
        start = self._moved_on(tracked)
        is_trackers = start is None
        if start is None:
            start = self._graph.place(frame.capture_ns, tracked)
        if not self._surface_is_settled():
            return SurfacePose(start, None, is_trackers)
        graph_from_surface = self._graph_from_surface()
        surface_from_graph = inverse(graph_from_surface)
        alignment = self._aligner.align(frame, surface_from_graph @ start)
        if alignment is None and (predicted := self._predicted(frame)) is not None:
            # Trackers jump, too: where they have just relocalised, by centimetres.
            alignment = self._aligner.align(frame, surface_from_graph @ predicted)
        if alignment is None:
            return SurfacePose(start, None, is_trackers)
        return SurfacePose(graph_from_surface @ alignment.world_from_camera, alignment)

    def add(self, frame: Frame, tracked: TrackedFrame, pose: SurfacePose) -> None:
        """Take a frame, which `find` found there and which is in the volume now, to the graph."""
        last_world = None if self._last is None else self._world_of(self._last.capture_ns)
        self._anchors.see(frame)
        if pose.is_trackers:
            self._graph.add(frame.index, frame.capture_ns, tracked)
        else:
            self._search_anchor(frame.capture_ns, pose)
            self._graph.add(
                frame.index, frame.capture_ns, tracked, pose.world_from_camera, self._anchor_ns
            )
        is_complete = pose.alignment is not None and pose.alignment.is_complete
        self._found[frame.capture_ns] = self._found_at(pose.fits_at) if is_complete else None
        if len(self._found) > RECENT_VIEWS:
            del self._found[next(iter(self._found))]
        self._constrain(tracked.keyframes)
        self._note(frame, tracked, pose, last_world)

    def _moved_on(self, tracked: TrackedFrame) -> Mat4 | None:
        """Where the last frame is, moved on by the tracker; None: that path has ended."""
        last = self._last
        if last is None or last.keyframe_ns is None or last.unaligned_frames > _UNALIGNED_FRAMES:
            return None
        tracker_from_keyframe = tracked.keyframes.get(last.keyframe_ns)
        if tracker_from_keyframe is None:
            return None
        assert tracked.tracker_from_camera is not None
        tracker_from_last = tracker_from_keyframe @ last.keyframe_from_camera
        return self._world_of(last.capture_ns) @ (
            inverse(tracker_from_last) @ tracked.tracker_from_camera
        )

    def _carried(self, frame: Frame) -> SurfacePose | None:
        """Where a frame that the tracker has lost fits the surface, all of its pose."""
        last, start = self._last, self._predicted(frame)
        if last is None or start is None or not self._surface_is_settled():
            return None
        if frame.capture_ns - last.tracked_ns > _DROPOUT_NS:
            return None
        graph_from_surface = self._graph_from_surface()
        alignment = self._aligner.align(frame, inverse(graph_from_surface) @ start, _WIDER)
        if alignment is None or not alignment.is_complete:
            return None
        if alignment.known_share < _KNOWN_SHARE:
            return None
        found = graph_from_surface @ alignment.world_from_camera
        return SurfacePose(found, alignment, is_carried=True)

    def _predicted(self, frame: Frame) -> Mat4 | None:
        """Where a frame is if the motion up to the last one goes on; None: that was not aligned."""
        last = self._last
        if last is None or last.unaligned_frames > 0:
            return None
        spans = (frame.capture_ns - last.capture_ns) / last.span_ns if last.span_ns else 0.0
        return self._world_of(last.capture_ns) @ _times(last.before_from_camera, spans)

    def _surface_is_settled(self) -> bool:
        """Whether what is around is where the graph says it is, and not yet to be moved there."""
        if self._anchor_ns is None:
            return True
        placed = self._views.placed(self._anchor_ns)
        return placed is None or self._agree(placed, self._world_of(self._anchor_ns))

    def _graph_from_surface(self) -> Mat4:
        """How far the surface around, where its view is in, is behind where the graph has it."""
        if self._anchor_ns is None:
            return np.eye(4)
        return self._world_of(self._anchor_ns) @ inverse(self._surface_from(self._anchor_ns))

    def _found_at(self, surface_from_camera: Mat4) -> _Found:
        """Say where a frame is by the view of its anchor, which may be moved."""
        surface_from_anchor = self._surface_from(self._anchor_ns)
        return _Found(self._anchor_ns, inverse(surface_from_anchor) @ surface_from_camera)

    def _surface_from(self, anchor_ns: int | None) -> Mat4:
        """Where the view of a keyframe is in; where the graph has it, if it is not."""
        if anchor_ns is None:
            return np.eye(4)
        placed = self._views.placed(anchor_ns)
        return self._world_of(anchor_ns) if placed is None else placed

    def _agree(self, world_from_a: Mat4, world_from_b: Mat4) -> bool:
        """Whether what two cameras look at is at the same place, to about a voxel."""
        offset_m = (world_from_a - world_from_b) @ _LOOKED_AT
        return float(np.linalg.norm(offset_m)) < self._settled_m

    def _search_anchor(self, capture_ns: int, pose: SurfacePose) -> None:
        """Find the oldest keyframe that saw most of what a frame shows, now and then.

        One that the graph is yet to move to where it was found itself would take the frame along.
        """
        self._frames_to_search -= 1
        if self._frames_to_search > 0 and self._anchor_ns is not None:
            return
        self._frames_to_search = _SEARCH_FRAMES
        keyframes = self._graph.keyframes()
        overlaps = self._anchors.overlaps(capture_ns, pose.world_from_camera, keyframes)
        settled = {
            ns: share
            for ns, share in overlaps.items()
            if self._agree(keyframes[ns].world_from_keyframe, self._world_of(ns))
        }
        if settled:
            self._anchor_ns = _oldest(settled)

    def _constrain(self, keyframes: Mapping[int, Mat4]) -> None:
        """Tie keyframes that are new to those that saw the surface they were found on."""
        if keyframes is self._known:
            return
        new = sorted(ns for ns in keyframes.keys() - self._known.keys() if ns in self._found)
        self._known = keyframes
        self._anchors.keep(new)
        for capture_ns in new:
            found = self._found[capture_ns]
            if found is not None:
                self._graph.constrain(self._constraints(capture_ns, found))

    def _constraints(self, keyframe_ns: int, found: _Found) -> Iterable[Constraint]:
        """What a keyframe's own frame was found to be to the keyframes that saw the same.

        It was found on their surface, which lies where their views are in: the graph may be about
        to move one and not the other, or may have moved them since.
        """
        surface_from_keyframe = self._surface_from(found.anchor_ns) @ found.anchor_from_camera
        world_from_camera = self._world_of(keyframe_ns)
        keyframes = self._graph.keyframes().items()
        earlier = {ns: pose for ns, pose in keyframes if ns < keyframe_ns}
        overlaps = self._anchors.overlaps(keyframe_ns, world_from_camera, earlier)
        nearest_ns = max(overlaps, key=overlaps.__getitem__, default=None)
        for anchor_ns in {_oldest(overlaps), nearest_ns} - {None}:
            assert anchor_ns is not None
            anchor_from_keyframe = inverse(self._surface_from(anchor_ns)) @ surface_from_keyframe
            yield Constraint(
                "alignment", anchor_ns, keyframe_ns, anchor_from_keyframe, _SIGMA_M, _SIGMA_RAD
            )

    def _note(
        self, frame: Frame, tracked: TrackedFrame, pose: SurfacePose, last_world: Mat4 | None
    ) -> None:
        """Remember what the next frame is expected by."""
        last, keyframe_ns, keyframe_from_camera = self._last, None, np.eye(4)
        if tracked.tracker_from_camera is not None and tracked.keyframes:
            keyframe_ns = max(tracked.keyframes)
            keyframe_from_camera = (
                inverse(tracked.keyframes[keyframe_ns]) @ tracked.tracker_from_camera
            )
        is_aligned = pose.alignment is not None
        unaligned = 1 + (last.unaligned_frames if last else _UNALIGNED_FRAMES)
        motion, span_ns = np.eye(4), 0
        if last is not None and last_world is not None:
            motion = inverse(last_world) @ pose.world_from_camera
            span_ns = frame.capture_ns - last.capture_ns
        tracked_ns = frame.capture_ns
        if pose.is_carried and last is not None:
            tracked_ns = last.tracked_ns
        self._last = _Last(
            frame.capture_ns,
            0 if is_aligned else unaligned,
            tracked_ns,
            keyframe_ns,
            keyframe_from_camera,
            motion,
            span_ns,
        )

    def _world_of(self, capture_ns: int) -> Mat4:
        return self._graph.world_from_camera(capture_ns)


def _oldest(overlaps: Mapping[int, float]) -> int | None:
    """The oldest keyframe that saw enough; if none did, the one that saw most."""
    for capture_ns, share in overlaps.items():
        if share >= _OVERLAP:
            return capture_ns
    return max(overlaps, key=overlaps.__getitem__, default=None)


def _times(target_from_source: Mat4, factor: float) -> Mat4:
    """A motion, `factor` times as far."""
    rotation = Rotation.from_matrix(target_from_source[:3, :3]).as_rotvec() * factor
    return rigid(Rotation.from_rotvec(rotation).as_matrix(), factor * target_from_source[:3, 3])
