"""Poses from tracker and surface together: drift, jumps, dropouts, and what the graph learns."""

from collections.abc import Callable, Iterable, Iterator, Mapping

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from fusion.align import AlignmentSettings
from fusion.live_map import FusedFrame, LiveMap
from fusion.monocular import Scale
from fusion.surface_poses import SurfacePoses
from fusion.volume import Volume, VolumeSettings
from slam.camera import Camera
from slam.constraint import Constraint
from slam.frame import Frame
from slam.geometry import Mat4, inverse, rigid
from slam.imu import ImuSamples
from slam.pose_graph import PoseGraph
from slam.tracker import TrackedFrame, TrackingState

CAMERA = Camera(160, 120, 110.0, 110.0, 79.5, 59.5)
SETTINGS = VolumeSettings(voxel_size_m=0.02, max_blocks=8192)
ALIGNMENT = AlignmentSettings(stride_px=5)
FRAMES, KEYFRAME_EVERY = 60, 8
PLANES = ((0.0, 0.0, 1.0, 2.0), (0.8, 0.0, 0.6, 1.6), (0.0, 0.8, 0.6, 1.5), (-0.8, 0.1, 0.6, 1.5))

Pose = Callable[[int], Mat4]


def instant(index: int) -> int:
    return index * 33_333_333


def true_pose(index: int) -> Mat4:
    """A camera that sways in front of a corner."""
    phase = 2 * np.pi * index / FRAMES
    turn = Rotation.from_euler("xyz", [3 * np.sin(phase), 4 * np.cos(phase), 0], degrees=True)
    return rigid(turn.as_matrix(), 0.12 * np.array([np.sin(phase), np.cos(phase), 0.0]))


def drifting(index: int) -> Mat4:
    """The true pose, seen by a tracker that drifts by a millimetre a frame."""
    return rigid(np.eye(3), np.array([0.001 * index, 0.0, 0.0005 * index])) @ true_pose(index)


def frame_of(index: int) -> Frame:
    pose = true_pose(index)
    v, u = np.mgrid[: CAMERA.height_px, : CAMERA.width_px]
    rays = np.stack([u, v, np.ones_like(u)], -1) @ np.linalg.inv(CAMERA.matrix).T
    rays_world = rays @ pose[:3, :3].T
    depth_m: NDArray[np.float64] = np.full(u.shape, np.inf)
    for *normal, offset_m in PLANES:
        height_m = offset_m - np.dot(normal, pose[:3, 3])
        depth_m = np.minimum(depth_m, height_m / np.maximum(rays_world @ normal, 1e-6))
    color = np.full((*u.shape, 3), 128, np.uint8)
    return Frame(index, instant(index), color, depth_m.astype(np.float32))


class ScriptedTracker:
    """Says that the camera is where a function says, except where it is lost."""

    world_from_tracker: Mat4 = np.eye(4)

    def __init__(self, pose: Pose, lost: range = range(0), late_frames: int = 0) -> None:
        """`late_frames`: how long after its frame a keyframe turns up, but the first."""
        self._pose, self._lost, self._late_frames = pose, lost, late_frames
        self._keyframes: Mapping[int, Mat4] = {}

    def track(self, frame: Frame) -> TrackedFrame:
        if frame.index in self._lost:
            return TrackedFrame(TrackingState.LOST, keyframes=self._keyframes)
        pose = self._pose(frame.index)
        is_keyframe = frame.index % KEYFRAME_EVERY == 0
        told = max(frame.index - self._late_frames, 0)
        if told % KEYFRAME_EVERY == 0:
            self._keyframes = {**self._keyframes, instant(told): self._pose(told)}
        return TrackedFrame(TrackingState.TRACKING, pose, 100, is_keyframe, self._keyframes)

    def add_imu(self, samples: ImuSamples) -> None:
        """Nothing to do."""

    def close(self) -> None:
        """Nothing to release."""


def made(tracker: ScriptedTracker, alignment: AlignmentSettings | None = ALIGNMENT) -> LiveMap:
    return LiveMap(CAMERA, SETTINGS, tracker, Scale("sensor"), alignment=alignment)


def pushed(live_map: LiveMap, count: int = FRAMES) -> Iterator[FusedFrame]:
    for index in range(count):
        yield live_map.push(frame_of(index))
        live_map.tick(0.0)


def errors_m(live_map: LiveMap) -> NDArray[np.float64]:
    """How far the path's camera centres are from the truth, which it begins at."""
    path = live_map.trajectory()
    true = [true_pose(round(ns / instant(1))) for ns in path.capture_ns.tolist()]
    return np.linalg.norm(path.world_from_camera[:, :3, 3] - np.array(true)[:, :3, 3], axis=1)


