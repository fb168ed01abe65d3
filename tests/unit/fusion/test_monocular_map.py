"""Monocular maps: which frames get depth, and what a new scale or tracker map does."""

from dataclasses import dataclass, replace

import numpy as np
import pytest
from numpy.typing import NDArray

from fusion.depth.source import DepthContext, EstimatedDepth
from fusion.live_map import FusedFrame, LiveMap
from fusion.monocular import Monocular, Scale
from fusion.volume import VolumeSettings
from slam.camera import Camera
from slam.frame import Frame
from slam.geometry import inverse
from slam.imu import ImuSamples
from slam.tracker import TrackedFrame, TrackingState

CAMERA = Camera(64, 48, 60.0, 60.0, 31.5, 23.5)
SETTINGS = VolumeSettings(voxel_size_m=0.05, min_weight=2, depth_max_m=8)
WALL_M = 2.0
UNIT_M = 0.5
"""Metres that a unit of the tracker has."""
STEP_M = 0.1


def colour_frame(index: int) -> Frame:
    return Frame(index, 1000 * (index + 1), np.full((48, 64, 3), 90, np.uint8))


class SidewaysTracker:
    """A camera that moves along x before a wall, as a tracker without a scale sees it."""

    world_from_tracker = np.eye(4)

    def __init__(self) -> None:
        self.map_number = 0

    def add_imu(self, samples: ImuSamples) -> None:
        """No use for them."""

    def track(self, frame: Frame) -> TrackedFrame:
        tracker_from_camera = np.eye(4)
        tracker_from_camera[0, 3] = frame.index * STEP_M / UNIT_M
        u, v = np.meshgrid(np.arange(4, 64, 8), np.arange(4, 48, 8))
        rays = np.stack([(u - 31.5) / 60, (v - 23.5) / 60, np.ones(u.shape)], axis=-1)
        points = rays.reshape(-1, 3) * WALL_M / UNIT_M + tracker_from_camera[:3, 3]
        return TrackedFrame(
            TrackingState.TRACKING,
            tracker_from_camera,
            inliers=len(points),
            keyframes={1000: np.eye(4)},
            points_tracker=points.astype(np.float32),
            map_number=self.map_number,
        )

    def close(self) -> None:
        """Nothing to release."""


@dataclass
class FlatSource:
    """Depth as the map points have it, everywhere."""

    camera: Camera = CAMERA

    def depth(self, frame: Frame, context: DepthContext) -> EstimatedDepth:
        camera_from_world = inverse(context.world_from_camera)
        z = context.points_world @ camera_from_world[2, :3] + camera_from_world[2, 3]
        depth = np.full(frame.color.shape[:2], np.median(z), np.float32)
        return EstimatedDepth(depth, np.full(depth.shape, 2, np.uint8))


class GuessingSource(FlatSource):
    """One that knows metres, too."""

    def metric_guess(self, frame: Frame) -> NDArray[np.float32]:
        return np.full(frame.color.shape[:2], WALL_M, np.float32)


def mono_map(monocular: Monocular, tracker: SidewaysTracker | None = None) -> LiveMap:
    return LiveMap(CAMERA, SETTINGS, tracker or SidewaysTracker(), Scale("none"), monocular)


def pushed(map_: LiveMap, count: int) -> list[FusedFrame]:
    return [map_.push(colour_frame(index)) for index in range(count)]


def wall_at(map_: LiveMap) -> float:
    return float(np.median(map_.mesh().vertices_world[:, 2]))


def test_frames_that_show_nothing_new_get_a_pose_but_no_depth() -> None:
    map_ = mono_map(Monocular(FlatSource()))
    fused = pushed(map_, 20)
    assert all(frame.world_from_camera is not None for frame in fused)
    chosen = [frame.index for frame in fused if frame.is_fused]
    assert 2 <= len(chosen) < 20
    assert (map_.scale, map_.generation) == (Scale("none"), 0)
    assert wall_at(map_) == pytest.approx(WALL_M / UNIT_M, abs=0.03)


