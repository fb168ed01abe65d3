"""Meshing on devices: the CPU's meshes, to the last bit, and only those that changed."""

from collections.abc import Callable
from dataclasses import fields

import numpy as np
import pytest
from device_volumes import add_view, fused, of_noise, on_device, poses, put_words

from gpu.backend import Backend
from gpu.cpu import CpuBlocks
from gpu.device import surface as device_surface
from gpu.device.pool import CHANGE_STEPS, DevicePool
from gpu.device.surface import DeviceSurface
from gpu.grid import Surface
from gpu.kernels import COORDINATE_LIMIT


@pytest.fixture(scope="module")
def room() -> CpuBlocks:
    return fused()


def every(blocks: CpuBlocks):
    return np.arange(blocks.count, dtype=np.int32)


def require_equal(found: Surface, expected: Surface) -> None:
    """All but the digests, which each backend compares with its own alone."""
    for each in fields(Surface):
        if each.name != "digests":
            ours, theirs = getattr(found, each.name), getattr(expected, each.name)
            assert (ours.shape, ours.dtype) == (theirs.shape, theirs.dtype), each.name
            assert ours.tobytes() == theirs.tobytes(), each.name
    np.testing.assert_array_equal(found.digests == 0, expected.triangle_counts == 0)


def cluster(corner: int):
    """(27, 3) blocks around a corner of space, some of them missing."""
    offsets = np.stack(np.meshgrid(*[np.arange(3)] * 3), axis=-1).reshape(-1, 3)
    offsets = offsets[np.random.default_rng(corner & 7).permutation(27)[:22]]
    return (offsets + corner).astype(np.int32)


def test_a_fused_room_is_meshed_as_on_the_cpu(backend: Backend, room):
    surface = DeviceSurface(on_device(backend, room), 1)

    expected = room.surface(every(room))
    assert len(expected.triangles) > 5000
    require_equal(surface.surface(every(room)), expected)


@pytest.mark.parametrize("min_weight", [1, 4])
@pytest.mark.parametrize("corner", [0, -2, 1 - COORDINATE_LIMIT, COORDINATE_LIMIT - 3])
def test_any_voxels_are_meshed_as_on_the_cpu(backend: Backend, min_weight, corner):
    """Ambiguous cells, absent neighbours, voxels without colour, borders of what is addressed."""
    noise = of_noise(cluster(corner), min_weight)
    surface = DeviceSurface(on_device(backend, noise), min_weight)

    expected = noise.surface(every(noise))
    assert len(np.unique(expected.edge_codes)) > 1900
    assert (expected.colors == 128).all(axis=1).any()
    require_equal(surface.surface(every(noise)), expected)


def test_some_blocks_in_any_order_and_none(backend: Backend, room):
    surface = DeviceSurface(on_device(backend, room), 1)
    some = np.random.default_rng(0).permutation(every(room))[:50]

    require_equal(surface.surface(some), room.surface(some))
    require_equal(surface.surface(some[:0]), room.surface(some[:0]))


