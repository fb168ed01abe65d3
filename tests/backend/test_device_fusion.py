"""Fusion on devices: the specification's voxels, to the last bit, on real frames where they are."""

import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import specification
from device_volumes import CAMERA, grid, poses, view
from numpy.typing import NDArray
from specification import SpecifiedBlocks

from gpu.backend import Backend
from gpu.cpu import CpuBlocks
from gpu.device.blocks import DeviceBlocks
from gpu.grid import FusionGrid, Pinhole
from replay.opening import open_sequence
from slam.images import decode_frame

VOXEL_M = 0.02
FINE = FusionGrid(VOXEL_M, 4 * VOXEL_M, 0.1, 4.0, 3)
MAX_BLOCKS = 4096
VIEWS, EVERY = 4, 15
f32 = np.float32


@dataclass
class Shot:
    depth: NDArray[np.generic]
    depth_scale_m: float
    color: NDArray[np.uint8]
    confidence: NDArray[np.uint8] | None
    world_from_camera: NDArray[np.float64]

    @property
    def camera_from_world(self):
        return np.linalg.inv(self.world_from_camera)

    def packed(self, grid: FusionGrid) -> specification.View:
        return specification.packed(
            self.depth, self.depth_scale_m, self.color, self.confidence, grid
        )

    def load(self, blocks, image: int = 0) -> None:
        blocks.load(self.depth, self.depth_scale_m, self.color, self.confidence, image)

    def at(self, pose) -> "Shot":
        return Shot(self.depth, self.depth_scale_m, self.color, self.confidence, pose)


def put_in(blocks, shot: Shot):
    shot.load(blocks)
    touched, refused = blocks.touch(shot.world_from_camera, True)
    blocks.integrate(touched, shot.camera_from_world, False)
    return touched, refused


def take_out(blocks, shot: Shot):
    shot.load(blocks)
    touched, _ = blocks.touch(shot.world_from_camera, False)
    blocks.integrate(touched, shot.camera_from_world, True)
    return touched


def specify(blocks: SpecifiedBlocks, shot: Shot, removing: bool = False):
    packed = shot.packed(blocks.grid)
    touched, refused = blocks.touch(packed, shot.world_from_camera, not removing)
    saturated = blocks.integrate(touched, packed, shot.camera_from_world, removing)
    return touched, refused, saturated


@pytest.fixture(scope="module")
def recording():
    """A camera and some of its views, a few with confidence: real ones if there are."""
    folder = Path(os.environ.get("MAPCAST_DATA", "")) / "7scenes-redkitchen"
    sequence = open_sequence(folder if folder.is_dir() else "rendered")
    camera, rng = sequence.calibration.camera, np.random.default_rng(5)
    shots = []
    for index in range(0, VIEWS * EVERY, EVERY):
        (message,) = sequence.frames(1, index)
        frame = decode_frame(message, sequence.calibration)
        confidence = rng.integers(0, 256, frame.depth.shape, np.uint8) if index % 2 else None
        pose = sequence.ground_truth.world_from_camera[index]
        shots.append(Shot(frame.depth, frame.depth_scale_m, frame.color, confidence, pose))
    focal_px = np.array([camera.fx_px, camera.fy_px])
    centre_px = np.array([camera.cx_px, camera.cy_px])
    return Pinhole(camera.width_px, camera.height_px, focal_px, centre_px), shots


@pytest.fixture(scope="module")
def specified(recording):
    """The blocks with all views, and what each of them touched."""
    camera, shots = recording
    blocks = SpecifiedBlocks(FINE, camera, MAX_BLOCKS)
    return blocks, [specify(blocks, shot)[0] for shot in shots]


def change(blocks: DeviceBlocks):
    words = blocks.pool.backend.download(blocks.pool.change, np.uint32, 4 * blocks.count)
    return words.reshape(-1, 4)


