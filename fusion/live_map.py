"""The pipeline of one session: a frame in, its pose and the changed blocks out."""

from dataclasses import dataclass

from fusion.mesh import Mesher, extract_mesh
from fusion.volume import View, Volume, VolumeSettings
from mapcast_client.mesh import TriangleMesh
from mapcast_client.rows import MeshRows
from slam.camera import Camera
from slam.frame import Frame
from slam.geometry import Mat4
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


class LiveMap:
    """Tracks and fuses frames, and tells which blocks changed.

    `track` owns the tracker, everything else the pose graph and the volume: one thread may track
    the next frame while another fuses the one before. `push` does both in turn.
    """

    def __init__(
        self, camera: Camera, settings: VolumeSettings, tracker: Tracker, world_from_tracker: Mat4
    ) -> None:
        self._tracker = tracker
        self._graph = PoseGraph(world_from_tracker)
        self._volume = Volume(settings, camera)
        self._mesher = Mesher(self._volume)

    def push(self, frame: Frame) -> FusedFrame:
        """Track and fuse one frame. Raises FrameError if it does not fit the session."""
        return self.fuse(frame, self.track(frame))

    def track(self, frame: Frame) -> TrackedFrame:
        """Find where the camera is. Raises FrameError if the frame does not fit the session."""
        return self._tracker.track(frame)

    def fuse(self, frame: Frame, tracked: TrackedFrame) -> FusedFrame:
        """Put a tracked frame into the volume; without a pose it changes nothing.

        Raises InputError, and changes nothing, if the pose leads out of the volume's grid.
        """
        self._graph.update(tracked.keyframes)
        if tracked.tracker_from_camera is None:
            return FusedFrame(frame.index, tracked, None)
        world_from_camera = self._graph.place(frame.capture_ns, tracked)
        self._mesher.mark(self._volume.integrate(frame, world_from_camera))
        self._graph.add(frame.index, frame.capture_ns, tracked)
        return FusedFrame(frame.index, tracked, world_from_camera)

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
