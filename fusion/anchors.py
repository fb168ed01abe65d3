"""Which keyframes saw the surface that a view shows."""

from collections import OrderedDict
from collections.abc import Iterable, Mapping

import numpy as np
from numpy.typing import NDArray

from fusion.frame_store import FrameStore
from slam.camera import Camera
from slam.frame import Frame
from slam.geometry import Mat4
from slam.pose_graph_changes import KeyframePose

_STRIDE_PX = 16
"""Pixels between the depths that are kept of a view: 1,200 of them at 640×480."""
_POINTS = 300
_SAME_SURFACE = 0.04
"""Two depths of a point that differ by a smaller share are of one surface."""
RECENT_VIEWS = 120
"""Views kept until they turn out to be keyframes: trackers decide a few frames later."""
_READ_AT_ONCE = 2
"""Stored views that are read in one search: each takes a few milliseconds."""
_NEAR_M, _FACING = 2.0, 0.5
"""Where a camera that sees the same may be, and the cosine of the angle it may be turned by."""


class Anchors:
    """Keyframes' views, coarsely: how much of what another view shows they have seen, too."""

    def __init__(self, camera: Camera, frames: FrameStore | None = None) -> None:
        """Take views of one camera; `frames` has those of keyframes from before, if any."""
        self._frames = frames
        offset = _STRIDE_PX // 2
        v, u = np.mgrid[
            offset : camera.height_px : _STRIDE_PX, offset : camera.width_px : _STRIDE_PX
        ]
        x, y = (u - camera.cx_px) / camera.fx_px, (v - camera.cy_px) / camera.fy_px
        self._rays = np.stack([x, y, np.ones_like(x)], axis=-1)
        self._camera = camera
        self._recent: OrderedDict[int, NDArray[np.float32]] = OrderedDict()
        self._keyframes: dict[int, NDArray[np.float32]] = {}

    def see(self, frame: Frame) -> None:
        """Take a view with depth, which may turn out to be a keyframe's."""
        self._recent[frame.capture_ns] = _coarse(frame)
        if len(self._recent) > RECENT_VIEWS:
            self._recent.popitem(last=False)

    def keep(self, keyframes_ns: Iterable[int]) -> None:
        """Keep those of the latest views that are keyframes'."""
        for capture_ns in keyframes_ns:
            if capture_ns in self._recent and capture_ns not in self._keyframes:
                self._keyframes[capture_ns] = self._recent[capture_ns]

    def overlaps(
        self,
        capture_ns: int,
        world_from_camera: Mat4,
        keyframes: Mapping[int, KeyframePose],
    ) -> dict[int, float]:
        """Which keyframes saw how large a share of one of the latest views; in their order.

        A keyframe saw a point if it has a depth like the point's where that is in its image. Those
        whose cameras are far or look elsewhere are left out.
        """
        points_world = self._points_world(capture_ns, world_from_camera)
        near_ns = [ns for ns in _near(world_from_camera, keyframes) if ns != capture_ns]
        self.keep(near_ns)
        self._read([ns for ns in near_ns if ns not in self._keyframes])
        return {
            ns: self._share(self._keyframes[ns], keyframes[ns].world_from_keyframe, points_world)
            for ns in near_ns
            if ns in self._keyframes and len(points_world)
        }

    def _read(self, missing_ns: list[int]) -> None:
        """Look at a few views of keyframes from before; one that is not stored saw nothing."""
        if self._frames is None:
            return
        for capture_ns in missing_ns[:_READ_AT_ONCE]:
            view = self._frames.get(capture_ns)
            nothing = np.zeros(self._rays.shape[:2], np.float32)
            self._keyframes[capture_ns] = nothing if view is None else _coarse(view)

    def _points_world(self, capture_ns: int, world_from_camera: Mat4) -> NDArray[np.float64]:
        """(N, 3) some of what a view shows."""
        depth_m = self._recent[capture_ns]
        points = (self._rays * depth_m[..., None])[depth_m > 0]
        points = points[:: -(-len(points) // _POINTS) or 1]
        return np.asarray(points @ world_from_camera[:3, :3].T + world_from_camera[:3, 3])

    def _share(
        self, depth_m: NDArray[np.float32], world_from_keyframe: Mat4, points: NDArray[np.float64]
    ) -> float:
        camera = self._camera
        x, y, z = ((points - world_from_keyframe[:3, 3]) @ world_from_keyframe[:3, :3]).T
        ahead = np.maximum(z, 1e-3)
        column = np.floor((x / ahead * camera.fx_px + camera.cx_px + 0.5) / _STRIDE_PX)
        row = np.floor((y / ahead * camera.fy_px + camera.cy_px + 0.5) / _STRIDE_PX)
        height, width = depth_m.shape
        inside = (z > 0) & (column >= 0) & (row >= 0) & (column < width) & (row < height)
        seen_m = depth_m[row[inside].astype(np.intp), column[inside].astype(np.intp)]
        same = np.abs(seen_m - z[inside]) < _SAME_SURFACE * z[inside]
        return float(np.count_nonzero(same) / len(points))


def _coarse(frame: Frame) -> NDArray[np.float32]:
    """(h, w) some of a view's depths, in metres."""
    assert frame.depth is not None
    offset = _STRIDE_PX // 2
    coarse = frame.depth[offset::_STRIDE_PX, offset::_STRIDE_PX]
    return np.asarray(coarse * np.float32(frame.depth_scale_m), np.float32)


def _near(world_from_camera: Mat4, keyframes: Mapping[int, KeyframePose]) -> list[int]:
    """The keyframes whose cameras are near and look the same way, in their order."""
    if not keyframes:
        return []
    world_from_keyframes = np.array([pose.world_from_keyframe for pose in keyframes.values()])
    offsets = world_from_keyframes[:, :3, 3] - world_from_camera[:3, 3]
    facing = world_from_keyframes[:, :3, 2] @ world_from_camera[:3, 2]
    near = (np.linalg.norm(offsets, axis=1) < _NEAR_M) & (facing > _FACING)
    return [ns for ns, is_near in zip(keyframes, near.tolist(), strict=True) if is_near]
