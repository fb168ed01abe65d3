"""What makes views of a volume from colour frames: depth for some of them, and a scale."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Protocol, runtime_checkable

import cv2
import numpy as np
from numpy.typing import NDArray

from fusion.depth.known import KnownDepth
from fusion.depth.source import DepthContext, DepthSource, View
from fusion.depth.views import RecentViews
from slam.camera import Camera
from slam.frame import Frame
from slam.pose_graph import PoseGraph
from slam.scale import ScaleEstimator, camera_points, declared_scale
from slam.tracker import TrackedFrame


@dataclass(frozen=True, slots=True)
class Scale:
    """What a map's unit is."""

    source: str
    """sensor, given, imu, network, declared or none."""
    metres_per_unit: float = 1.0
    """Of the tracker's coordinates; 1 where it is not known."""

    @property
    def is_known(self) -> bool:
        """Whether the map is in metres."""
        return self.source != "none"


@dataclass(frozen=True, slots=True)
class DepthRequest:
    """A frame whose depth is worth estimating, and what is known about it."""

    frame: Frame
    """Its picture has the size of the depth camera's."""
    context: DepthContext
    scale: float = 1.0
    """Its keyframe's scale, in which the context is."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """The answer to a request."""

    request: DepthRequest
    view: Frame | None
    """The frame with its depth and confidence; None: nothing could be said."""
    metric_guess: NDArray[np.float32] | None = None
    """(h, w) metres that a network guesses, unaligned."""


@runtime_checkable
class MetricNetwork(Protocol):
    """A network that guesses metres."""

    def metric_guess(self, frame: Frame) -> NDArray[np.float32] | None:
        """(h, w) metres, 0 = none; None if it does not give metres."""


class Monocular:
    """Chooses frames worth a depth image, estimates it, and learns the map's scale.

    `estimate` may run on a thread of its own.
    """

    def __init__(self, source: DepthSource, scene_depth_m: float = 0.0) -> None:
        """`scene_depth_m` declares the median depth of what the first frame sees; 0: unknown.

        Where it is neither declared nor measured, a metric network in `source` guesses the scale.
        """
        self._source = source
        self._scene_depth_m = scene_depth_m
        self.start_over(wants_scale=False)

    @property
    def camera(self) -> Camera:
        """The camera of the views that go into the volume."""
        return self._source.camera

    def start_over(self, wants_scale: bool) -> None:
        """Forget all frames: the map was replaced. `wants_scale`: its tracker gives none."""
        self._views = RecentViews(self.camera)
        self._estimator = ScaleEstimator()
        self._guesses = wants_scale and isinstance(self._source, MetricNetwork)
        self._unscaled: list[Frame] = []

    def see(self, frame: Frame, graph: PoseGraph) -> tuple[Frame, View]:
        """Take in a frame that is in the graph: its picture at the source's size, and its view."""
        size = (self.camera.width_px, self.camera.height_px)
        color = cv2.resize(frame.color, size, interpolation=cv2.INTER_AREA)
        gray = cv2.cvtColor(color, cv2.COLOR_RGB2GRAY).astype(np.uint8, copy=False)
        color.flags.writeable = gray.flags.writeable = False
        picture = replace(frame, color=color.astype(np.uint8, copy=False))
        view = View(frame.capture_ns, gray, graph.world_from_camera(frame.capture_ns))
        self._views.add(view)
        return picture, view

    def request(
        self,
        picture: Frame,
        view: View,
        points_world: NDArray[np.float32],
        graph: PoseGraph,
        map_number: int,
    ) -> DepthRequest | None:
        """A request for the depth of a frame just seen, if it is worth it."""
        context = self._views.context(view, points_world, graph.world_from_camera, map_number)
        if context is None:
            return None
        return DepthRequest(picture, context, graph.scale_of(view.capture_ns))

    def estimate(self, request: DepthRequest) -> Estimate:
        """Estimate what was requested."""
        estimated = self._source.depth(request.frame, request.context)
        view = guess = None
        if estimated is not None:
            view = replace(
                request.frame,
                depth=estimated.depth_m,
                confidence=estimated.confidence,
                depth_tensor=estimated.depth_tensor,
            )
        if self._guesses and isinstance(self._source, MetricNetwork):
            guess = self._source.metric_guess(request.frame)
        return Estimate(request, view, guess)

    def declared_scale(self, tracked: TrackedFrame) -> Scale | None:
        """The declared scale, once a frame sees map points; None: not declared, or not yet."""
        if not self._scene_depth_m or tracked.tracker_from_camera is None:
            return None
        points_camera = camera_points(tracked.points_tracker, tracked.tracker_from_camera)
        metres_per_unit = declared_scale(points_camera, self._scene_depth_m)
        if metres_per_unit is None:
            return None
        self._guesses = False
        return Scale("declared", metres_per_unit)

    def learn_scale(self, estimate: Estimate) -> Scale | None:
        """Take one more estimate; the scale, if that settles it."""
        if not self._guesses or estimate.metric_guess is None:
            return None
        points = KnownDepth.of_points(self.camera, estimate.request.context)
        if (
            self._estimator.add(points.depth_m, points.of(estimate.metric_guess))
            and estimate.view is not None
        ):
            self._unscaled.append(replace(estimate.view, depth_tensor=None))
        learnt = self._estimator.estimate
        if learnt is None or not learnt.is_settled:
            return None
        self._guesses = False
        return Scale("network", learnt.metres_per_unit)

    def rescaled(self, factor: float) -> Iterator[Frame]:
        """The views that told the scale, with their depth times `factor`."""
        for view in self._unscaled:
            assert view.depth is not None
            yield replace(view, depth=view.depth * np.float32(factor))
        self._unscaled.clear()
