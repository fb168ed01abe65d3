"""The NumPy specification of integration, and the kernel against it."""

import numpy as np
import pytest

from gpu.cpu import CpuBlocks
from gpu.grid import FusionGrid, Pinhole

GRID = FusionGrid(
    voxel_size_m=0.03, truncation_m=0.12, depth_min_m=0.2, depth_max_m=3.0, min_weight=3
)
CAMERA = Pinhole(40, 30, np.array([38.0, 39.0]), np.array([19.2, 14.7]))


def specification(coords, depth_m, color, world_from_camera):
    """One view into empty voxels: quantised distance, weight, colour count, colour."""
    z, y, x = (axis.ravel() for axis in np.mgrid[:8, :8, :8])
    world = (coords[:, None, :] * 8 + np.stack([x, y, z], 1)) * GRID.voxel_size_m
    camera = (world - world_from_camera[:3, 3]) @ world_from_camera[:3, :3]
    with np.errstate(divide="ignore", invalid="ignore"):
        pixel = camera[..., :2] / camera[..., 2:] * CAMERA.focal_px + CAMERA.centre_px
    u, v = np.floor(pixel + 0.5).astype(int).transpose(2, 0, 1)
    inside = (camera[..., 2] > 0.01) & (u >= 0) & (v >= 0) & (u < 40) & (v < 30)
    u, v = np.where(inside, u, 0), np.where(inside, v, 0)
    depth = depth_m[v, u]
    in_range = (depth >= GRID.depth_min_m) & (depth <= GRID.depth_max_m)
    distance = depth - camera[..., 2]
    seen = inside & in_range & (distance >= -GRID.truncation_m)
    near = seen & (distance <= GRID.truncation_m)
    steps = np.floor(np.minimum(distance / GRID.truncation_m, 1) * 32767 + 0.5)
    return np.where(seen, steps, 0), seen, near, np.where(near[..., None], color[v, u], 0)


@pytest.fixture
def view():
    rng = np.random.default_rng(3)
    depth_m = rng.uniform(0.8, 1.4, (30, 40)).astype(np.float32)
    depth_m[rng.random((30, 40)) < 0.1] = 0
    depth_m[0, :5] = 3.5
    color = rng.integers(0, 256, (30, 40, 3), dtype=np.uint8)
    angle = 0.4
    pose = np.eye(4)
    pose[:3, :3] = [
        [np.cos(angle), 0, np.sin(angle)],
        [0, 1, 0],
        [-np.sin(angle), 0, np.cos(angle)],
    ]
    pose[:3, 3] = (0.3, -0.2, 0.1)
    return depth_m, color, pose


def channel_sums(blocks):
    n = blocks.count
    low, high = (
        blocks.pool.color_low[:n].astype(np.int64),
        blocks.pool.color_high[:n].astype(np.int64),
    )
    return np.stack([low & 0x1FFFFF, high & 0x1FFFFF, (low >> 21) | (high >> 21) << 11], -1)


def test_one_view_agrees_with_the_specification(view):
    """Float32 against float64: pixel borders may fall to the other side, rarely."""
    depth_m, color, pose = view
    blocks = CpuBlocks(GRID, CAMERA, 4096)
    blocks.load(depth_m, 1.0, color)
    touched, refused = blocks.touch(pose, allocate=True)
    assert refused == 0
    assert blocks.integrate(touched, np.linalg.inv(pose), removing=False) == 0

    n = blocks.count
    steps, seen, near, colors = specification(blocks.pool.coords[:n], depth_m, color, pose)
    assert seen.sum() > 5000
    weight, colored = blocks.pool.counts[:n] & 0xFFFF, blocks.pool.counts[:n] >> 16
    assert (weight != seen).mean() < 1e-3
    assert (colored != near).mean() < 1e-3
    same = (weight == seen) & (colored == near)
    assert (np.abs(blocks.pool.sdf_sum[:n] - steps)[same] > 2).mean() < 1e-3
    assert (channel_sums(blocks) != colors)[same].mean() < 1e-3


def test_touched_blocks_hold_every_surface_point(view):
    """Every pixel's own surface point, also of those between the sampled rays, has its block."""
    depth_m, color, pose = view
    smooth = np.full_like(depth_m, 1.0) + np.linspace(0, 1, 40, dtype=np.float32)
    blocks = CpuBlocks(GRID, CAMERA, 4096)
    blocks.load(smooth, 1.0, color)
    blocks.touch(pose, allocate=True)
    v, u = np.mgrid[:30, :40]
    rays = np.stack(
        [
            (u - CAMERA.centre_px[0]) / CAMERA.focal_px[0],
            (v - CAMERA.centre_px[1]) / CAMERA.focal_px[1],
            np.ones_like(u),
        ],
        -1,
    )
    world = (rays * smooth[..., None]) @ pose[:3, :3].T + pose[:3, 3]
    needed = {tuple(b) for b in np.floor(world.reshape(-1, 3) / 0.24).astype(int)}
    assert needed <= {tuple(b) for b in blocks.pool.coords[: blocks.count]}


