"""A new tracker in a map that is there already: it is shown frames whose poses are known."""

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType

import numpy as np

from slam.frame import Frame
from slam.geometry import Mat4, rigid
from slam.imu import ImuSamples
from slam.tracker import NO_POINTS, TrackedFrame, Tracker, TrackingState

logger = logging.getLogger(__name__)

POSES_NEEDED = 3
POSES_AVERAGED = 30
"""The latest ones: the first frames after them are to join without a jump."""
_LEAST_SPREAD = 1e-3
"""Camera centres of a monocular tracker that lie closer together tell no scale."""


@dataclass(frozen=True, slots=True)
class Lesson:
    """A frame of the past, and where it was."""

    frame: Frame
    world_from_camera: Mat4 | None = None
    """None: nobody knows."""


@dataclass(frozen=True, slots=True)
class Anchor:
    """Where a tracker's map lies in the world: x_world = scale · R · x + t."""

    world_from_tracker: Mat4
    """R and t."""
    scale: float

    def pose(self, tracker_from_camera: Mat4) -> Mat4:
        """world_from_camera."""
        scaled = tracker_from_camera.copy()
        scaled[:3, 3] *= self.scale
        return self.world_from_tracker @ scaled


class AnchoredTracker:
    """Tracks in the coordinates of a world that others made. Implements `Tracker`.

    It never changes its map: where the tracker inside discards its own, as ORB-SLAM3 does with a
    young one, another tracker is taught in its place, and finds its way once it sees what the
    lessons showed.
    """

    def __init__(self, open_tracker: Callable[[], Tracker], is_metric: bool = True) -> None:
        """Without lessons it has no poses. `is_metric`: the trackers know lengths.

        Raises what `open_tracker` raises.
        """
        self._open_tracker = open_tracker
        self._is_metric = is_metric
        self._tracker = open_tracker()
        self._lessons: Sequence[Lesson] = ()
        self._imu: Sequence[ImuSamples] = ()
        self._map_number = 0
        self._anchor: Anchor | None = None
        self._own_keyframes: Mapping[int, Mat4] = {}
        self._keyframes: Mapping[int, Mat4] = MappingProxyType({})

    @property
    def world_from_tracker(self) -> Mat4:
        """Its coordinates are the world's."""
        return np.eye(4)

    def teach(self, lessons: Sequence[Lesson], imu: Sequence[ImuSamples] = ()) -> bool:
        """Show frames, earliest first; False if it has not found itself in them.

        `imu`: the samples since shortly before the first of them.
        """
        self._lessons, self._imu = lessons, imu
        found: list[tuple[Mat4, Mat4]] = []
        for samples in imu:
            self._tracker.add_imu(samples)
        for lesson in lessons:
            tracked = self._tracker.track(lesson.frame)
            if tracked.map_number != self._map_number:
                self._map_number = tracked.map_number
                found.clear()
            if tracked.tracker_from_camera is not None and lesson.world_from_camera is not None:
                found.append((lesson.world_from_camera, tracked.tracker_from_camera))
        self._anchor = anchor_of(found[-POSES_AVERAGED:], self._is_metric)
        logger.info("taught %d frames: %d with poses", len(lessons), len(found))
        return self._anchor is not None

    def add_imu(self, samples: ImuSamples) -> None:
        """Take samples up to the next frame."""
        self._tracker.add_imu(samples)

    def track(self, frame: Frame) -> TrackedFrame:
        """Track one frame. Without an anchor its state is RESET. Raises as the tracker inside."""
        tracked = self._tracker.track(frame)
        if tracked.map_number != self._map_number:
            self._tracker.close()
            self._tracker, self._map_number = self._open_tracker(), 0
            self.teach(self._lessons, self._imu)
            tracked = self._tracker.track(frame)
            if tracked.map_number != self._map_number:  # it is not where the lessons were
                return TrackedFrame(TrackingState.RESET, inliers=tracked.inliers)
        return self._anchored(tracked)

    def close(self) -> None:
        """Release the tracker inside."""
        self._tracker.close()

    def _anchored(self, tracked: TrackedFrame) -> TrackedFrame:
        anchor = self._anchor
        if anchor is None:
            return TrackedFrame(TrackingState.RESET, inliers=tracked.inliers)
        if tracked.keyframes is not self._own_keyframes:
            self._own_keyframes = tracked.keyframes
            poses = {key: anchor.pose(pose) for key, pose in tracked.keyframes.items()}
            self._keyframes = MappingProxyType(poses)
        pose = tracked.tracker_from_camera
        points = tracked.points_tracker
        if len(points):
            scaled = anchor.scale * points @ anchor.world_from_tracker[:3, :3].T
            points = (scaled + anchor.world_from_tracker[:3, 3]).astype(np.float32)
            points.flags.writeable = False
        return replace(
            tracked,
            tracker_from_camera=None if pose is None else anchor.pose(pose),
            keyframes=self._keyframes,
            points_tracker=points if len(points) else NO_POINTS,
            map_number=0,
        )


def anchor_of(pairs: Sequence[tuple[Mat4, Mat4]], is_metric: bool) -> Anchor | None:
    """The anchor that takes trackers' poses to the world's: (world, tracker) of each frame.

    The rotation is the chordal mean (Hartley et al. 2013), so that it holds for a camera at rest;
    the scale that of Umeyama 1991. None if there are too few.
    """
    if len(pairs) < POSES_NEEDED:
        return None
    world, tracker = (np.array(poses) for poses in zip(*pairs, strict=True))
    u, _, vt = np.linalg.svd((world[:, :3, :3] @ tracker[:, :3, :3].transpose(0, 2, 1)).sum(axis=0))
    u[:, 2] *= np.linalg.det(u @ vt)
    rotation = u @ vt
    turned = tracker[:, :3, 3] @ rotation.T
    centred, there = turned - turned.mean(axis=0), world[:, :3, 3] - world[:, :3, 3].mean(axis=0)
    scale = 1.0
    if not is_metric:
        if np.linalg.norm(centred, axis=1).max() < _LEAST_SPREAD:
            return None
        scale = float((centred * there).sum() / (centred**2).sum())
        if scale <= 0:
            return None
    offset = world[:, :3, 3].mean(axis=0) - scale * turned.mean(axis=0)
    return Anchor(rigid(rotation, offset), scale)
