"""Which frames to estimate depth for, and against which earlier ones to measure it."""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from fusion.depth.source import DepthContext, View
from mapcast_client.errors import InputError
from slam.camera import Camera
from slam.geometry import Mat4, inverse

Poses = Callable[[int], Mat4]
"""capture_ns of a frame → its world_from_camera as it stands now."""


@dataclass(frozen=True, slots=True)
class ViewSettings:
    """What makes a view worth keeping, measuring against, and estimating depth for.

    A baseline is the distance between two views over the depth of the scene.
    """

    capacity: int = 64
    spacing: float = 0.01
    """Baseline, or three times as many radians of turn, from the last view kept to the next."""
    targets: tuple[float, ...] = (0.1, 0.06, 0.15, 0.2)
    """Baselines of the views to measure against: short ones cannot be ambiguous, long ones are
    precise."""
    baseline_min: float = 0.03
    baseline_max: float = 0.3
    parallax_min_rad: float = 0.01
    """Between the rays to what both see. A move straight ahead has little."""
    overlap_min: float = 0.4
    """Share of the frame that another view must see."""
    turn_max_rad: float = 0.6
    views_min: int = 2
    """Views without which no depth is estimated."""
    next_baseline: float = 0.04
    """Baseline to the last frame with depth from which on another one is wanted..."""
    next_overlap: float = 0.85
    """...or the share of the frame that the last one saw, below which it is."""

    def __post_init__(self) -> None:
        if not 1 <= self.views_min <= len(self.targets) <= self.capacity:
            raise InputError(
                f"views_min is {self.views_min}, there are {len(self.targets)} targets and "
                f"capacity is {self.capacity}: must be 1 ≤ views_min ≤ targets ≤ capacity"
            )
        if not 0 < self.baseline_min < self.baseline_max:
            raise InputError(
                f"baseline_min is {self.baseline_min} and baseline_max {self.baseline_max}, "
                "must be 0 < min < max"
            )


@dataclass(frozen=True, slots=True)
class _Relation:
    """How another view relates to one."""

    baseline: float
    parallax_rad: float
    turn_rad: float
    overlap: float
    """Share of what the one sees that is in the other's image."""


class RecentViews:
    """The latest tracked views of one map, a bounded number of them.

    A frame's depth is measured against earlier views only: it comes without waiting for what the
    camera does next. Their poses are asked for when they are needed, because bundle adjustment
    moves them. One thread calls it.
    """

    _GRID = (8, 6)
    _REFERENCES = 4
    _TYPICAL_DEPTH = 2.0
    """Until map points tell. Only poses that are given, in metres, come without points."""

    def __init__(self, camera: Camera, settings: ViewSettings | None = None) -> None:
        """Keep views of the pinhole `camera`."""
        self._camera = camera
        self._settings = settings or ViewSettings()
        self._rays_camera = _grid_rays(camera, *self._GRID)
        self._views: deque[View] = deque(maxlen=self._settings.capacity)
        self._references: deque[View] = deque(maxlen=self._REFERENCES)
        self._depth = self._TYPICAL_DEPTH

    def add(self, view: View) -> None:
        """Take in a tracked view, later than all before; it is kept if it moved since the last."""
        if self._views:
            last = self._relation(view.world_from_camera, self._views[-1].world_from_camera)
            if max(last.baseline, last.turn_rad / 3) < self._settings.spacing:
                return
        self._views.append(view)

    def context(
        self, view: View, points_world: NDArray[np.float32], poses: Poses, map_number: int = 0
    ) -> DepthContext | None:
        """What is needed to estimate a view's depth, or None if that is not worth it.

        It is when the view shows something new, or the old from elsewhere, and there are earlier
        views to measure against. `points_world` (N, 3) are the map points that it sees.
        """
        self._learn_depth(view.world_from_camera, points_world)
        if not self._is_new(view, poses):
            return None
        views = self._best(view, poses)
        if len(views) < self._settings.views_min:
            return None
        references = tuple(_moved(earlier, poses) for earlier in reversed(self._references))
        self._references.append(view)
        return DepthContext(view.world_from_camera, points_world, views, map_number, references)

    def _is_new(self, view: View, poses: Poses) -> bool:
        if not self._references:
            return True
        last = self._relation(view.world_from_camera, poses(self._references[-1].capture_ns))
        settings = self._settings
        return last.baseline >= settings.next_baseline or last.overlap < settings.next_overlap

    def _best(self, view: View, poses: Poses) -> tuple[View, ...]:
        """For each baseline aimed at the view that comes nearest to it, each view once."""
        candidates: dict[float, View] = {}
        for earlier in self._views:
            if earlier.capture_ns < view.capture_ns:
                moved = _moved(earlier, poses)
                relation = self._relation(view.world_from_camera, moved.world_from_camera)
                if self._is_usable(relation):
                    candidates[relation.baseline] = moved
        best = []
        for target in self._settings.targets:
            if candidates:
                nearest = min(candidates, key=lambda baseline: abs(np.log(baseline / target)))
                best.append(candidates.pop(nearest))
        return tuple(best)

    def _is_usable(self, relation: _Relation) -> bool:
        settings = self._settings
        return (
            settings.baseline_min <= relation.baseline <= settings.baseline_max
            and relation.parallax_rad >= settings.parallax_min_rad
            and relation.turn_rad <= settings.turn_max_rad
            and relation.overlap >= settings.overlap_min
        )

    def _learn_depth(self, world_from_camera: Mat4, points_world: NDArray[np.float32]) -> None:
        camera_from_world = inverse(world_from_camera)
        depths = points_world @ camera_from_world[2, :3] + camera_from_world[2, 3]
        depths = depths[depths > 0]
        if len(depths):
            self._depth = float(np.median(depths))

    def _relation(self, world_from_here: Mat4, world_from_there: Mat4) -> _Relation:
        """Judged by points spread over what is seen from here, at the depth of the scene."""
        there_from_here = inverse(world_from_there) @ world_from_here
        rotation, offset = there_from_here[:3, :3], there_from_here[:3, 3]
        rays = self._rays_camera * self._depth @ rotation.T
        points = rays + offset
        cosine = (rays * points).sum(1) / np.maximum(
            np.linalg.norm(rays, axis=1) * np.linalg.norm(points, axis=1), 1e-12
        )
        image = points @ self._camera.matrix.T
        size = (self._camera.width_px, self._camera.height_px)
        seen = (image[:, 2] > 0) & (image[:, :2] >= 0).all(1)
        seen &= (image[:, :2] < image[:, 2:] * size).all(1)
        return _Relation(
            float(np.linalg.norm(offset)) / self._depth,
            float(np.median(np.arccos(np.clip(cosine, -1, 1)))),
            float(np.arccos(np.clip((np.trace(rotation) - 1) / 2, -1, 1))),
            float(seen.mean()),
        )


def _moved(view: View, poses: Poses) -> View:
    return replace(view, world_from_camera=poses(view.capture_ns))


def _grid_rays(camera: Camera, columns: int, rows: int) -> NDArray[np.float64]:
    """(columns · rows, 3) rays of unit depth through a grid over the image."""
    u = (np.arange(columns) + 0.5) / columns * camera.width_px - 0.5
    v = (np.arange(rows) + 0.5) / rows * camera.height_px - 0.5
    x, y = np.meshgrid((u - camera.cx_px) / camera.fx_px, (v - camera.cy_px) / camera.fy_px)
    return np.stack([x.ravel(), y.ravel(), np.ones(columns * rows)], axis=1)
