"""The pipeline of one session: a frame in, its pose and the changed blocks out."""

import math
from contextlib import suppress
from dataclasses import dataclass, replace

from fusion.align import AlignmentSettings
from fusion.frame_store import FrameStore
from fusion.mesh import Mesher, extract_mesh
from fusion.monocular import DepthRequest, Estimate, Monocular, Scale
from fusion.refinement import MapRefinement
from fusion.reintegrate import Reintegrator
from fusion.saved_map import SavedMap
from fusion.surface_poses import SurfacePose, SurfacePoses
from fusion.volume import View, Volume, VolumeSettings
from gpu.backend import Backend, DeviceMemory
from mapcast_client.errors import InputError
from mapcast_client.mesh import TriangleMesh
from mapcast_client.rows import MeshRows
from slam.camera import Camera
from slam.frame import Frame
from slam.geometry import Mat4
from slam.imu import ImuSamples
from slam.pose_graph import PoseGraph
from slam.refine_messages import RefineResult
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
    is_carried: bool = False
    """The tracker has no pose; the frame was found on the surface alone."""
    is_placed: bool = True
    """Whether a frame with a pose is in the pose graph."""


class LiveMap:
    """Tracks and fuses frames, and tells which blocks changed.

    `track` owns the tracker, `estimate` the depth source, everything else the pose graph and the
    volume: each of the three may have a thread of its own. `push` does all in turn. When poses of
    fused frames are corrected, `tick` moves what they added, a little at a time.
    """

    def __init__(
        self,
        camera: Camera,
        settings: VolumeSettings,
        tracker: Tracker,
        tracker_scale: Scale,
        monocular: Monocular | None = None,
        frames: FrameStore | None = None,
        alignment: AlignmentSettings | None = None,
        refinement: MapRefinement | None = None,
        backend: Backend | None = None,
    ) -> None:
        """Make an empty map for the rectified frames of `camera`.

        `tracker_scale` says what the tracker's unit is. `monocular` is for frames without depth.
        `frames` keeps what was fused, so that it can be moved; without, it stays where it is.
        `alignment`: frames with depth are aligned to the surface that is there; None: they are not.
        `refinement` measures keyframes in the background; None: nobody does. `backend` is where the
        volume is; None: in main memory.
        """
        self.camera = camera
        self._tracker = tracker
        self._tracker_scale = tracker_scale
        self._monocular = monocular
        self._frames = frames
        self._alignment = alignment if monocular is None else None
        self._refinement = refinement
        fused_camera = camera if monocular is None else monocular.camera
        self._volume = Volume(settings, fused_camera, backend)
        self._map_number = 0
        self._generation = -1
        self._only_localizes = False
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
        False. Raises InputError, and adds nothing, if the pose leads out of the volume's grid, or
        its device has no room for the first frame.
        """
        if self._only_localizes:
            return self._localized(frame, tracked)
        self._volume.reserve()
        if tracked.map_number != self._map_number:
            self._map_number = tracked.map_number
            self._start_over()
        self._graph.update(tracked.keyframes)
        if tracked.tracker_from_camera is not None:
            self._declare_scale(tracked)
        pose = self._find(frame, tracked)
        if pose is None:
            return FusedFrame(frame.index, tracked, None)
        if frame.depth is not None:
            self._views.add(frame, pose.fits_at)
        if self._surface is not None and frame.depth is not None:
            self._surface.add(frame, tracked, pose)
        else:
            self._graph.add(frame.index, frame.capture_ns, tracked)
        if self._refinement is not None:
            self._refinement.see(frame)
        request = self._request(frame, tracked, may_request)
        is_fused = frame.depth is not None or request is not None
        return FusedFrame(
            frame.index, tracked, pose.world_from_camera, is_fused, request, pose.is_carried
        )

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
            self._integrate_estimated(estimate.view, estimate.request.scale)
        return estimate.view is not None

    def tick(self, budget_s: float, least_vox: float = 0.0) -> bool:
        """Move views to where their poses are now, for about `budget_s`; whether any moved.

        Those that are farthest off come first, those off by less than `least_vox` not at all.
        """
        if self._refinement is not None:
            self._refinement.tick(self._graph)
        self._graph.advance()
        return self._views.tick(budget_s, least_vox)

    def settle(self, budget_s: float = math.inf) -> bool:
        """Move all views that are off, for about `budget_s`; whether none is left."""
        self._graph.settle()
        return self._views.settle(budget_s)

    def finish_refinement(self) -> bool:
        """Have what refinement has left to do done, no frame will come; whether it is done.

        It is not waited for: call again. `settle` makes use of it.
        """
        return self._refinement is None or self._refinement.finish(self._graph)

    def take_refinements(self) -> list[RefineResult]:
        """What became of the runs of refinement since the last call."""
        return [] if self._refinement is None else self._refinement.take_results()

    def fused_poses(self) -> dict[int, Mat4]:
        """capture_ns → world_from_camera of every view in the volume, as it is in there."""
        views = self._views.views()
        return dict(zip(views.capture_ns.tolist(), views.world_from_camera, strict=True))

    @property
    def is_following(self) -> bool:
        """Whether `tick` has more to do at once: poses to solve for, or views to move."""
        return self.pending_views > 0 or not self._graph.is_settled

    @property
    def pending_views(self) -> int:
        """Views that are known to be off and wait to be moved."""
        return self._views.pending_count

    @property
    def frozen_views(self) -> int:
        """Views that are off and stay so: they are not stored any more."""
        return self._views.frozen_count

    @property
    def moved_views(self) -> int:
        """How often a view was moved since the map began."""
        return self._views.moved_count

    @property
    def graph(self) -> PoseGraph:
        """Where every keyframe and every frame is. Another one after each replacement."""
        return self._graph

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

    @property
    def device_memory(self) -> DeviceMemory:
        """What the volume's device has given this process; nothing on the CPU."""
        return self._volume.device_memory

    @property
    def spilled_blocks(self) -> int:
        """Blocks in main memory, because the volume's device has no room for them."""
        return self._volume.spilled_blocks

    def saved(self, newest_index: int, newest_ns: int) -> SavedMap:
        """A copy of all that another process needs to go on with the map."""
        return SavedMap(
            self._volume.settings,
            self.camera,
            self._scale,
            newest_index,
            newest_ns,
            self._volume.block_coords.copy(),
            self._volume.voxel_words(),
            self._volume.refused_keys(),
            self._views.views(),
            self._graph.state(),
        )

    def restore(self, saved: SavedMap) -> None:
        """Become the map that was saved; the tracker is not touched.

        Raises InputError, and is empty, if that was another camera's, or has other voxels.
        """
        saved.require_fits(self.camera, self._volume.settings)
        self._volume.restore(saved.blocks, saved.words, saved.refused_keys)
        self._graph = PoseGraph.from_state(saved.graph)
        self._scale = saved.scale
        self._mesher = Mesher(self._volume)
        self._mesher.mark_all()
        self._views = Reintegrator(
            self._volume, self._mesher, self._graph, self._frames, views=saved.views
        )
        self._surface = self._new_surface()

    def only_localize(self) -> None:
        """Find the camera in the map from now on, and leave the map as it is."""
        self._only_localizes = True

    def _localized(self, frame: Frame, tracked: TrackedFrame) -> FusedFrame:
        pose = tracked.tracker_from_camera
        if pose is not None:
            pose = self._tracker.world_from_tracker @ pose
        return FusedFrame(frame.index, tracked, pose, is_placed=False)

    def begin_segment(self) -> None:
        """Go on with the tracker's coordinates as it has them now, not those of one before."""
        self._graph.begin_segment(self._tracker.world_from_tracker)

    def recall(
        self,
        index: int,
        capture_ns: int,
        tracked: TrackedFrame,
        view: Frame | None,
        keyframe_ns: int | None = None,
    ) -> None:
        """Add a frame of the past that was tracked then, and the view that was fused of it.

        `keyframe_ns`: the keyframe that it hung on; None: the one that it does by its instant.
        """
        found = None if keyframe_ns is None else tracked.tracker_from_camera
        self._graph.add(index, capture_ns, tracked, found, keyframe_ns)
        if view is not None:
            scale = self._graph.scale_of(capture_ns)
            self._views.add(view, self._graph.world_from_camera(capture_ns), scale)

    def close(self) -> None:
        """Release the tracker."""
        self._tracker.close()

    def close_volume(self) -> None:
        """Give back the memory of the volume's device: the map is not used any more."""
        self._volume.close()

    def close_refinement(self) -> None:
        """End the refining process, if there is one."""
        if self._refinement is not None:
            self._refinement.close()

    def _start_over(self) -> None:
        """Begin an empty map: nothing from before is comparable with what comes."""
        self._graph = PoseGraph(
            self._tracker.world_from_tracker,
            scale_drifts=self._monocular is not None and not self._tracker_scale.is_known,
        )
        self._scale = self._tracker_scale
        self._rescaled_by = 0.0
        if self._monocular is not None:
            self._monocular.start_over(wants_scale=not self._scale.is_known)
        self._empty_volume()

    def _empty_volume(self) -> None:
        self._volume.clear()
        self._mesher = Mesher(self._volume)
        self._views = Reintegrator(self._volume, self._mesher, self._graph, self._frames)
        self._surface = self._new_surface()
        if self._refinement is not None:
            self._refinement.start_over()
        self._generation += 1

    def _new_surface(self) -> SurfacePoses | None:
        if self._alignment is None:
            return None
        return SurfacePoses(self._volume, self._views, self._graph, self._alignment, self._frames)

    def _find(self, frame: Frame, tracked: TrackedFrame) -> SurfacePose | None:
        """Where a frame is; None if that is not known."""
        if self._surface is not None and frame.depth is not None:
            return self._surface.find(frame, tracked)
        if tracked.tracker_from_camera is None:
            return None
        return SurfacePose(self._graph.place(frame.capture_ns, tracked), is_trackers=True)

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
                self._integrate_estimated(view, self._graph.scale_of(view.capture_ns))

    def _integrate_estimated(self, view: Frame, scale: float) -> None:
        """Put in a view whose depth was estimated when its keyframe had `scale`."""
        unscaled = replace(view, depth_scale_m=view.depth_scale_m / scale)
        instant = view.capture_ns
        self._views.add(
            unscaled, self._graph.world_from_camera(instant), self._graph.scale_of(instant)
        )
