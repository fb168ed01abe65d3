from dataclasses import replace

import numba
import numpy as np
import pytest
from sphere_and_wall import (
    SPHERE_CENTRE,
    SPHERE_COLOR,
    SPHERE_RADIUS_M,
    WALL_COLOR,
    as_millimetres,
    render,
    turned,
)

from fusion.volume import Volume, VolumeSettings
from mapcast_client.errors import FrameError, InputError
from slam.camera import Camera
from slam.frame import Frame


def fused(settings, camera, views):
    volume = Volume(settings, camera)
    for frame, pose in views:
        volume.integrate(frame, pose)
    return volume


def by_coordinates(volume):
    """Words of each block that is not all zero, whatever its place in the pool."""
    words = volume.voxel_words()
    return {
        tuple(block): words[:, slot].tobytes()
        for slot, block in enumerate(volume.block_coords.tolist())
        if words[:, slot].any()
    }


def wall_frame(camera, depth_m=1.0, color=(10, 20, 30)):
    shape = (camera.height_px, camera.width_px)
    depth = np.full(shape, depth_m, np.float32)
    return Frame(0, 0, np.full((*shape, 3), color, np.uint8), depth, 1.0)


def test_removing_every_view_in_any_order_leaves_zero(settings, camera, views):
    volume = fused(settings, camera, views)
    assert volume.voxel_words().any()
    for index in np.random.default_rng(0).permutation(len(views)):
        volume.remove(*views[index])
    assert not volume.voxel_words().any()


def test_moving_views_equals_fusing_from_scratch(settings, camera, views):
    volume = fused(settings, camera, views)
    shifted = turned(0.03, 0.04)
    for index in np.random.default_rng(1).permutation(len(views)):
        frame, pose = views[index]
        volume.remove(frame, pose)
        volume.integrate(frame, shifted @ pose)
    scratch = fused(settings, camera, [(frame, shifted @ pose) for frame, pose in views])
    assert by_coordinates(volume) == by_coordinates(scratch)


def test_result_does_not_depend_on_order_or_threads(settings, camera, views):
    expected = by_coordinates(fused(settings, camera, views))
    threads = numba.get_num_threads()
    try:
        numba.set_num_threads(1)
        assert by_coordinates(fused(settings, camera, views[::-1])) == expected
    finally:
        numba.set_num_threads(threads)


def test_millimetres_and_metres_agree(settings, camera, views):
    frame, pose = views[0]
    metres = Frame(0, 0, frame.color, as_millimetres(frame).depth * np.float32(0.001), 1.0)
    assert by_coordinates(fused(settings, camera, [(as_millimetres(frame), pose)])) == (
        by_coordinates(fused(settings, camera, [(metres, pose)]))
    )


def test_distance_to_a_wall_is_exact_in_every_voxel_before_it(camera):
    """Along +Z the projective distance to a fronto-parallel wall is the true one."""
    settings = VolumeSettings(voxel_size_m=0.02, max_blocks=4096)
    volume = fused(settings, camera, [(wall_frame(camera), np.eye(4))])
    words = volume.voxel_words()
    weight = words[1] & 0xFFFF
    z = np.broadcast_to(np.arange(8)[:, None, None], (8, 8, 8)).reshape(512)
    voxel_z = (volume.block_coords[:, 2:3] * 8 + z) * 0.02
    steps = np.clip((1.0 - voxel_z) / settings.truncation_m, None, 1) * 32767
    seen = weight == 1
    assert seen.sum() > 20_000
    np.testing.assert_allclose(words[0].view(np.int32)[seen], steps[seen], atol=1)
    assert (voxel_z[seen] < 1.0 + settings.truncation_m + 1e-6).all()


def test_nearest_pixel_has_its_centre_at_integers(camera):
    """A voxel at (u, v) takes the colour of pixel floor(u + 0.5), floor(v + 0.5)."""
    settings = VolumeSettings(voxel_size_m=0.02, max_blocks=4096)
    frame = wall_frame(camera)
    v, u = np.mgrid[: camera.height_px, : camera.width_px]
    color = np.stack([u, v, 0 * u], -1).astype(np.uint8)
    volume = fused(settings, camera, [(Frame(0, 0, color, frame.depth, 1.0), np.eye(4))])
    words = volume.voxel_words()
    z, y, x = (axis.ravel() for axis in np.mgrid[:8, :8, :8])
    position = (volume.block_coords[:, None, :] * 8 + np.stack([x, y, z], 1)) * 0.02
    pixel = position[..., :2] / position[..., 2:] * camera.fx_px + (camera.cx_px, camera.cy_px)
    colored = (words[1] >> 16) == 1
    # Stay off the borders between pixels, where rounding may go either way.
    clear = colored & (np.abs(pixel % 1 - 0.5) > 1e-3).all(-1)
    assert clear.sum() > 10_000
    field = 0x1FFFFF
    np.testing.assert_array_equal((words[2] & field)[clear], np.floor(pixel[clear] + 0.5)[:, 0])
    np.testing.assert_array_equal((words[3] & field)[clear], np.floor(pixel[clear] + 0.5)[:, 1])