def test_batches_are_one_surface(backend: Backend, room, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(device_surface, "BATCH_BLOCKS", 64)
    surface = DeviceSurface(on_device(backend, room), 1)

    require_equal(surface.surface(every(room)), room.surface(every(room)))


def test_a_full_device_meshes_fewer_blocks_at_a_time(
    limited_backend: Callable[[int], Backend], room
):
    backend = limited_backend(1 << 26)
    surface = DeviceSurface(on_device(backend, room), 1)
    memory = backend.memory()
    backend.alloc(memory.limit_bytes - memory.used_bytes - 4096)

    require_equal(surface.surface(every(room)), room.surface(every(room)))
    keep, news = surface.news(every(room), np.zeros(room.count, np.uint64))
    assert keep.sum() == len(news.vertex_counts) > device_surface.LEAST_BATCH_BLOCKS


def redden(words):
    """Take the red out of every tenth block."""
    words[2, ::10] = 0
    return words


def clear(words):
    return np.zeros_like(words)


def test_news_are_what_looks_otherwise(backend: Backend):
    blocks = fused()
    pool = on_device(backend, blocks)
    surface = DeviceSurface(pool, 1)
    published, expected_published = np.zeros((2, 4096), np.uint64)

    for change in (redden, clear, None):
        keep, news = surface.news(every(blocks), published)
        expected_keep, expected = blocks.news(every(blocks), expected_published)
        np.testing.assert_array_equal(keep, expected_keep)
        require_equal(news, expected)
        published[every(blocks)[keep]] = news.digests
        expected_published[every(blocks)[keep]] = expected.digests

        again, nothing = surface.news(every(blocks), published)
        assert not again.any()
        assert len(nothing.vertices) == len(nothing.vertex_counts) == 0
        if change:
            blocks.put_words(change(blocks.words()))
            put_words(pool, blocks)
    assert keep.any()
    assert not news.triangle_counts.any()


def test_a_view_that_changes_part_of_a_room_makes_news_of_that_part(backend: Backend):
    blocks = fused()
    surface = DeviceSurface(on_device(backend, blocks), 1)
    before = blocks.count
    published = np.zeros(4096, np.uint64)
    _, expected = blocks.news(every(blocks), published)
    digests, theirs = published.copy(), published.copy()
    digests[every(blocks)] = surface.surface(every(blocks)).digests
    theirs[every(blocks)] = blocks.surface(every(blocks)).digests
    add_view(blocks, poses(1)[0], seed=9)
    surface = DeviceSurface(on_device(backend, blocks), 1)

    keep, news = surface.news(every(blocks), digests)

    expected_keep, expected = blocks.news(every(blocks), theirs)
    np.testing.assert_array_equal(keep, expected_keep)
    require_equal(news, expected)
    assert 20 < keep[:before].sum() < before / 2


def spread(coords, touched, change):
    """Where change goes, by the definition: per block, and whether there is any."""
    slot_of = {tuple(block): slot for slot, block in enumerate(coords.tolist())}
    pending, stale = np.zeros(len(coords), np.int64), np.zeros(len(coords), bool)
    for slot in touched:
        for corner in range(8):
            crossed = [axis for axis in range(3) if corner >> axis & 1]
            x, y, z = coords[slot] - [corner >> axis & 1 for axis in range(3)]
            reader = slot_of.get((x, y, z))
            if reader is not None:
                parts = [change[slot, 1 + axis] for axis in crossed] or [change[slot, 0]]
                pending[reader] += min(parts)
                stale[reader] = True
    return pending, stale


def changed(pool: DevicePool, touched, seed: int = 0):
    rng = np.random.default_rng(seed)
    change = np.zeros((pool.count, 4), np.uint32)
    change[touched] = rng.integers(0, 20 * CHANGE_STEPS, (len(touched), 4))
    pool.backend.upload(pool.change, change)
    return change.astype(np.int64)


def test_change_makes_the_blocks_that_read_it_dirty(backend: Backend, room):
    pool = on_device(backend, room)
    surface = DeviceSurface(pool, 1)
    touched = np.random.default_rng(1).permutation(every(room))[:150]
    change = changed(pool, touched)

    surface.spread_change(touched)

    pending, stale = spread(room.coords(), touched, change)
    assert not stale.all()
    dirty = pending > 6 * CHANGE_STEPS
    np.testing.assert_array_equal(surface.take_dirty(6.0), np.flatnonzero(dirty))
    rest = stale & ~dirty
    assert rest.any()
    assert len(surface.take_dirty(6.0)) == 0
    np.testing.assert_array_equal(surface.take_dirty(None), np.flatnonzero(rest))
    assert len(surface.take_dirty(None)) == 0
    assert not backend.download(pool.change, np.uint32, 4 * pool.count).any()


def test_change_adds_up_until_it_is_taken_and_never_wraps(backend: Backend, room):
    pool = on_device(backend, room)
    surface = DeviceSurface(pool, 1)
    touched = every(room)[::2].copy()
    total = np.zeros(room.count, np.int64)
    for seed in range(3):
        change = changed(pool, touched, seed)
        surface.spread_change(touched)
        total += spread(room.coords(), touched, change)[0]
    np.testing.assert_array_equal(
        backend.download(pool.pending, np.uint32, pool.count), total.astype(np.uint32)
    )

    for _ in range(40):
        backend.upload(pool.change, np.full(4 * pool.count, 0xFFFFFFFF, np.uint32))
        surface.spread_change(every(room))
    np.testing.assert_array_equal(surface.take_dirty(30000.0), every(room))


def test_mark_all_makes_every_block_dirty_but_not_places_without(backend: Backend, room):
    pool = on_device(backend, room)
    surface = DeviceSurface(pool, 1)

    surface.mark_all()

    assert not backend.download(pool.stale, np.uint32, pool.capacity)[pool.count :].any()
    np.testing.assert_array_equal(surface.take_dirty(None), every(room))


def test_an_empty_pool_has_no_surface_and_nothing_dirty(backend: Backend):
    surface = DeviceSurface(DevicePool.make(backend, 64), 1)

    surface.spread_change(np.empty(0, np.int32))
    surface.mark_all()

    assert len(surface.take_dirty(None)) == len(surface.take_dirty(1.0)) == 0
    assert len(surface.surface(np.empty(0, np.int32)).triangles) == 0
