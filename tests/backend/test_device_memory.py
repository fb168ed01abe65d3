"""What blocks take of a device, when they take it, and what happens where there is little."""

from collections.abc import Callable

import numpy as np
import pytest
from device_volumes import CAMERA, VOXEL_M, CountingBackend, add_view, grid, of_noise, poses, view

from fusion.mesh import Mesher, extract_mesh
from fusion.volume import Volume, VolumeSettings
from gpu.backend import Backend, DeviceMemoryError
from gpu.device.blocks import DeviceBlocks
from gpu.device.kept_buffers import KeptBuffers
from mapcast_client.errors import InputError
from slam.camera import Camera
from slam.frame import Frame

MAX_BLOCKS = 8192
SLAM_CAMERA = Camera(160, 120, 140.0, 140.0, 79.5, 59.5)
LimitedBackend = Callable[[int], Backend]


def cube(side: int, corner: int = 0):
    """(side³, 3) blocks."""
    coords = np.stack(np.meshgrid(*[np.arange(side)] * 3, indexing="ij"), axis=-1)
    return (coords.reshape(-1, 3) + corner).astype(np.int32)


def frame() -> Frame:
    depth_m, color = view(poses()[0], 0)
    return Frame(0, 0, color, depth_m)


def test_a_volume_takes_no_memory_before_its_first_view(backend: Backend):
    used_bytes = backend.memory().used_bytes
    volume = Volume(VolumeSettings(max_blocks=MAX_BLOCKS), SLAM_CAMERA, backend)
    volume.clear()
    mesher = Mesher(volume)
    mesher.mark_all()
    assert len(mesher.flush()) == len(mesher.changed()) == 0
    assert volume.block_count == volume.spilled_blocks == volume.saturated_observations == 0
    assert volume.voxel_words().shape == (4, *volume.block_coords.shape[:1], 512) == (4, 0, 512)
    assert len(volume.refused_keys()) == len(extract_mesh(volume).triangles) == 0
    volume.close()
    assert backend.memory().used_bytes == used_bytes


def test_a_pool_that_is_refused_leaves_nothing_taken(limited_backend: LimitedBackend):
    refused, made = 0, 0
    for limit_bytes in range(1 << 18, 12 << 20, 1 << 18):
        backend = limited_backend(limit_bytes)
        try:
            DeviceBlocks(backend, grid(), CAMERA, MAX_BLOCKS).close()
        except DeviceMemoryError:
            refused += 1
        else:
            made += 1
        assert backend.memory().used_bytes == 0
    assert refused > 5
    assert made > 5


def test_a_view_that_no_pool_can_be_made_for_is_refused(limited_backend: LimitedBackend):
    volume = Volume(VolumeSettings(max_blocks=MAX_BLOCKS), SLAM_CAMERA, limited_backend(1 << 20))
    for _ in range(2):
        with pytest.raises(InputError, match=r"no room for a map .* bytes of 1048576"):
            volume.integrate(frame(), np.eye(4))
    assert volume.device_memory.used_bytes == 0


def test_a_pool_does_not_grow_by_handfuls(limited_backend: LimitedBackend):
    blocks = DeviceBlocks(limited_backend(20 << 20), grid(), CAMERA, MAX_BLOCKS, start_blocks=64)
    capacities = [64]
    coords = cube(13)
    for first in range(0, len(coords), 7):
        blocks.insert(coords[first : first + 7])
        if blocks.pool.capacity > capacities[-1]:
            capacities.append(blocks.pool.capacity)
    factors = np.divide(capacities[1:], capacities[:-1])
    assert factors.min() >= 1.24  # whole blocks
    assert factors.max() == 2 > factors.min()

    at_once = DeviceBlocks(limited_backend(20 << 20), grid(), CAMERA, MAX_BLOCKS, start_blocks=64)
    at_once.insert(coords)
    assert at_once.spilled_blocks
    assert at_once.pool.capacity > capacities[-1] / 1.25
    assert blocks.spilled_blocks > 0
    np.testing.assert_array_equal(blocks.coords(), coords)
    blocks.close()


def test_buffers_are_kept_until_larger_ones_are_asked_for(limited_backend: LimitedBackend):
    backend = limited_backend(1 << 20)
    kept = KeptBuffers(backend)
    first = list(kept.of_sizes(400, 800))
    assert list(kept.of_sizes(400, 700)) == first
    kept.of_sizes(300, 900)
    assert backend.memory().used_bytes == 1200
    with pytest.raises(DeviceMemoryError):
        kept.of_sizes(400, 2 << 20)
    kept.of_sizes(400, 800)
    assert backend.memory().used_bytes == 1200
    kept.free()
    assert backend.memory().used_bytes == 0