def test_colors_only_inside_the_truncation_band(settings, camera, views):
    words = fused(settings, camera, views[:1]).voxel_words()
    quantised, weight, colored = words[0].view(np.int32), words[1] & 0xFFFF, words[1] >> 16
    assert ((quantised == 32767) & (weight == 1) & (colored == 0)).any()
    assert (colored <= weight).all()
    assert not words[2:, colored == 0].any()


def test_a_full_voxel_is_frozen_and_counted(camera):
    settings = VolumeSettings(voxel_size_m=0.05, max_blocks=1024)
    small = Camera(16, 12, 15.0, 15.0, 7.5, 5.5)
    volume = Volume(settings, small)
    frame, white = wall_frame(small), wall_frame(small, color=(255, 255, 255))
    for _ in range(8224):
        volume.integrate(white, np.eye(4))
    assert volume.saturated_observations == 0
    before = volume.voxel_words()
    assert (before[1] >> 16).max() == 8224
    volume.integrate(frame, np.eye(4))
    after = volume.voxel_words()
    assert volume.saturated_observations == ((before[1] >> 16) == 8224).sum()
    np.testing.assert_array_equal(after[2:], before[2:])
    assert (after[1] & 0xFFFF).max() == 8225


def test_a_full_pool_refuses_new_blocks_and_keeps_fusing(camera, views):
    frame, pose = views[0]
    volume = Volume(VolumeSettings(voxel_size_m=0.02, max_blocks=50), camera)
    first = volume.integrate(frame, pose)
    assert volume.is_full
    assert volume.block_count == len(first) == 50
    refused = volume.refused_blocks
    assert (
        refused == len(Volume(VolumeSettings(voxel_size_m=0.02), camera).integrate(*views[0])) - 50
    )
    np.testing.assert_array_equal(volume.integrate(frame, pose), first)
    assert volume.refused_blocks == 2 * refused
    volume.remove(frame, pose)
    volume.remove(frame, pose)
    assert not volume.voxel_words().any()
    volume.clear()
    assert (volume.block_count, volume.is_full) == (0, False)


def test_clear_forgets_everything(settings, camera, views):
    volume = fused(settings, camera, views)
    volume.clear()
    assert len(volume.block_coords) == 0
    for frame, pose in views:
        volume.integrate(frame, pose)
    assert by_coordinates(volume) == by_coordinates(fused(settings, camera, views))


def test_blocks_depend_on_the_view_alone(settings, camera, views):
    volume = fused(settings, camera, views)
    frame, pose = views[5]
    alone = Volume(settings, camera)
    there = {tuple(alone.block_coords[slot]) for slot in alone.integrate(frame, pose)}
    assert {tuple(volume.block_coords[slot]) for slot in volume.integrate(frame, pose)} == there


def test_removing_a_view_that_is_not_in_takes_nothing_below_zero(settings, camera, views):
    volume = Volume(settings, camera)
    assert len(volume.remove(*views[0])) == 0
    volume.integrate(*views[0])
    volume.remove(*views[0])
    volume.remove(*views[0])
    assert not volume.voxel_words().any()


def test_raycast_sees_what_was_fused(settings, camera, views):
    volume = fused(settings, camera, views)
    pose = turned(0.03, 0.02)
    truth = render(camera, pose)
    view = volume.raycast(camera, pose)
    hit = view.depth_m > 0
    assert hit.mean() > 0.9
    error_m = np.abs(view.depth_m - truth.depth)[hit]
    assert np.median(error_m) < 0.002
    assert np.percentile(error_m, 90) < 0.02
    middle = view.color[55:65, 75:85].reshape(-1, 3).mean(0)
    np.testing.assert_allclose(middle, SPHERE_COLOR, atol=8)
    np.testing.assert_allclose(view.color[5, 5], WALL_COLOR, atol=8)
    assert not view.color[~hit].any()
    assert not view.normals_world[~hit].any()


def test_raycast_normals_point_to_free_space(settings, camera, views):
    volume = fused(settings, camera, views)
    view = volume.raycast(camera, np.eye(4))
    v, u = 60, 80
    point = np.linalg.inv(camera.matrix) @ (u, v, 1) * view.depth_m[v, u]
    outward = (point - SPHERE_CENTRE) / np.linalg.norm(point - SPHERE_CENTRE)
    assert np.linalg.norm(point - SPHERE_CENTRE) == pytest.approx(SPHERE_RADIUS_M, abs=0.001)
    assert view.normals_world[v, u] @ outward > 0.98
    assert view.normals_world[5, 5] @ (0, 0, -1) > 0.99
    lengths = np.linalg.norm(view.normals_world[view.depth_m > 0], axis=1)
    np.testing.assert_allclose(lengths, 1, atol=1e-5)


