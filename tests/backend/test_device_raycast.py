"""Rendering and sampling on devices: to the last bit the same on all, and nearly as on the CPU."""

from pathlib import Path

import numpy as np
import pytest
from device_volumes import CAMERA, VOXEL_M, fused, grid, on_device, poses, view
from host_backend import HostBackend

from gpu.backend import Backend
from gpu.cpu import CpuBlocks
from gpu.device.field import DeviceField
from gpu.device.pool import DevicePool
from gpu.device.raycast import DeviceRaycast
from gpu.grid import Pinhole

FAR_BLOCKS = np.array([400_000, -300_000, 123_456], np.int32)


@pytest.fixture(scope="module")
def room() -> CpuBlocks:
    return fused()


@pytest.fixture(scope="module")
def host(host_folder: Path) -> HostBackend:
    return HostBackend(host_folder)


def rendered(blocks: CpuBlocks | DeviceRaycast, pose, camera: Pinhole = CAMERA):
    return blocks.raycast(camera, pose, np.linalg.inv(pose))


def require_same_bits(ours, theirs) -> None:
    for mine, other in zip(ours, theirs, strict=True):
        assert (mine.shape, mine.dtype) == (other.shape, other.dtype)
        assert mine.tobytes() == other.tobytes()


def require_alike(ours, theirs) -> None:
    """99.9 % of pixels within 0.1 voxel, and nearly their colours and normals."""
    (color, depth_m, normals), (color_cpu, depth_m_cpu, normals_cpu) = ours, theirs
    assert (depth_m_cpu > 0).mean() > 0.3
    assert ((depth_m > 0) == (depth_m_cpu > 0)).mean() > 0.999
    both = (depth_m > 0) & (depth_m_cpu > 0)
    assert (np.abs(depth_m - depth_m_cpu)[both] < 0.1 * VOXEL_M).mean() > 0.999
    off = np.abs(color.astype(int) - color_cpu)[both].max(axis=1)
    assert (off <= 3).mean() > 0.99
    assert ((normals * normals_cpu).sum(axis=-1)[both] > 0.999).mean() > 0.99
    np.testing.assert_allclose(np.linalg.norm(normals[both], axis=1), 1, atol=1e-5)
    for image in ours:
        assert not image[depth_m == 0].any()


@pytest.mark.parametrize("min_weight", [1, 2])
def test_renders_as_the_cpu_and_every_device_the_same(backend: Backend, host, min_weight):
    blocks = fused(min_weight)
    raycast = DeviceRaycast(on_device(backend, blocks), grid(min_weight))
    reference = DeviceRaycast(on_device(host, blocks), grid(min_weight))

    # The middle of the room, and outside, where the wall is seen from behind and all blocks ahead.
    outside = poses()[0].copy()
    outside[2, 3] -= 1.0
    for pose in (*poses(), outside):
        ours = rendered(raycast, pose)
        require_same_bits(ours, rendered(reference, pose))
    for pose in poses():
        require_alike(rendered(raycast, pose), rendered(blocks, pose))


def test_another_camera_whose_size_no_tile_divides(backend: Backend, host, room):
    camera = Pinhole(77, 51, np.array([60.0, 70.0]), np.array([30.25, 26.0]))
    raycast = DeviceRaycast(on_device(backend, room), grid())
    rendered(raycast, poses()[0])

    ours = rendered(raycast, poses()[1], camera)

    require_alike(ours, rendered(room, poses()[1], camera))
    reference = DeviceRaycast(on_device(host, room), grid())
    require_same_bits(ours, rendered(reference, poses()[1], camera))


def moved_far(room: CpuBlocks) -> CpuBlocks:
    far = CpuBlocks(grid(), CAMERA, 4096)
    assert far.insert(room.coords() + FAR_BLOCKS) == 0
    far.put_words(room.words())
    return far


def far_pose(pose):
    pose = pose.copy()
    pose[:3, 3] += FAR_BLOCKS * 8 * VOXEL_M
    return pose


def test_far_from_the_origin_nothing_is_lost(backend: Backend, room):
    """100 km away, where single precision has steps of 8 mm."""
    near = DeviceRaycast(on_device(backend, room), grid())
    far = DeviceRaycast(on_device(backend, moved_far(room)), grid())

    for pose in poses():
        (_, depth_m, _), (_, expected_m, _) = (
            rendered(far, far_pose(pose)),
            rendered(near, pose),
        )
        assert (np.abs(depth_m - expected_m) < 1e-4).mean() > 0.999


def test_a_view_that_meets_nothing_is_empty(backend: Backend, room):
    away = poses()[0].copy()
    away[:3, 3] = (50, 50, 50)
    for pool in (on_device(backend, room), DevicePool.make(backend, 64)):
        for image in rendered(DeviceRaycast(pool, grid()), away):
            assert not image.any()


def test_a_view_from_far_away_ends(backend: Backend, room):
    """There single precision has steps of 4 mm, and rays make none that are smaller."""
    away = poses()[0].copy()
    away[2, 3] -= 50_000
    for blocks in (room, DeviceRaycast(on_device(backend, room), grid())):
        for image in rendered(blocks, away):
            assert not image.any()


def sampled(field, pose, min_weight: int = 1):
    depth_m, _ = view(poses()[1], 1)
    points = field.points(depth_m, 1.0, (0.1, 4.0), 3)
    assert len(points) > 300
    return field.sample(points, pose, min_weight)


@pytest.mark.parametrize("min_weight", [1, 2])
def test_the_field_is_the_cpus_and_every_device_has_the_same(
    backend: Backend, host, room, min_weight
):
    nearby = poses()[1].copy()
    nearby[:3, 3] += (0.013, -0.02, 0.017)
    field = DeviceField(on_device(backend, room), grid(), CAMERA)

    distances, slopes = sampled(field, nearby, min_weight)

    expected, expected_slopes = sampled(room.field(), nearby, min_weight)
    known = ~np.isnan(expected)
    assert 0 < known.mean() < 1
    np.testing.assert_array_equal(np.isnan(distances), np.isnan(expected))
    np.testing.assert_allclose(distances[known], expected[known], atol=3e-5)
    np.testing.assert_allclose(slopes[known], expected_slopes[known], atol=3e-5)
    reference = DeviceField(on_device(host, room), grid(), CAMERA)
    require_same_bits((distances, slopes), sampled(reference, nearby, min_weight))


def test_the_field_far_from_the_origin(backend: Backend, room):
    field = DeviceField(on_device(backend, moved_far(room)), grid(), CAMERA)

    distances, _ = sampled(field, far_pose(poses()[1]))

    expected, _ = sampled(room.field(), poses()[1])
    known = ~np.isnan(expected) & ~np.isnan(distances)
    assert known.mean() > 0.5
    np.testing.assert_allclose(distances[known], expected[known], atol=1e-4)


def test_more_points_than_before_and_none(backend: Backend, room):
    field = DeviceField(on_device(backend, room), grid(), CAMERA)
    points = room.field().points(view(poses()[1], 1)[0], 1.0, (0.1, 4.0), 3)

    few, _ = field.sample(points[:10], poses()[1], 1)
    many, _ = field.sample(points, poses()[1], 1)

    np.testing.assert_array_equal(few, many[:10])
    assert len(field.sample(points[:0], poses()[1], 1)[0]) == 0
