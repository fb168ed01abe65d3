"""Depth of a moving camera's frame from what its earlier views saw: plane-sweep stereo.

Census matching along 64 planes (Collins 1996), semi-global aggregation (Hirschmüller 2008), and a
check against the depth of earlier frames. It needs no weights, and its unit is that of the poses.
"""

import math
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from fusion.depth.source import CONFIDENCE_MAX, DepthContext, EstimatedDepth, View, depth_camera
from fusion.depth.warps import depths_seen, image_from_pixels, sweep_warps
from gpu.kernels.census import census, fine_census
from gpu.kernels.depth_check import compare_depths
from gpu.kernels.plane_sweep import MAX_VIEWS, count_views, sweep_planes
from gpu.kernels.semi_global import aggregate_paths, choose_planes
from mapcast_client.errors import FrameError, InputError
from slam.camera import Camera
from slam.frame import Frame
from slam.geometry import Mat4, inverse

_Image = NDArray[np.float32]

_PLANE_ERROR = 0.25
"""Precision of a match, in planes."""
_COST_FLOOR = 40
"""Path costs of a good match, about: below, the best plane's own cost says nothing."""
_SMALLEST = 1e-6


@dataclass(frozen=True, slots=True)
class StereoSettings:
    """How motion stereo searches and what it believes."""

    planes: int = 64
    small_penalty: int = 6
    """Cost of a surface that slopes by one plane per pixel; the sum of two Hamming distances."""
    large_penalty: int = 80
    """Cost of a jump in depth, lower where the picture has an edge."""
    edge_levels: int = 8
    """Gray levels of a step in the picture from which on a jump gets cheaper."""
    uniqueness: tuple[float, ...] = (0.08, 0.25, 0.6, 1.2)
    """Margin of the best plane over the next, relative to its own cost, that is worth 1, 2, …
    observations."""
    tolerance: float = 0.03
    """Relative difference up to which two frames' depths agree."""
    speckle_px: int = 120
    """Smaller islands of depth are dropped."""
    error_max: float = math.inf
    """Depths that are less precise, in the unit of the poses, are dropped: a volume that truncates
    nearer would show each frame's own."""

    def __post_init__(self) -> None:
        if not 8 <= self.planes <= 256:
            raise InputError(f"planes is {self.planes}, must be 8 to 256")
        if not 0 < self.small_penalty <= self.large_penalty <= 1000:
            raise InputError(
                f"small_penalty is {self.small_penalty} and large_penalty {self.large_penalty}, "
                "must be 0 < small ≤ large ≤ 1000"
            )
        if not 0 < self.tolerance < 0.3:
            raise InputError(f"tolerance is {self.tolerance}, must be in (0, 0.3)")


@dataclass(frozen=True, slots=True)
class _Measured:
    """The depth of a frame before earlier ones are asked, which later ones are checked against."""

    capture_ns: int
    depth: _Image
    """(H, W), 0 = none."""


