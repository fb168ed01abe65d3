"""Moving views in the volume to where the pose graph says that they are."""

import math
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from fusion.frame_prefetch import AHEAD, FramePrefetch
from fusion.frame_store import FrameStore
from fusion.mesh import Mesher
from fusion.placed_views import FusedViews, PlacedViews
from fusion.volume import Volume
from slam.frame import Frame
from slam.geometry import Mat4

THRESHOLD_VOX = 0.5
LOOK_SHARE = 0.05
"""Of the time, at most, goes into looking what has moved."""
LOOK_PERIOD_S = 0.1
"""Looks are at least so far apart while there is work from the last one."""
NEARLY = 7 / 8
"""Full enough a pool for its empty blocks to be given back before each view."""


class Poses(Protocol):
    """Where views are: the pose graph."""

    @property
    def revision(self) -> int:
        """Another number whenever any pose changed."""

    def world_from_cameras(
        self, capture_ns: NDArray[np.int64]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """(N, 4, 4) where views are now, and (N,) what their depths are multiplied by."""


class Reintegrator:
    """The views of a volume: puts them in, and moves them when their poses are corrected.

    When nothing is pending, the volume equals one fused from scratch at `views()`, bit for bit, as
    long as no voxel was saturated and no block refused. One thread calls it, the volume's.
    """

    def __init__(
        self,
        volume: Volume,
        mesher: Mesher,
        poses: Poses,
        frames: FrameStore | None,
        threshold_vox: float = THRESHOLD_VOX,
        views: FusedViews | None = None,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        """Follow `poses` with the views of a volume, which holds `views` already (none).

        A view moves when a corner of its frustum is off by more than `threshold_vox`; 0: whenever
        its pose changed at all. Views come from `frames`; without, they all stay.
        """
        self._volume, self._mesher, self._poses = volume, mesher, poses
        self._frames = frames
        self._threshold_m = threshold_vox * volume.settings.voxel_size_m
        self._corners_camera = volume.camera.frustum_corners(volume.settings.depth_max_m)
        self._views = PlacedViews(FusedViews.none() if views is None else views)
        self._prefetch = None if frames is None else FramePrefetch(frames)
        self._queue: list[int] = []
        self._queued_m = np.empty(0)
        """How far each view of the queue was off; those that left it are still here."""
        self._seen_revision: int | None = None
        self._look_at_s = 0.0
        self._clock = clock
        self.moved_count = 0
        """Moves of views so far."""

    @property
    def pending_count(self) -> int:
        """Views that are known to be elsewhere than their poses say, and wait to be moved."""
        return len(self._queue)

    @property
    def frozen_count(self) -> int:
        """Views that should have moved and could not: they are not stored any more."""
        return self._views.frozen_count

    def placed(self, capture_ns: int) -> Mat4 | None:
        """The pose at which the view of an instant is in; None if it is not."""
        return self._views.placed(capture_ns)

    def views(self) -> FusedViews:
        """The views in the volume, and where they are in it."""
        return self._views.all()

    def add(self, view: Frame, world_from_camera: Mat4, scale: float = 1.0) -> None:
        """Fuse a view with its depths times `scale`, and keep it. Raises as Volume.integrate."""
        self._make_room()
        self._mesher.mark(self._volume.integrate(_scaled(view, scale), world_from_camera))
        self._views.add(view.capture_ns, world_from_camera, scale)
        if self._frames is not None:
            self._frames.put(view)

    def tick(self, budget_s: float, least_vox: float = 0.0) -> bool:
        """Move views for `budget_s`, those that are farthest off first; whether any moved.

        Views that were off by less than `least_vox` when they were looked at wait.
        """
        if self._prefetch is None:
            return False
        start_s = self._clock()
        if self._poses.revision != self._seen_revision and start_s >= self._look_at_s:
            self._look()
            took_s = self._clock() - start_s
            self._look_at_s = start_s + max(took_s / LOOK_SHARE, LOOK_PERIOD_S)
        moved_before = self.moved_count
        least_m = least_vox * self._volume.settings.voxel_size_m
        while self._queue and (left_s := start_s + budget_s - self._clock()) > 0:
            if self._queued_m[len(self._queue) - 1] < least_m:
                break
            try:
                self._move_next(self._prefetch, left_s)
            except TimeoutError:
                break
        return self.moved_count > moved_before

    def settle(self, budget_s: float = math.inf) -> bool:
        """Move all views that are off, for about `budget_s`; whether none is left."""
        if self._prefetch is None:
            return True
        end_s = self._clock() + budget_s
        self._look()
        while self._queue and self._clock() < end_s:
            self._move_next(self._prefetch, None)
        return not self._queue

    def _look(self) -> None:
        """Find the views that are off."""
        self._seen_revision = self._poses.revision
        rows = self._views.movable()
        poses, scales = self._poses.world_from_cameras(self._views.capture_ns(rows))
        displacements_m = self._views.displacements_m(rows, poses, scales, self._corners_camera)
        off = displacements_m > self._threshold_m
        order = np.argsort(displacements_m[off], kind="stable")
        self._queue = rows[off][order].tolist()
        self._queued_m = displacements_m[off][order]

    def _move_next(self, prefetch: FramePrefetch, timeout_s: float | None) -> None:
        """Move the view that is farthest off. Raises TimeoutError if it does not come in time."""
        prefetch.expect(self._views.capture_ns(self._queue[: -1 - AHEAD : -1]).tolist())
        row = self._queue[-1]
        view = prefetch.take(int(self._views.capture_ns([row])[0]), timeout_s)
        self._queue.pop()
        if view is None or not self._move(row, view):
            self._views.freeze(row)

    def _move(self, row: int, view: Frame) -> bool:
        """Move a view to where it is now; False if that is outside the grid."""
        capture_ns, was_at, had_scale = self._views.at(row)
        poses, scales = self._poses.world_from_cameras(np.array([capture_ns]))
        goes_to, scale = poses[0], float(scales[0])
        if not self._volume.reaches(goes_to):
            return False
        was = _scaled(view, had_scale)
        becomes = was if scale == had_scale else _scaled(view, scale)
        if self._is_nearly_full:  # the blocks that become empty may be needed at once
            self._mesher.mark(self._volume.remove(was, was_at))
            self._make_room()
            self._mesher.mark(self._volume.integrate(becomes, goes_to))
        else:
            self._mesher.mark(self._volume.move(was, was_at, becomes, goes_to))
        self._views.place(row, goes_to, scale)
        self.moved_count += 1
        return True

    @property
    def _is_nearly_full(self) -> bool:
        return self._volume.block_count > self._volume.settings.max_blocks * NEARLY

    def _make_room(self) -> None:
        """Have the places of empty blocks back before a full pool refuses any block."""
        if self._is_nearly_full:
            self._mesher.release_empty()


def _scaled(view: Frame, scale: float) -> Frame:
    return view if scale == 1 else replace(view, depth_scale_m=view.depth_scale_m * scale)