def test_alignment_takes_a_trackers_drift_away() -> None:
    tracked, aligned = made(ScriptedTracker(drifting), None), made(ScriptedTracker(drifting))
    for live_map in (tracked, aligned):
        list(pushed(live_map))
        live_map.settle()

    assert errors_m(tracked)[-1] == pytest.approx(0.0660, abs=0.001)
    assert errors_m(aligned).max() < 0.01


def test_keyframes_go_where_they_were_found() -> None:
    live_map = made(ScriptedTracker(drifting))
    list(pushed(live_map))
    live_map.settle()

    last_ns = instant(FRAMES - FRAMES % KEYFRAME_EVERY)
    found = live_map.graph.keyframes()[last_ns].world_from_keyframe
    assert np.linalg.norm((inverse(true_pose(56)) @ found)[:3, 3]) < 0.02


def test_a_short_dropout_is_carried_by_the_surface_alone() -> None:
    lost = range(30, 45)
    live_map = made(ScriptedTracker(true_pose, lost))
    results = list(pushed(live_map))

    assert [result.index for result in results if result.is_carried] == list(lost)
    assert all(result.is_fused for result in results)
    assert all(results[index].tracked.state is TrackingState.LOST for index in lost)
    assert len(live_map.trajectory()) == FRAMES
    assert errors_m(live_map).max() < 0.005


def test_a_long_dropout_ends_after_a_second() -> None:
    live_map = made(ScriptedTracker(true_pose, range(10, FRAMES)))
    results = list(pushed(live_map))

    assert [result.index for result in results if result.is_carried] == list(range(10, 40))
    assert all(result.world_from_camera is None for result in results[40:])


def test_without_alignment_a_lost_frame_has_no_pose() -> None:
    live_map = made(ScriptedTracker(true_pose, range(10, 15)), None)

    results = list(pushed(live_map, 20))

    assert [r.index for r in results if r.world_from_camera is None] == list(range(10, 15))


def test_a_trackers_jump_does_not_reach_the_map() -> None:
    def jumping(index: int) -> Mat4:
        aside_m = 0.08 if index >= 30 else 0.0
        return rigid(np.eye(3), np.array([aside_m, 0.0, 0.0])) @ true_pose(index)

    live_map = made(ScriptedTracker(jumping))
    list(pushed(live_map, 50))

    assert errors_m(live_map).max() < 0.01


def test_a_single_wall_never_makes_a_constraint() -> None:
    live_map = made(ScriptedTracker(drifting))
    wall = frame_of(0)
    flat = np.full_like(wall.depth, 2.0)
    for index in range(30):
        live_map.push(Frame(index, instant(index), wall.color, flat))
    before = live_map.graph.keyframes()
    live_map.settle()

    for capture_ns, pose in live_map.graph.keyframes().items():
        np.testing.assert_array_equal(
            pose.world_from_keyframe, before[capture_ns].world_from_keyframe
        )


class Listening(PoseGraph):
    """A graph that remembers what it was told of keyframes."""

    def __init__(self) -> None:
        super().__init__(np.eye(4))
        self.heard: list[Constraint] = []

    def constrain(self, constraints: Iterable[Constraint]) -> None:
        taken = list(constraints)
        self.heard += taken
        super().constrain(taken)


class Placed(dict[int, Mat4]):
    """Where views are in the volume."""

    def placed(self, capture_ns: int) -> Mat4 | None:
        return self.get(capture_ns)


LAST = 40


def aside(pose: Mat4) -> Mat4:
    return rigid(np.eye(3), np.array([0.03, 0.0, 0.0])) @ pose


def heard_of(after: Callable[[int, Placed], None]) -> list[Constraint]:
    """What the graph hears of keyframe LAST; views move `after` a frame."""
    tracker = ScriptedTracker(true_pose, late_frames=3)
    volume, graph, views = Volume(SETTINGS, CAMERA), Listening(), Placed()
    surface = SurfacePoses(volume, views, graph, ALIGNMENT)
    for index in range(LAST + 4):
        frame = frame_of(index)
        tracked = tracker.track(frame)
        pose = surface.find(frame, tracked)
        assert pose is not None
        volume.integrate(frame, pose.fits_at)
        surface.add(frame, tracked, pose)
        views[frame.capture_ns] = pose.fits_at
        after(index, views)
    return [each for each in graph.heard if each.second_ns == instant(LAST)]


def require_true(constraints: list[Constraint]) -> None:
    assert len({each.first_ns for each in constraints}) == 2
    for each in constraints:
        true = inverse(true_pose(each.first_ns // instant(1))) @ true_pose(LAST)
        assert np.linalg.norm((inverse(true) @ each.first_from_second)[:3, 3]) < 0.005


def test_views_that_move_before_a_keyframe_is_told_do_not_spoil_what_was_found() -> None:
    def move_all(index: int, views: Placed) -> None:
        if index == LAST + 1:
            views.update({ns: aside(pose) for ns, pose in views.items()})

    require_true(heard_of(move_all))
