"""The pipeline without processes: frames in, poses and rows out."""

import numpy as np
import pytest

from fusion.live_map import LiveMap
from fusion.monocular import Scale
from fusion.volume import VolumeSettings
from mapcast_client.errors import FrameError, InputError
from mapcast_client.mesh import TriangleMesh
from mapcast_client.rows import MeshRow, MeshRows
from slam.camera import Calibration, Camera
from slam.frame import Frame
from slam.given import GivenPoseTracker
from slam.imu import ImuSamples
from slam.tracker import TrackedFrame, TrackingState

CAMERA = Camera(64, 48, 60.0, 60.0, 31.5, 23.5)
SETTINGS = VolumeSettings(voxel_size_m=0.04, min_weight=2)


def wall(index: int, x_m: float = 0.0) -> Frame:
    """A wall 1 m before a camera that is `x_m` to the right."""
    world_from_camera = np.eye(4)
    world_from_camera[0, 3] = x_m
    color = np.full((48, 64, 3), 40 * (1 + index % 5), np.uint8)
    depth = np.full((48, 64), 1000, np.uint16)
    return Frame(index, 1000 * (index + 1), color, depth, 0.001, world_from_camera)


def live_map() -> LiveMap:
    """A map of given poses."""
    return LiveMap(CAMERA, SETTINGS, GivenPoseTracker(Calibration(CAMERA)), Scale("given"))


def followed(map_: LiveMap, frames: list[Frame], every: int) -> dict[tuple[int, ...], MeshRow]:
    """What a follower has after all changed rows and the flush."""
    rows: dict[tuple[int, ...], MeshRow] = {}
    for count, frame in enumerate(frames, 1):
        map_.push(frame)
        if count % every == 0:
            rows.update((row.block, row) for row in map_.changed().split())
    rows.update((row.block, row) for row in map_.flush().split())
    return {block: row for block, row in rows.items() if row.triangles}


def test_a_follower_has_the_surface_whatever_the_cadence() -> None:
    frames = [wall(i, 0.01 * i) for i in range(12)]
    often, seldom = live_map(), live_map()
    assert followed(often, frames, 1) == followed(seldom, frames, 5)
    mesh = often.mesh()
    assert np.abs(mesh.vertices_world[:, 2] - 1.0).max() < 0.005
    rows = MeshRows.join(list(followed(live_map(), frames, 3).values()))
    from_rows = TriangleMesh.from_rows(rows, SETTINGS.voxel_size_m)
    assert len(from_rows.triangles) == len(mesh.triangles)


def test_poses_are_answered_and_kept() -> None:
    map_ = live_map()
    fused = [map_.push(wall(i, 0.1 * i)) for i in range(3)]
    xs = [frame.world_from_camera[0, 3] for frame in fused if frame.world_from_camera is not None]
    assert np.allclose(xs, [0, 0.1, 0.2])
    path = map_.trajectory()
    assert path.capture_ns.tolist() == [1000, 2000, 3000]
    assert np.allclose(path.world_from_camera[:, 0, 3], xs)


class LostTracker:
    """Never finds the camera."""

    world_from_tracker = np.eye(4)

    def add_imu(self, samples: ImuSamples) -> None:
        """No use for them."""

    def track(self, frame: Frame) -> TrackedFrame:
        """Always lost."""
        return TrackedFrame(TrackingState.LOST)

    def close(self) -> None:
        """Nothing to release."""


def test_a_lost_frame_changes_nothing() -> None:
    map_ = LiveMap(CAMERA, SETTINGS, LostTracker(), Scale("sensor"))
    fused = map_.push(wall(0))
    assert fused.world_from_camera is None
    assert fused.tracked.state is TrackingState.LOST
    assert map_.block_count == 0
    assert len(map_.trajectory()) == 0
    assert len(map_.flush()) == 0


def test_a_pose_out_of_the_grid_is_refused_and_leaves_no_trace() -> None:
    map_ = live_map()
    map_.push(wall(0))
    far = wall(1, 1.1 * SETTINGS.voxel_size_m * 8 * 2**19)
    with pytest.raises(InputError):
        map_.push(far)
    map_.push(wall(2))
    assert map_.trajectory().capture_ns.tolist() == [1000, 3000]


def test_a_frame_that_goes_back_in_time_is_refused() -> None:
    map_ = live_map()
    map_.push(wall(1))
    with pytest.raises(FrameError, match="frame 0"):
        map_.push(wall(0))
