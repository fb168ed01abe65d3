"""The pipeline of one session: a frame in, its pose and the changed blocks out."""

from contextlib import suppress
from dataclasses import dataclass

from fusion.mesh import Mesher, extract_mesh
from fusion.monocular import DepthRequest, Estimate, Monocular, Scale
from fusion.volume import View, Volume, VolumeSettings
from mapcast_client.errors import InputError
from mapcast_client.mesh import TriangleMesh
from mapcast_client.rows import MeshRows
from slam.camera import Camera
from slam.frame import Frame
from slam.geometry import Mat4
from slam.imu import ImuSamples
from slam.pose_graph import PoseGraph
from slam.tracker import TrackedFrame, Tracker
from slam.trajectory import Trajectory


@dataclass(frozen=True, slots=True)
class FusedFrame:
    """What became of a frame."""

    index: int
    tracked: TrackedFrame
    world_from_camera: Mat4 | None
    """None: no pose, nothing was fused."""
    is_fused: bool = False
    """Whether its depth is in the volume, or is being estimated for it."""
    request: DepthRequest | None = None
    """Monocular: what to estimate, and then to integrate."""


class LiveMap:
    """Tracks and fuses frames, and tells which blocks changed.

    `track` owns the tracker, `estimate` the depth source, everything else the pose graph and the
    volume: each of the three may have a thread of its own. `push` does all in turn.
    """

    def __init__(
        self,
        camera: Camera,
        settings: VolumeSettings,
        tracker: Tracker,
        tracker_scale: Scale,
        monocular: Monocular | None = None,
    ) -> None:
        """Make an empty map for the rectified frames of `camera`.

        `tracker_scale` says what the tracker's unit is. `monocular` is for frames without depth.
        """
        self.camera = camera
        self._tracker = tracker
        self._tracker_scale = tracker_scale
        self._monocular = monocular
        self._volume = Volume(settings, camera if monocular is None else monocular.camera)
        self._map_number = 0
        self._generation = -1
        self._start_over()

    @property
    def generation(self) -> int:
        """How often the map was replaced: the tracker started over, or the scale changed."""
        return self._generation

    @property
    def scale(self) -> Scale:
        """What the map's unit is in metres, and how that is known."""
        return self._scale

    @property
    def rescaled_by(self) -> float:
        """What all lengths were multiplied by in the last replacement; 0: another map came."""
        return self._rescaled_by

    def push(self, frame: Frame) -> FusedFrame:
        """Track and fuse one frame. Raises FrameError if it does not fit the session."""
        fused = self.fuse(frame, self.track(frame))
        if fused.request is not None:
            self.integrate(self.estimate(fused.request))
        return fused

    def track(self, frame: Frame) -> TrackedFrame:
        """Find where the camera is. Raises FrameError if the frame does not fit the session."""
        return self._tracker.track(frame)

    def add_imu(self, samples: ImuSamples) -> None:
        """Give the tracker IMU samples, before the frames that they lead up to."""
        self._tracker.add_imu(samples)

    def fuse(self, frame: Frame, tracked: TrackedFrame, may_request: bool = True) -> FusedFrame:
        """Put a tracked frame into the volume; without a pose it changes nothing.

        A monocular frame may come back with a request for its depth, unless `may_request` is
        False. Raises InputError, and adds nothing, if the pose leads out of the volume's grid.
        """
        if tracked.map_number != self._map_number:
            self._map_number = tracked.map_number
            self._start_over()
        self._graph.update(tracked.keyframes)
        if tracked.tracker_from_camera is None:
            return FusedFrame(frame.index, tracked, None)
        self._declare_scale(tracked)
        world_from_camera = self._graph.place(frame.capture_ns, tracked)
        if frame.depth is not None:
            self._mesher.mark(self._volume.integrate(frame, world_from_camera))
        self._graph.add(frame.index, frame.capture_ns, tracked)
        request = self._request(frame, tracked, may_request)
        is_fused = frame.depth is not None or request is not None
        return FusedFrame(frame.index, tracked, world_from_camera, is_fused, request)

    def estimate(self, request: DepthRequest) -> Estimate:
        """Estimate the depth that `fuse` asked for."""
        assert self._monocular is not None
        return self._monocular.estimate(request)

    def integrate(self, estimate: Estimate) -> bool:
        """Put an estimated depth into the volume; False if there is none, or the map was replaced.

        The first estimates may tell the map's scale: then it is replaced, and they are put in
        again at that scale. Raises InputError as `fuse` does.
        """
        assert self._monocular is not None
        if estimate.request.context.map_number != self._generation:
            return False
        scale = None if self._scale.is_known else self._monocular.learn_scale(estimate)
        if scale is not None:
            self._rescale(scale)
        elif estimate.view is not None:
            self._integrate_estimated(estimate.view)
        return estimate.view is not None

    def changed(self) -> MeshRows:
        """Rows of the blocks that changed enough to be seen, newest state of each."""
        return self._mesher.changed()

    def flush(self) -> MeshRows:
        """Rows of every block that changed at all: after it a follower has the map exactly."""
        return self._mesher.flush()

    def mesh(self) -> TriangleMesh:
        """The whole surface at full precision."""
        return extract_mesh(self._volume)

    def view(self, camera: Camera, world_from_camera: Mat4) -> View:
        """What a camera would see of the map."""
        return self._volume.raycast(camera, world_from_camera)

    def trajectory(self) -> Trajectory:
        """All frames with a pose, as the pose graph has them now."""
        return self._graph.trajectory()

    @property
    def block_count(self) -> int:
        """Blocks in the pool."""
        return self._volume.block_count

    @property
    def is_full(self) -> bool:
        """Whether the pool refused a block: existing ones still take observations."""
        return self._volume.is_full

    def close(self) -> None:
        """Release the tracker."""
        self._tracker.close()

    def _start_over(self) -> None:
        """Begin an empty map: nothing from before is comparable with what comes."""
        self._graph = PoseGraph(self._tracker.world_from_tracker)
        self._scale = self._tracker_scale
        self._rescaled_by = 0.0
        if self._monocular is not None:
            self._monocular.start_over(wants_scale=not self._scale.is_known)
        self._empty_volume()

    def _empty_volume(self) -> None:
        self._volume.clear()
        self._mesher = Mesher(self._volume)
        self._generation += 1

    def _request(self, frame: Frame, tracked: TrackedFrame, allowed: bool) -> DepthRequest | None:
        if self._monocular is None:
            return None
        picture, view = self._monocular.see(frame, self._graph)
        if not allowed:
            return None
        points_world = self._graph.points_world(tracked.points_tracker)
        return self._monocular.request(picture, view, points_world, self._graph, self._generation)

    def _declare_scale(self, tracked: TrackedFrame) -> None:
        """A declared scale is known from the first frame with a pose on."""
        if self._monocular is not None and not self._scale.is_known:
            scale = self._monocular.declared_scale(tracked)
            if scale is not None:
                self._scale = scale
                self._graph.rescale(scale.metres_per_unit)

    def _rescale(self, scale: Scale) -> None:
        """Replace the map by one of another scale, with the depths that are known so far."""
        assert self._monocular is not None
        self._rescaled_by = scale.metres_per_unit / self._scale.metres_per_unit
        self._scale = scale
        self._graph.rescale(scale.metres_per_unit)
        self._empty_volume()
        for view in self._monocular.rescaled(self._rescaled_by):
            with suppress(InputError):  # its pose leads out of the grid at this scale
                self._integrate_estimated(view)

    def _integrate_estimated(self, view: Frame) -> None:
        world_from_camera = self._graph.world_from_camera(view.capture_ns)
        self._mesher.mark(self._volume.integrate(view, world_from_camera))