def test_color_sums_carry_over_words_and_back(view):
    """Blue needs the carry between words from the ninth white observation on."""
    depth_m, _, pose = view
    blocks = CpuBlocks(GRID, CAMERA, 4096)
    blocks.load(depth_m, 1.0, np.full((30, 40, 3), (251, 252, 255), np.uint8))
    touched, _ = blocks.touch(pose, allocate=True)
    for _ in range(50):
        blocks.integrate(touched, np.linalg.inv(pose), removing=False)
    count = blocks.pool.counts[: blocks.count] >> 16
    assert set(np.unique(count).tolist()) == {0, 50}
    np.testing.assert_array_equal(channel_sums(blocks), count[..., None] * [251, 252, 255])
    for left in range(49, -1, -1):
        blocks.integrate(touched, np.linalg.inv(pose), removing=True)
        expected = np.minimum(count, left)[..., None] * [251, 252, 255]
        np.testing.assert_array_equal(channel_sums(blocks), expected)
    assert not blocks.pool.sdf_sum.any()


def test_weight_stops_at_its_limit(view):
    """A voxel with 65535 observations is frozen: it neither takes nor gives."""
    depth_m, color, pose = view
    blocks = CpuBlocks(GRID, CAMERA, 4096)
    blocks.load(depth_m, 1.0, color)
    touched, _ = blocks.touch(pose, allocate=True)
    blocks.pool.counts[touched] = 65534
    camera_from_world = np.linalg.inv(pose)
    assert blocks.integrate(touched, camera_from_world, removing=False) == 0
    full = (blocks.pool.counts & 0xFFFF) == 65535
    sums = blocks.pool.sdf_sum.copy()
    assert blocks.integrate(touched, camera_from_world, removing=False) == full.sum() > 0
    blocks.integrate(touched, camera_from_world, removing=True)
    np.testing.assert_array_equal(blocks.pool.sdf_sum, sums)
    assert ((blocks.pool.counts & 0xFFFF)[full] == 65535).all()


def test_the_observation_that_fills_a_voxel_counts_for_what_there_is_room(view):
    """A full voxel's mean is that of what it took, and nothing of it can be taken out."""
    depth_m, color, pose = view
    blocks = CpuBlocks(GRID, CAMERA, 4096)
    camera_from_world = np.linalg.inv(pose)
    blocks.load(depth_m, 1.0, color, np.full((30, 40), 255, np.uint8))
    touched, _ = blocks.touch(pose, allocate=True)
    for _ in range(256):
        assert blocks.integrate(touched, camera_from_world, removing=False) == 0
    seen = (blocks.pool.counts & 0xFFFF) == 65280
    steps = blocks.pool.sdf_sum // 65280
    blocks.load(depth_m, 1.0, color, np.full((30, 40), 254, np.uint8))
    assert blocks.integrate(touched, camera_from_world, removing=False) == 0
    blocks.load(depth_m, 1.0, color, np.full((30, 40), 8, np.uint8))
    assert blocks.integrate(touched, camera_from_world, removing=False) == seen.sum() > 5000
    for _ in range(2):
        assert ((blocks.pool.counts & 0xFFFF) == np.where(seen, 65535, 0)).all()
        np.testing.assert_array_equal(blocks.pool.sdf_sum, steps * np.where(seen, 65535, 0))
        blocks.integrate(touched, camera_from_world, removing=True)


@pytest.mark.parametrize("same_images", [True, False])
@pytest.mark.parametrize("most_confidence", [1, 8, 255])
@pytest.mark.parametrize("voxels", ["fused", "near the limits", "never fused"])
def test_exchange_is_taking_out_and_then_putting_in(view, same_images, most_confidence, voxels):
    """Bit for bit, also of frozen voxels, and of blocks that only one of the views touches."""
    depth_m, color, was_at = view
    goes_to = was_at.copy()
    goes_to[:3, 3] += (0.3, 0.1, -0.2)
    rng = np.random.default_rng(6)
    was = depth_m, 1.0, color, rng.integers(0, most_confidence + 1, (30, 40), dtype=np.uint8)
    becomes = was if same_images else (depth_m[:, ::-1].copy(), 0.95, color[::-1], was[3][::-1])
    camera_was, camera_is = np.linalg.inv(was_at), np.linalg.inv(goes_to)
    at_once, one_by_one = CpuBlocks(GRID, CAMERA, 4096), CpuBlocks(GRID, CAMERA, 4096)
    for blocks in (at_once, one_by_one):
        blocks.load(*was)
        out, _ = blocks.touch(was_at, allocate=True)
        if voxels == "fused":
            blocks.integrate(out, camera_was, removing=False)
        blocks.load(*becomes, image=1)
        into, _ = blocks.touch(goes_to, allocate=True, image=1)
    assert min(map(len, (np.setdiff1d(out, into), np.setdiff1d(into, out)))) > 10
    assert len(np.intersect1d(out, into)) > 10
    if voxels == "near the limits":
        for blocks in (at_once, one_by_one):
            _fill_nearly(blocks, np.random.default_rng(7))

    image_into = 0 if same_images else 1
    touched, refused = at_once.exchange(out, camera_was, into, camera_is, image_into)
    assert one_by_one.integrate(out, camera_was, removing=True) == 0
    one_by_one.load(*becomes)
    assert refused == one_by_one.integrate(into, camera_is, removing=False)
    assert (refused > 0) == (voxels == "near the limits")
    np.testing.assert_array_equal(touched, np.union1d(out, into))
    for name in ("sdf_sum", "counts", "color_low", "color_high"):
        moved, expected = getattr(at_once.pool, name), getattr(one_by_one.pool, name)
        np.testing.assert_array_equal(moved, expected)
    np.testing.assert_allclose(at_once.pool.change, one_by_one.pool.change, rtol=1e-5)