def require_equal(blocks: DeviceBlocks, expected: SpecifiedBlocks) -> None:
    np.testing.assert_array_equal(blocks.coords(), expected.coords)
    np.testing.assert_array_equal(blocks.words(), expected.words)
    np.testing.assert_array_equal(change(blocks), expected.change)


def test_views_are_fused_as_specified(backend: Backend, recording, specified):
    """The pool begins too small, so it grows on the way."""
    camera, shots = recording
    expected, touched = specified
    blocks = DeviceBlocks(backend, FINE, camera, MAX_BLOCKS, start_blocks=64)
    for shot, slots in zip(shots, touched, strict=True):
        found, refused = put_in(blocks, shot)
        np.testing.assert_array_equal(found, slots)
        assert refused == 0
    assert blocks.pool.capacity >= blocks.count > 500
    require_equal(blocks, expected)
    weights = blocks.words()[1] & 0xFFFF
    assert weights.max() > 255  # confidence counts
    assert (blocks.words()[2:] != 0).any(axis=(1, 2)).all()


def test_what_is_taken_out_leaves_zero(backend: Backend, recording):
    camera, shots = recording
    blocks = DeviceBlocks(backend, FINE, camera, MAX_BLOCKS)
    touched = [put_in(blocks, shot)[0] for shot in shots]
    assert not len(blocks.empty_blocks())
    for index in (2, 0, 3, 1):
        assert blocks.words().any()
        np.testing.assert_array_equal(take_out(blocks, shots[index]), touched[index])
    assert not blocks.words().any()

    np.testing.assert_array_equal(blocks.empty_blocks(), np.arange(blocks.count))
    blocks.release(blocks.empty_blocks(), [])
    assert blocks.count == 0
    put_in(blocks, shots[0])
    np.testing.assert_array_equal(np.arange(blocks.count), touched[0])


def test_an_exchange_is_a_removal_and_an_integration(backend: Backend, recording, specified):
    camera, shots = recording
    expected = specified[0].copy()
    shift = np.eye(4)
    shift[:3, 3] = (0.031, -0.017, 0.05)
    goes_to = shots[3].at(shift @ shots[1].world_from_camera)
    into, _, _ = specify(expected, goes_to)
    out, _, _ = specify(expected, shots[1], removing=True)

    blocks = DeviceBlocks(backend, FINE, camera, MAX_BLOCKS)
    for shot in shots:
        put_in(blocks, shot)
    shots[1].load(blocks)
    goes_to.load(blocks, 1)
    into_found, _ = blocks.touch(goes_to.world_from_camera, True, 1)
    out_found, _ = blocks.touch(shots[1].world_from_camera, False)
    touched, _ = blocks.exchange(
        out_found, shots[1].camera_from_world, into_found, goes_to.camera_from_world, 1
    )
    np.testing.assert_array_equal(into_found, into)
    np.testing.assert_array_equal(out_found, out)
    np.testing.assert_array_equal(touched, np.union1d(into, out))
    np.testing.assert_array_equal(blocks.coords(), expected.coords)
    np.testing.assert_array_equal(blocks.words(), expected.words)


def near_limits(blocks: int) -> NDArray[np.uint32]:
    """(4, N, 512) words of voxels that are at their limits, or have room for little."""
    rng, shape = np.random.default_rng(1), (blocks, 512)
    weights = rng.choice([0, 1, 200, 65300, 65530, 65534, 65535], shape)
    colored = np.minimum(rng.choice([0, 1, 8222, 8223, 8224], shape), weights)
    blue = green = red = colored * 255  # so that any colour can be taken out
    sums = weights * rng.integers(-32767, 32768, shape)
    low, high = red | (blue & 0x7FF) << 21, green | blue >> 11 << 21
    return np.stack([sums, weights | colored << 16, low, high]).astype(np.uint32)


