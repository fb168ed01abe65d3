"""Depth trials with a tracker that knows the way and a source that knows half the depth."""

from collections.abc import Mapping

import numpy as np
import pytest

from fusion.depth.source import DepthContext, EstimatedDepth, depth_camera
from replay.depth_trials import DepthTrials
from replay.evaluate_depth import DepthQuality
from replay.registration import Registration
from slam.camera import Camera
from slam.frame import Frame
from slam.geometry import Mat4, rigid
from slam.tracker import TrackedFrame, TrackingState

CAMERA = Camera(160, 120, 150.0, 150.0, 79.5, 59.5)
WALL_M = 2.0
UNIT_M = 0.5
REGISTRATION = Registration(CAMERA, CAMERA, np.eye(4))
NOISE = np.random.default_rng(0).integers(0, 255, (120, 160, 3), np.uint8)


class SidewaysTracker:
    """A camera that moves 5 cm a frame along a wall, in a unit of its own; map by map."""

    world_from_tracker: Mat4 = np.eye(4)

    def __init__(self, frames_per_map: int = 1000) -> None:
        self._frames_per_map = frames_per_map
        self._keyframes: Mapping[int, Mat4] = {}

    def track(self, frame: Frame) -> TrackedFrame:
        assert frame.depth is None, "the tracker sees colour alone"
        in_map = frame.index % self._frames_per_map
        pose = rigid(np.eye(3), np.array([0.05 * in_map / UNIT_M, 0, 0]))
        self._keyframes = {frame.capture_ns: pose} if in_map == 0 else self._keyframes
        u, v = np.meshgrid(np.arange(10, 150, 10), np.arange(10, 110, 10))
        x, y = (u.ravel() - 79.5) / 150, (v.ravel() - 59.5) / 150
        points = np.stack([x, y, np.ones_like(x)], axis=1) * (WALL_M / UNIT_M) + pose[:3, 3]
        return TrackedFrame(
            TrackingState.TRACKING,
            pose,
            keyframes=self._keyframes,
            points_tracker=points.astype(np.float32),
            map_number=frame.index // self._frames_per_map,
        )

    def add_imu(self, samples) -> None:
        pass

    def close(self) -> None:
        pass


class LeftHalf:
    """Knows the wall's depth, `factor` off, in the left half of the picture."""

    camera = depth_camera(CAMERA)

    def __init__(self, factor: float) -> None:
        self._factor = factor

    def depth(self, frame: Frame, context: DepthContext) -> EstimatedDepth | None:
        assert frame.depth is None
        depth_m = np.zeros((120, 160), np.float32)
        depth_m[:, :80] = WALL_M / UNIT_M * self._factor
        return EstimatedDepth(depth_m, (depth_m > 0).astype(np.uint8))


class Silent(LeftHalf):
    def depth(self, frame: Frame, context: DepthContext) -> EstimatedDepth | None:
        return None


def frames(count: int):
    depth = np.full((120, 160), WALL_M, np.float32)
    for index in range(count):
        yield Frame(index, (index + 1) * 33_000_000, NOISE, depth)


def run(tracker: SidewaysTracker, count: int, **sources):
    trials = DepthTrials(REGISTRATION, tracker, sources)
    for frame in frames(count):
        trials.add(frame)
    return trials.scaled()


def test_sources_are_held_against_the_sensor_in_metres() -> None:
    scaled = run(SidewaysTracker(), 12, good=LeftHalf(1.0), bad=LeftHalf(1.2), none=Silent(1.0))
    assert len(scaled) >= 2
    for trial in scaled:
        assert trial.metres_per_unit == pytest.approx(UNIT_M, rel=1e-4)
    found = {
        name: DepthQuality.mean([s.trial.quality(name, s.metres_per_unit) for s in scaled])
        for name in ("good", "bad", "none")
    }
    assert found["good"].abs_rel == pytest.approx(0, abs=1e-4)
    assert found["bad"].abs_rel == pytest.approx(0.2, rel=1e-3)
    assert found["good"].coverage == 0.5
    assert found["none"].coverage == 0


def test_every_map_of_the_tracker_has_trials_of_its_own() -> None:
    one = run(SidewaysTracker(), 8, good=LeftHalf(1.0))
    two = run(SidewaysTracker(8), 16, good=LeftHalf(1.0))
    assert len(two) == 2 * len(one) > 0


def test_a_camera_that_stands_still_gives_no_trials() -> None:
    assert run(SidewaysTracker(1), 6, good=LeftHalf(1.0)) == []