def test_raycast_ends_where_its_steps_are_rounded_off(settings, camera, views):
    volume = Volume(settings, camera)
    frame, pose = views[6]
    for _ in range(3):
        volume.integrate(frame, pose)
    away = pose.copy()
    away[2, 3] -= 50_000
    assert not volume.raycast(camera, away).depth_m.any()


def test_raycast_of_an_empty_volume_is_empty(settings, camera):
    view = Volume(settings, camera).raycast(Camera(33, 17, 20.0, 20.0, 16.0, 8.0), np.eye(4))
    assert view.color.shape == (17, 33, 3)
    assert not view.depth_m.any()


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("voxel_size_m", 0.0),
        ("voxel_size_m", float("nan")),
        ("truncation_vox", 1),
        ("depth_min_m", 5.0),
        ("depth_max_m", float("inf")),
        ("max_blocks", 0),
        ("min_weight", 0),
    ],
)
def test_settings_that_cannot_work_are_refused(field, value):
    with pytest.raises(InputError, match=field):
        VolumeSettings(**{field: value})


def test_distorted_cameras_are_refused(settings):
    distorted = Camera(160, 120, 150.0, 150.0, 79.5, 59.5, (0.1, 0.0, 0.0, 0.0))
    with pytest.raises(InputError, match="rectified"):
        Volume(settings, distorted)
    with pytest.raises(InputError, match="rectified"):
        Volume(settings, Camera(9, 9, 9.0, 9.0, 4.0, 4.0)).raycast(distorted, np.eye(4))


@pytest.mark.parametrize("distance_m", [1e5, 1e30, float("nan"), float("inf")])
def test_poses_out_of_the_grid_are_refused(settings, camera, views, distance_m):
    volume = Volume(settings, camera)
    pose = np.eye(4)
    pose[1, 3] = -distance_m
    with pytest.raises(InputError, match="world_from_camera"):
        volume.integrate(views[0][0], pose)
    assert volume.block_count == 0


def test_far_from_the_origin_is_as_good_as_near(settings, camera, views):
    """80 km out, at a whole number of blocks, the same blocks are touched."""
    blocks = 500_000
    far = np.eye(4)
    far[:3, 3] = blocks * 8 * settings.voxel_size_m
    frame, pose = views[0]
    near = fused(settings, camera, [(frame, pose)])
    volume = fused(settings, camera, [(frame, far @ pose)])
    moved = {tuple(block - blocks) for block in volume.block_coords}
    there = {tuple(block) for block in near.block_coords}
    assert len(moved ^ there) <= 0.01 * len(there)


def test_images_that_do_not_fit_are_refused(settings, camera):
    volume = Volume(settings, camera)
    good = wall_frame(camera)
    for frame in (
        Frame(7, 0, good.color, good.depth[:, 1:], 1.0),
        Frame(7, 0, good.color, good.depth.astype(np.float64), 1.0),
        Frame(7, 0, good.color[..., :1], good.depth, 1.0),
        Frame(7, 0, good.color.astype(np.uint16), good.depth, 1.0),
        Frame(7, 0, good.color),
        replace(good, index=7, confidence=np.ones((5, 5), np.uint8)),
        replace(good, index=7, confidence=np.ones(good.depth.shape, np.float32)),
    ):
        with pytest.raises(FrameError, match="frame 7"):
            volume.integrate(frame, np.eye(4))


def test_nan_depth_is_no_depth(settings, camera):
    volume = Volume(settings, camera)
    frame = wall_frame(camera)
    frame.depth[:] = np.nan
    frame.depth[:, ::2] = np.inf
    assert len(volume.integrate(frame, np.eye(4))) == 0


def test_kernels_are_compiled_for_one_layout_each(settings, camera, views):
    """Writable, read-only and strided images must not each compile kernels of their own."""
    from gpu.kernels.integrate import integrate_blocks, pack_pixels

    frame, pose = views[0]
    fused(settings, camera, [(frame, pose)])
    fused(settings, camera, [(as_millimetres(frame), pose)])
    known = len(pack_pixels.signatures), len(integrate_blocks.signatures)
    writable = Frame(0, 0, frame.color.copy(), frame.depth.copy(), 1.0)
    strided = Frame(0, 0, frame.color[:, ::-1], np.asfortranarray(frame.depth), 1)
    fused(settings, camera, [(writable, pose), (strided, pose)])
    assert (len(pack_pixels.signatures), len(integrate_blocks.signatures)) == known