@pytest.mark.parametrize("removing", [False, True])
def test_voxels_at_their_limits_are_frozen(backend: Backend, recording, specified, removing):
    camera, shots = recording
    expected = specified[0].copy()
    expected.words, expected.change = near_limits(len(expected.coords)), 0 * expected.change
    blocks = DeviceBlocks(backend, FINE, camera, MAX_BLOCKS)
    blocks.insert(expected.coords)
    blocks.put_words(expected.words)

    _, _, saturated = specify(expected, shots[1], removing)
    (take_out if removing else put_in)(blocks, shots[1])
    assert (saturated > 1000) is not removing
    assert blocks.refused_observations() == saturated
    assert blocks.refused_observations() == 0
    require_equal(blocks, expected)


def test_refusals_are_known_a_view_later(backend: Backend, recording, specified):
    camera, shots = recording
    blocks = DeviceBlocks(backend, FINE, camera, MAX_BLOCKS)
    blocks.insert(specified[0].coords)
    blocks.put_words(near_limits(blocks.count))
    shots[0].load(blocks)
    touched, _ = blocks.touch(shots[0].world_from_camera, True)
    assert blocks.integrate(touched, shots[0].camera_from_world, False) == 0
    blocks.touch(shots[0].world_from_camera, True)
    assert blocks.integrate(touched[:0], shots[0].camera_from_world, False) > 1000
    assert blocks.refused_observations() == 0


def test_a_full_pool_refuses_blocks_for_good(backend: Backend, recording):
    camera, shots = recording
    limit = 650
    expected = SpecifiedBlocks(FINE, camera, limit)
    blocks = DeviceBlocks(backend, FINE, camera, limit)
    assert not len(blocks.refused_keys)
    for shot in shots[:2]:
        slots, refused, _ = specify(expected, shot)
        found, found_refused = put_in(blocks, shot)
        np.testing.assert_array_equal(found, slots)
        assert found_refused == refused > 0
    assert len(blocks.refused_keys) == len(expected.banned)
    assert (np.diff(blocks.refused_keys) > 0).all()
    require_equal(blocks, expected)

    other = DeviceBlocks(backend, FINE, camera, MAX_BLOCKS)
    other.refuse(blocks.refused_keys)
    _, refused = put_in(other, shots[0])
    assert refused > 0
    banned = {tuple(each) for each in other.coords().tolist()} & expected.banned
    assert not banned


def test_places_are_given_back_as_on_the_cpu(backend: Backend, recording, specified):
    camera, _ = recording
    coords, rng = specified[0].coords, np.random.default_rng(2)
    words = near_limits(len(coords))
    slots = np.unique(rng.integers(0, len(coords), 150)).astype(np.int32)
    slots = np.union1d(slots, len(coords) - np.array([1, 2, 4], np.int32)).astype(np.int32)
    words[:, slots] = 0
    all_blocks, columns = [], []
    for blocks in (
        CpuBlocks(FINE, camera, MAX_BLOCKS),
        DeviceBlocks(backend, FINE, camera, MAX_BLOCKS),
    ):
        blocks.insert(coords)
        blocks.put_words(words)
        column = np.zeros(MAX_BLOCKS, np.uint64)
        column[: len(coords)] = np.arange(1, len(coords) + 1)
        blocks.release(slots, [column])
        all_blocks.append(blocks)
        columns.append(column)
    cpu, device = all_blocks
    assert device.count == len(coords) - len(slots)
    np.testing.assert_array_equal(device.coords(), cpu.coords())
    np.testing.assert_array_equal(device.words(), cpu.words())
    np.testing.assert_array_equal(*columns)
    assert device.insert(coords) == len(coords) - len(slots)
    assert not device.words()[:, len(coords) - len(slots) :].any()