def noise_run(blocks: DeviceBlocks):
    """Much is meshed, then there are more blocks than there is room for, and views come."""
    noise = of_noise(cube(12), 1)
    everything = np.arange(noise.count, dtype=np.int32)
    blocks.insert(noise.coords())
    blocks.put_words(noise.words())
    blocks.mark_all()
    published = np.zeros(MAX_BLOCKS, np.uint64)
    for _ in range(2):
        keep, surface = blocks.news(everything, published)
        yield keep
        yield surface.vertex_counts
        yield surface.triangles
    for corner in (-12, 12, 24):
        blocks.insert(cube(12, corner))
    for seed, pose in enumerate(poses()):
        depth_m, color = view(pose, seed)
        blocks.load(depth_m, 1.0, color)
        touched, _ = blocks.touch(pose, True)
        blocks.integrate(touched, np.linalg.inv(pose), False)
        blocks.spread_change(touched)
        yield touched
    yield blocks.take_dirty(None)
    yield blocks.words()


@pytest.mark.parametrize("limit_mib", [40, 48])
def test_meshes_leave_room_for_blocks_to_move(limited_backend: LimitedBackend, limit_mib: int):
    """Surfaces of noise want several times the memory there is."""
    unlimited = DeviceBlocks(limited_backend(1 << 34), grid(), CAMERA, MAX_BLOCKS)
    backend = limited_backend(limit_mib << 20)
    limited = DeviceBlocks(backend, grid(), CAMERA, MAX_BLOCKS)
    for expected, found in zip(noise_run(unlimited), noise_run(limited), strict=True):
        np.testing.assert_array_equal(found, expected)
        memory = backend.memory()
        assert memory.limit_bytes - memory.used_bytes > memory.limit_bytes / 20
    assert limited.spilled_blocks > 1000 > unlimited.spilled_blocks == 0
    limited.close()
    unlimited.close()
    assert backend.memory().used_bytes == 0


def partly_empty(rng: np.random.Generator):
    """Coordinates of blocks around the cameras and elsewhere, and their words: many are empty."""
    coords = rng.permutation(np.concatenate([cube(12, -6), cube(12, 10)]))
    words = of_noise(coords, 1).words()
    words[:, (coords.min(axis=1) > 6) & (rng.random(len(coords)) < 0.5)] = 0
    return coords, words


def bring(blocks: DeviceBlocks, slots) -> None:
    """Have some blocks on the device: distances are read in the middle of each."""
    points = (blocks.coords()[slots] + 0.5) * 8 * VOXEL_M
    blocks.field().sample(points.astype(np.float32), np.eye(4), 1)


def test_of_a_spilled_volume_a_release_moves_only_what_it_must(limited_backend: LimitedBackend):
    rng = np.random.default_rng(7)
    backend = CountingBackend(limited_backend(16 << 20))
    limited = DeviceBlocks(backend, grid(), CAMERA, MAX_BLOCKS)
    unlimited = DeviceBlocks(limited_backend(1 << 34), grid(), CAMERA, MAX_BLOCKS)
    coords, words = partly_empty(rng)
    for blocks in (limited, unlimited):
        blocks.insert(coords)
        blocks.put_words(words)
    for seed, pose in enumerate(poses()):
        bring(limited, rng.permutation(limited.count)[: limited.pool.capacity])
        for blocks in (limited, unlimited):
            add_view(blocks, pose, seed)
        empty = np.flatnonzero(~unlimited.words()[1].any(axis=1))
        slots = np.sort(rng.choice(empty, 150, replace=False)).astype(np.int32)
        columns = np.tile(np.arange(MAX_BLOCKS), (2, 1))
        before, backend.moved_bytes = limited.pool.count, 0

        limited.release(slots, [columns[0]])
        assert 20 < before - limited.pool.count < 130  # only blocks that are released leave
        assert backend.moved_bytes < 200 * len(slots)  # a block has 8 KiB

        unlimited.release(slots, [columns[1]])
        np.testing.assert_array_equal(*columns)
        every = np.arange(unlimited.count, dtype=np.int32)
        for blocks in (limited, unlimited):
            blocks.spread_change(every)
        for threshold in (200.0, None):
            dirty = unlimited.take_dirty(threshold)
            assert len(dirty) > 50
            np.testing.assert_array_equal(limited.take_dirty(threshold), dirty)
        for blocks in (limited, unlimited):
            blocks.insert(cube(4, 30 + 4 * seed))
        np.testing.assert_array_equal(limited.coords(), unlimited.coords())
        np.testing.assert_array_equal(limited.words(), unlimited.words())
    assert limited.spilled_blocks > 1000 > unlimited.spilled_blocks == 0
    limited.close()
    unlimited.close()