class MotionStereo:
    """Measures depth against earlier views. Implements `DepthSource`.

    Left-right consistency is asked of what there is already: the depth of the frames before, each
    measured from its own viewpoint against views of its own. A second sweep from a source view
    would double the time and share this one's views, and so its mistakes. Surfaces with too
    little texture are told by the best plane's margin over others: where nothing around carries
    them, they have none.
    """

    _KEPT = 4
    _LEAST_RANGE_POINTS = 30

    def __init__(self, camera: Camera, settings: StereoSettings | None = None) -> None:
        """Make a source for frames of a session's pinhole `camera`, scaled to `depth_camera`.

        Raises InputError if the camera has distortion.
        """
        if any(camera.distortion):
            raise InputError(f"camera distortion is {camera.distortion}: stereo needs a pinhole")
        self._camera = depth_camera(camera)
        self._settings = settings or StereoSettings()
        self._penalties = _penalties(self._settings)
        self._measured: deque[_Measured] = deque(maxlen=self._KEPT)
        self._map_number = 0
        shape = (self._camera.height_px, self._camera.width_px)
        self._costs = np.empty((*shape, self._settings.planes), np.uint8)
        self._totals = np.empty((*shape, self._settings.planes), np.uint16)

    @property
    def camera(self) -> Camera:
        """The pinhole camera of the depth images."""
        return self._camera

    def depth(self, frame: Frame, context: DepthContext) -> EstimatedDepth | None:
        """Measure a frame's depth against the context's views; None if there are none.

        In the unit of the poses. Raises FrameError if the frame has another size than `camera`.
        """
        if not context.views:
            return None
        self._require_size(frame)
        if context.map_number != self._map_number:
            self._measured.clear()
            self._map_number = context.map_number
        gray = cv2.cvtColor(frame.color, cv2.COLOR_RGB2GRAY).astype(np.uint8, copy=False)
        near, far = self._range(context)
        depth, worth = self._sweep(gray, context, near, far)
        confidence = _confidence(worth, *self._compared(depth, context))
        confidence[depth == 0] = 0
        self._measured.append(_Measured(frame.capture_ns, depth))
        depth = np.where(confidence > 0, depth, np.float32(0))
        depth.flags.writeable = confidence.flags.writeable = False
        return EstimatedDepth(depth, confidence)

    def _require_size(self, frame: Frame) -> None:
        shape = (self._camera.height_px, self._camera.width_px, 3)
        if frame.color.shape != shape:
            raise FrameError(
                f"frame {frame.index}: color is {frame.color.shape}, motion stereo needs {shape}"
            )

    def _sweep(
        self, gray: NDArray[np.uint8], context: DepthContext, near: float, far: float
    ) -> tuple[_Image, NDArray[np.uint8]]:
        """The best plane's depth of each pixel, 0 = none, and how many observations it is worth."""
        views = context.views[:MAX_VIEWS]
        words = np.stack([fine_census(view.gray) for view in views])
        rotations, epipoles = sweep_warps(self._camera, context.world_from_camera, views)
        inverse_depths = np.linspace(1 / far, 1 / near, self._settings.planes, dtype=np.float32)
        sweep_planes(census(gray), words, rotations, epipoles, inverse_depths, self._costs)

        self._totals[:] = 0
        for step in (1, -1):
            small = self._settings.small_penalty
            aggregate_paths(self._costs, gray, small, self._penalties, step, self._totals)
        plane = np.empty(gray.shape, np.float32)
        margin, least = np.empty((2, *gray.shape), np.uint16)
        choose_planes(self._totals, plane, margin, least)

        step_inverse = (1 / near - 1 / far) / (self._settings.planes - 1)
        depth = (1 / (1 / far + _smooth(plane) * step_inverse)).astype(np.float32)
        seeing = np.empty(gray.shape, np.uint8)
        count_views(depth, rotations, epipoles, *words.shape[1:], seeing)
        # A best plane at either end is what remains for surfaces out of the range.
        is_inner = (plane > 0.5) & (plane < self._settings.planes - 1.5)
        is_coarse = depth * depth * (step_inverse * _PLANE_ERROR) > self._settings.error_max
        depth[(seeing < min(2, len(views))) | ~is_inner | is_coarse | self._is_speckle(plane)] = 0
        uniqueness = margin / (least + np.float32(_COST_FLOOR))
        worth = np.searchsorted(self._settings.uniqueness, uniqueness, side="right")
        return depth, worth.astype(np.uint8)

    def _compared(
        self, depth: _Image, context: DepthContext
    ) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
        """How many of the earlier frames' depths agree with each pixel, and contradict it."""
        others, poses = self._earlier(context.references)
        agreeing, contradicting = np.zeros((2, *depth.shape), np.uint8)
        if others:
            matrices = [
                image_from_pixels(self._camera, inverse(pose) @ context.world_from_camera)
                for pose in poses
            ]
            compare_depths(
                depth,
                np.stack(matrices),
                np.stack([other.depth for other in others]),
                self._settings.tolerance,
                agreeing,
                contradicting,
            )
        return agreeing, contradicting

    def _earlier(self, references: Sequence[View]) -> tuple[list[_Measured], list[Mat4]]:
        """The depths of earlier frames whose poses are known now, and these."""
        poses = {view.capture_ns: view.world_from_camera for view in references}
        known = [measured for measured in self._measured if measured.capture_ns in poses]
        return known, [poses[measured.capture_ns] for measured in known]

    def _range(self, context: DepthContext) -> tuple[float, float]:
        """Nearest and farthest depth to search: beyond what map points and earlier depth say.

        Where these are too few, by the longest baseline.
        """
        camera_from_world = inverse(context.world_from_camera)
        known = [context.points_world @ camera_from_world[2, :3] + camera_from_world[2, 3]]
        for measured, world_from_camera in zip(*self._earlier(context.references), strict=True):
            camera_from_other = camera_from_world @ world_from_camera
            known.append(depths_seen(self._camera, camera_from_other, measured.depth))
        known = [depths[depths > 0] for depths in known]
        ranges = [np.percentile(z, (2, 98)) for z in known if len(z) >= self._LEAST_RANGE_POINTS]
        if ranges:
            near, far = min(near for near, _ in ranges), max(far for _, far in ranges)
            return 0.7 * float(near), 1.5 * float(far)
        centres_camera = [camera_from_world @ v.world_from_camera[:, 3] for v in context.views]
        baseline = max(float(np.linalg.norm(centre[:3])) for centre in centres_camera)
        return 2 * max(baseline, _SMALLEST), 60 * max(baseline, _SMALLEST)

    def _is_speckle(self, plane: _Image) -> NDArray[np.bool_]:
        """(H, W) whether a pixel belongs to an island of depth too small to be believed."""
        steps = np.rint(plane * 16).astype(np.int16) + 16
        cv2.filterSpeckles(steps, 0, self._settings.speckle_px, 16)
        return np.asarray(steps == 0)


def _smooth(plane: _Image) -> _Image:
    """Planes without the grain of matching pixel by pixel, but with their edges."""
    smooth = cv2.bilateralFilter(cv2.medianBlur(plane, 3), 7, 1.5, 3)
    return smooth.astype(np.float32, copy=False)


def _confidence(
    worth: NDArray[np.uint8], agreeing: NDArray[np.uint8], contradicting: NDArray[np.uint8]
) -> NDArray[np.uint8]:
    """What a match is worth by itself, and by what earlier frames' depth says to it."""
    support = 2 * (agreeing.astype(np.int32) - contradicting)
    confidence = worth + support - 1 - (worth == 0)
    confidence[support < 0] = 0
    return np.asarray(np.clip(confidence, 0, CONFIDENCE_MAX), np.uint8)


def _penalties(settings: StereoSettings) -> NDArray[np.uint16]:
    """(256,) the cost of a jump in depth by the step in gray levels that goes with it."""
    steps = np.maximum(np.arange(256) / settings.edge_levels, 1)
    penalties = np.maximum(settings.large_penalty / steps, settings.small_penalty)
    return penalties.astype(np.uint16)