def test_a_restored_volume_goes_on_as_before(backend: Backend, recording, specified):
    camera, shots = recording
    expected = specified[0].copy()
    blocks = DeviceBlocks(backend, FINE, camera, MAX_BLOCKS)
    put_in(blocks, shots[0])
    blocks.clear()
    assert blocks.count == 0
    assert blocks.insert(np.concatenate([expected.coords, expected.coords[:3]])) == 3
    assert not blocks.words().any()
    blocks.put_words(expected.words)
    expected.change[:] = 0
    for _ in range(2):
        specify(expected, shots[2])
        put_in(blocks, shots[2])
    require_equal(blocks, expected)


@pytest.mark.parametrize("metres", [(4000.3, -2000.7, 77000.1), (-83000.0, 12.3, 0.05)])
def test_far_from_the_origin_nothing_is_lost(backend: Backend, recording, metres):
    camera, shots = recording
    pose = shots[1].world_from_camera.copy()
    pose[:3, 3] += metres
    shot = shots[1].at(pose)
    expected = SpecifiedBlocks(FINE, camera, MAX_BLOCKS)
    blocks = DeviceBlocks(backend, FINE, camera, MAX_BLOCKS)
    specify(expected, shot)
    put_in(blocks, shot)
    require_equal(blocks, expected)
    assert (blocks.words()[1] != 0).mean() > 0.3


def test_odd_sizes_and_numbers_that_are_none(backend: Backend):
    """Images of no whole number of words; depth that is NaN, infinite, negative or too far."""
    camera = Pinhole(37, 29, np.array([30.0, 31.0]), np.array([17.5, 13.9]))
    rng = np.random.default_rng(4)
    depth = rng.uniform(1, 1.2, (29, 37)).astype(f32)
    depth.ravel()[::7] = np.resize([np.nan, np.inf, -np.inf, -1, 0, 1e30, 1e-40], 154)
    color = rng.integers(0, 256, (29, 37, 3), np.uint8)
    confidence = rng.integers(0, 3, (29, 37), np.uint8)
    millimetres = np.nan_to_num(depth, nan=0, posinf=0, neginf=0).clip(0, 60) * 1000
    expected = SpecifiedBlocks(FINE, camera, MAX_BLOCKS)
    blocks = DeviceBlocks(backend, FINE, camera, MAX_BLOCKS)
    for shot in (
        Shot(depth, 1.0, color, confidence, np.eye(4)),
        Shot(millimetres.astype(np.uint16), 0.001, color, None, np.eye(4)),
    ):
        specify(expected, shot)
        put_in(blocks, shot)
    require_equal(blocks, expected)


def spilling_run(blocks: DeviceBlocks):
    """All that can be seen of a volume that views come to and leave."""
    published = np.zeros(MAX_BLOCKS, np.uint64)
    shots = [Shot(*view(pose, i)[:1], 1.0, view(pose, i)[1], None, pose) for i, pose in
             enumerate(poses())]  # fmt: skip
    put_in(blocks, shots[0])
    small = Pinhole(30, 20, CAMERA.focal_px, np.array([14.5, 9.5]))  # what it sees fits
    color, depth_m, normals = blocks.raycast(small, poses()[0], np.linalg.inv(poses()[0]))
    assert (depth_m > 0).mean() > 0.3
    yield from (color, depth_m, normals)
    for shot in (*shots, shots[0].at(poses()[1])):
        touched, _ = put_in(blocks, shot)
        blocks.spread_change(touched)
        yield touched
        yield blocks.take_dirty(200.0)
    dirty = blocks.take_dirty(None)
    yield dirty
    keep, surface = blocks.news(dirty, published)
    yield keep
    yield surface.triangles
    yield surface.colors
    yield blocks.surface(dirty).along
    yield blocks.words()
    field = blocks.field()
    points = field.points(shots[0].depth, 1.0, (0.1, 4.0), 4)
    yield from field.sample(points, poses()[0], 1)
    touched = take_out(blocks, shots[0])
    blocks.spread_change(touched)
    yield blocks.empty_blocks()
    blocks.release(blocks.empty_blocks(), [published])
    yield blocks.take_dirty(200.0)
    yield blocks.coords().copy()
    shots[1].load(blocks)
    shots[2].load(blocks, 1)
    out, _ = blocks.touch(poses()[1], False)
    into, _ = blocks.touch(poses()[0], True, 1)
    yield blocks.exchange(out, np.linalg.inv(poses()[1]), into, np.linalg.inv(poses()[0]), 1)[0]
    yield blocks.words()
    blocks.put_words(blocks.words()[:, ::-1].copy())
    yield blocks.words()