def test_a_declared_depth_makes_metres_from_the_first_frame_on() -> None:
    map_ = mono_map(Monocular(FlatSource(), scene_depth_m=WALL_M))
    fused = pushed(map_, 20)
    assert map_.scale == Scale("declared", pytest.approx(UNIT_M))
    assert map_.generation == 0
    assert wall_at(map_) == pytest.approx(WALL_M, abs=0.03)
    last = fused[-1].world_from_camera
    assert last is not None
    assert last[0, 3] == pytest.approx(19 * STEP_M)


def test_a_network_s_metres_replace_the_map_by_itself_to_scale() -> None:
    map_ = mono_map(Monocular(GuessingSource()))
    fused = pushed(map_, 30)
    assert map_.scale == Scale("network", pytest.approx(UNIT_M))
    assert map_.generation == 1
    assert wall_at(map_) == pytest.approx(WALL_M, abs=0.03)
    # What was fused before the scale was known is there: the wall begins where the first saw it.
    first = next(frame for frame in fused if frame.is_fused)
    assert map_.mesh().vertices_world[:, 0].min() < first.index * STEP_M - 0.8
    assert np.allclose(map_.trajectory().world_from_camera[:, 0, 3], np.arange(30) * STEP_M)


def test_a_tracker_that_starts_over_empties_the_map() -> None:
    tracker = SidewaysTracker()
    map_ = mono_map(Monocular(FlatSource(), scene_depth_m=WALL_M), tracker)
    pushed(map_, 20)
    tracker.map_number = 1
    map_.push(colour_frame(20))
    assert map_.generation == 1
    assert map_.block_count == 0
    assert map_.trajectory().capture_ns.tolist() == [21_000]
    assert map_.scale.source == "declared"  # again, by the new map's first frame


def test_an_estimate_for_a_map_that_is_gone_is_void() -> None:
    tracker = SidewaysTracker()
    map_ = mono_map(Monocular(FlatSource()), tracker)
    request = None
    for index in range(20):
        frame = colour_frame(index)
        request = map_.fuse(frame, map_.track(frame)).request or request
    assert request is not None
    estimate = map_.estimate(request)
    tracker.map_number = 1
    map_.push(colour_frame(20))
    assert not map_.integrate(estimate)
    assert map_.block_count == 0


def test_a_busy_source_is_asked_for_nothing_but_its_views_go_on() -> None:
    map_ = mono_map(Monocular(FlatSource()))
    for index in range(20):
        frame = colour_frame(index)
        assert map_.fuse(frame, map_.track(frame), may_request=False).request is None
    frame = colour_frame(20)
    assert map_.fuse(frame, map_.track(frame)).request is not None


def test_depth_of_a_sensor_needs_no_estimate() -> None:
    map_ = LiveMap(CAMERA, SETTINGS, SidewaysTracker(), Scale("sensor"))
    frame = replace(colour_frame(0), depth=np.full((48, 64), 2000, np.uint16), depth_scale_m=0.001)
    fused = map_.push(frame)
    assert fused.is_fused
    assert fused.request is None


@pytest.mark.parametrize("source", ["imu", "given"])
def test_a_scale_that_is_known_needs_no_network_and_keeps_no_views(source: str) -> None:
    monocular = Monocular(GuessingSource())
    map_ = LiveMap(CAMERA, SETTINGS, SidewaysTracker(), Scale(source), monocular)
    pushed(map_, 30)
    assert (map_.scale, map_.generation) == (Scale(source), 0)
    assert not list(monocular.rescaled(1.0))


def test_a_path_is_told_to_be_the_same_at_another_scale() -> None:
    map_ = mono_map(Monocular(GuessingSource()))
    pushed(map_, 30)
    assert map_.rescaled_by == pytest.approx(UNIT_M)