def _fill_nearly(blocks, rng):
    """Any sums, few and nearly too many observations and colours."""
    shape = (blocks.count, 512)
    few, many = rng.integers(0, 300, shape), rng.integers(65535 - 300, 65536, shape)
    weight = np.where(rng.random(shape) < 0.5, few, many)
    weight[rng.random(shape) < 0.1] = 65535
    colored = rng.choice([0, 1, 8223, 8224], shape)
    blocks.pool.counts[: blocks.count] = weight | colored << 16
    blocks.pool.sdf_sum[: blocks.count] = weight * rng.integers(-32767, 32768, shape)
    for sums in (blocks.pool.color_low, blocks.pool.color_high):
        sums[: blocks.count] = rng.integers(0, 1 << 32, shape)


def test_confidence_counts_as_so_many_observations(view):
    """Distance by confidence, colour once; a pixel without confidence has no depth."""
    depth_m, color, pose = view
    camera_from_world = np.linalg.inv(pose)
    confidence = np.zeros((30, 40), np.uint8)
    confidence[:, 10:20], confidence[:, 20:] = 1, 5
    weighed, repeated = CpuBlocks(GRID, CAMERA, 4096), CpuBlocks(GRID, CAMERA, 4096)
    for blocks in (weighed, repeated):
        blocks.load(depth_m, 1.0, color, confidence)
        touched, _ = blocks.touch(pose, allocate=True)
    weighed.integrate(touched, camera_from_world, removing=False)
    for times in (1, 5):
        repeated.load(np.where(confidence == times, depth_m, 0).astype(np.float32), 1.0, color)
        for _ in range(times):
            repeated.integrate(touched, camera_from_world, removing=False)

    np.testing.assert_array_equal(weighed.pool.sdf_sum, repeated.pool.sdf_sum)
    weight, colored = weighed.pool.counts & 0xFFFF, weighed.pool.counts >> 16
    np.testing.assert_array_equal(weight, repeated.pool.counts & 0xFFFF)
    assert set(np.unique(weight)) == {0, 1, 5}
    assert set(np.unique(colored)) == {0, 1}


def test_change_is_that_of_the_mean_whatever_the_weights(view):
    """Summed over a block, in truncations; what crosses the weight to be meshed adds 1024."""
    depth_m, color, pose = view
    blocks = CpuBlocks(GRID, CAMERA, 4096)
    camera_from_world = np.linalg.inv(pose)
    one, other = np.random.default_rng(5).integers(1, 9, (2, 30, 40), dtype=np.uint8)

    def means():
        weight = blocks.pool.counts[: blocks.count] & 0xFFFF
        return blocks.pool.sdf_sum[: blocks.count] / np.maximum(weight, 1) / 32767, weight

    for confidence, scale, removing in ((one, 1, False), (other, 0.99, False), (one, 1, True)):
        blocks.load(depth_m * np.float32(scale), 1.0, color, confidence)
        touched, _ = blocks.touch(pose, allocate=True)
        blocks.pool.change[:] = 0
        before, weight_before = means()
        blocks.integrate(touched, camera_from_world, removing)
        after, weight_after = means()
        crossed = (weight_before >= GRID.min_weight) != (weight_after >= GRID.min_weight)
        meant = np.where((weight_before > 0) & (weight_after > 0), np.abs(after - before), 0)
        np.testing.assert_allclose(
            blocks.pool.change[: blocks.count, 0],
            (meant + 1024 * crossed).sum(1),
            rtol=1e-4,
            atol=1e-3,
        )


def test_change_tells_blocks_and_their_lower_neighbours(view):
    depth_m, color, pose = view
    blocks = CpuBlocks(GRID, CAMERA, 4096)
    blocks.load(depth_m, 1.0, color)
    touched, _ = blocks.touch(pose, allocate=True)
    blocks.integrate(touched, np.linalg.inv(pose), removing=False)
    blocks.spread_change(touched)
    # A first observation moves no mean and does not reach the weight to be meshed.
    assert not len(blocks.take_dirty(0.0))
    assert np.isin(touched, blocks.take_dirty(None)).all()
    blocks.integrate(touched, np.linalg.inv(pose), removing=False)
    blocks.integrate(touched, np.linalg.inv(pose), removing=False)
    blocks.spread_change(touched)
    observed = np.flatnonzero((blocks.pool.counts[: blocks.count] & 0xFFFF).any(1))
    assert np.isin(observed, blocks.take_dirty(1000.0)).all()
    blocks.spread_change(touched)
    assert not len(blocks.take_dirty(0.0))
