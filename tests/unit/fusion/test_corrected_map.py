"""A map whose tracker drifts and then closes its loop: what the volume and a follower have."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from fusion.frame_store import MemoryFrames
from fusion.live_map import LiveMap
from fusion.mesh import Mesher
from fusion.monocular import Scale
from fusion.volume import Volume, VolumeSettings
from mapcast_client.rows import MeshRow, MeshRows
from replay.drift import DriftingTracker
from slam.camera import Calibration, Camera
from slam.frame import Frame
from slam.geometry import Mat4, rigid
from slam.given import GivenPoseTracker

FRAMES = 40
CLOSES_AT = 30
Rows = dict[tuple[int, int, int], MeshRow]


def path() -> list[Mat4]:
    """Sideways past the sphere and the wall."""
    return [rigid(np.eye(3), np.array([0.02 * i - 0.4, 0.01, 0.0])) for i in range(FRAMES)]


def follow(rows: Rows, changed: MeshRows) -> None:
    """As a subscriber."""
    for row in changed.split():
        if row.triangles:
            rows[row.block] = row
        else:
            rows.pop(row.block, None)


@pytest.fixture
def frames(camera: Camera, scene: Callable[[Camera, Mat4], Frame]) -> list[Frame]:
    """The path's views, with their true poses."""
    return [
        replace(scene(camera, pose), index=i, capture_ns=10 * i, world_from_camera=pose)
        for i, pose in enumerate(path())
    ]


def drifting_map(camera: Camera, settings: VolumeSettings, limit_bytes: int) -> LiveMap:
    """Of a tracker that loses a tenth of the way until its loop closes."""
    given = GivenPoseTracker(Calibration(camera))
    tracker = DriftingTracker(given, 10 * CLOSES_AT, drift_share=0.1)
    store = MemoryFrames(limit_bytes)
    return LiveMap(camera, settings, tracker, Scale("given"), frames=store)


def test_map_and_follower_equal_a_fusion_from_scratch_while_frames_go_on(
    camera: Camera, settings: VolumeSettings, frames: list[Frame]
) -> None:
    live_map, rows = drifting_map(camera, settings, 1 << 26), {}
    for frame in frames:
        live_map.push(frame)
        live_map.tick(0.001)
        follow(rows, live_map.changed())
    while live_map.is_following:
        live_map.tick(0.001)
        follow(rows, live_map.changed())
    assert live_map.settle()
    follow(rows, live_map.flush())
    assert live_map.moved_views >= CLOSES_AT / 2
    assert (live_map.pending_views, live_map.frozen_views) == (0, 0)

    poses = live_map.fused_poses()
    off_m = [np.abs(poses[10 * i] - pose).max() for i, pose in enumerate(path())]
    assert max(off_m) < 0.03  # what drifts within the ten frames of a keyframe stays
    scratch, expected = Volume(settings, camera), {}
    mesher = Mesher(scratch)
    for frame in frames:
        mesher.mark(scratch.integrate(frame, poses[frame.capture_ns]))
    follow(expected, mesher.flush())
    assert rows == expected


def test_what_no_longer_fits_into_memory_is_frozen_where_it_is(
    camera: Camera, settings: VolumeSettings, frames: list[Frame]
) -> None:
    one = MemoryFrames(1 << 26)
    one.put(frames[0])
    live_map = drifting_map(camera, settings, 20 * one.size_bytes)
    for frame in frames[: CLOSES_AT + 1]:
        live_map.push(frame)
    before = live_map.fused_poses()
    assert live_map.settle()
    assert live_map.frozen_views > 0
    assert live_map.moved_views > 0
    after = live_map.fused_poses()
    unmoved = sum(np.array_equal(before[instant], after[instant]) for instant in before)
    assert unmoved == len(before) - live_map.moved_views