def test_without_room_blocks_move_to_main_memory_and_nothing_is_lost(limited_backend, caplog):
    """A view alone touches more than there is room for."""
    ample = limited_backend(1 << 34)
    unlimited = DeviceBlocks(ample, grid(), CAMERA, MAX_BLOCKS, start_blocks=64)
    blocks_bytes = 80 * 8300
    used_bytes = ample.memory().used_bytes + blocks_bytes // 4
    small = limited_backend(used_bytes * 8 // 7)
    limited = DeviceBlocks(small, grid(), CAMERA, MAX_BLOCKS, start_blocks=64)
    assert limited.spilled_blocks == 0
    for expected, found in zip(spilling_run(unlimited), spilling_run(limited), strict=True):
        np.testing.assert_array_equal(found, expected)
    assert unlimited.spilled_blocks == 0
    assert limited.spilled_blocks == limited.count - limited.pool.count > limited.count // 2
    messages = [each.getMessage() for each in caplog.records if "device memory" in each.message]
    assert len(messages) == 1
    limited.clear()
    assert limited.count == limited.spilled_blocks == 0
    limited.close()
    unlimited.close()
    assert small.memory().used_bytes == ample.memory().used_bytes == 0


def is_toss_up(shots, coords, camera: Pinhole):
    """(K, 512) whether a view sees a voxel between two pixels, or at the end of what it counts."""
    found = np.zeros((len(coords), 512), np.bool_)
    for shot in shots:
        u, v, z = specification.projected(coords, shot.camera_from_world, FINE, camera)
        found |= (np.abs(u - np.round(u)) < 1e-3) | (np.abs(v - np.round(v)) < 1e-3)
        depth_m = shot.packed(FINE).depth_m
        inside = (z > 0) & (u >= 0) & (v >= 0) & (u < camera.width_px) & (v < camera.height_px)
        row, column = np.where(inside, v, 0).astype(int), np.where(inside, u, 0).astype(int)
        beyond_m = np.abs(np.abs(depth_m[row, column] - z) - FINE.truncation_m)
        found |= inside & (beyond_m < 1e-5)
    return found


def test_the_cpu_differs_in_few_voxels(recording, specified):
    """numba's arithmetic rounds otherwise: where it is a toss-up, another pixel is read."""
    camera, shots = recording
    expected, _ = specified
    blocks = CpuBlocks(FINE, camera, MAX_BLOCKS)
    for shot in shots:
        put_in(blocks, shot)
    rows, slots = shared_blocks(expected.coords, blocks.coords())
    assert len(rows) >= 0.998 * max(len(expected.coords), blocks.count)
    ours, theirs = blocks.words()[:, slots], expected.words[:, rows]
    observations = np.maximum(theirs[1] & 0xFFFF, 1)
    sums = (each[0].view(np.int32).astype(np.int64) for each in (ours, theirs))
    steps = np.abs(np.subtract(*sums)) / observations
    differs = (ours[1:] != theirs[1:]).any(axis=0) | (steps > 2)
    assert differs.mean() < 1e-4
    assert is_toss_up(shots, expected.coords[rows], camera)[differs].all()


def shared_blocks(first, second):
    """The rows of blocks in one array, and in another, that both have."""
    row_of = {tuple(each): row for row, each in enumerate(second.tolist())}
    pairs = [
        (row, row_of[tuple(each)])
        for row, each in enumerate(first.tolist())
        if tuple(each) in row_of
    ]
    return tuple(np.array(pairs).T)
