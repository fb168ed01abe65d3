"""Volumes that filter depth: what goes in comes out, whatever the depth is made of on its way."""

from dataclasses import replace

import numpy as np
import pytest

from fusion.mesh import extract_mesh
from fusion.volume import Volume, VolumeSettings
from slam.frame import Frame


@pytest.fixture
def noisy(views):
    """The views as a sensor has them, every other with confidence."""
    rng = np.random.default_rng(0)
    made = []
    for frame, pose in views:
        depth_m = frame.depth + 0.003 * rng.normal(size=frame.depth.shape)
        depth = np.rint(1000 * depth_m).astype(np.uint16)
        frame = replace(frame, depth=depth, depth_scale_m=0.001)
        if frame.index % 2:
            confidence = rng.integers(0, 4, frame.depth.shape).astype(np.uint8)
            frame = replace(frame, confidence=confidence)
        made.append((frame, pose))
    return made


@pytest.fixture
def filtering(settings) -> VolumeSettings:
    return replace(settings, depth_filter=True)


def fused(settings, camera, views) -> Volume:
    volume = Volume(settings, camera)
    for frame, pose in views:
        volume.integrate(frame, pose)
    return volume


def test_views_that_are_taken_out_leave_nothing(filtering, camera, noisy) -> None:
    volume = fused(filtering, camera, noisy)
    assert volume.voxel_words().any()

    for frame, pose in noisy[::-1]:
        volume.remove(frame, pose)

    assert not volume.voxel_words().any()
    assert len(volume.empty_blocks()) == volume.block_count


def test_a_moved_view_is_where_it_would_have_been_put(filtering, camera, noisy) -> None:
    (first, _), *others = noisy
    goes_to = others[-1][1]
    volume = fused(filtering, camera, noisy)
    expected = fused(filtering, camera, [*noisy[1:], (first, goes_to)])

    volume.move(first, noisy[0][1], first, goes_to)

    places = {tuple(block): i for i, block in enumerate(volume.block_coords.tolist())}
    here = [places[tuple(block)] for block in expected.block_coords.tolist()]
    np.testing.assert_array_equal(volume.voxel_words()[:, here], expected.voxel_words())


def test_flying_pixels_are_in_no_map_and_noise_is_less(settings, filtering, camera) -> None:
    rng = np.random.default_rng(1)
    views = []
    for index in range(6):
        depth_m = (2 + 0.006 * rng.normal(size=(120, 160))).astype(np.float32)
        depth_m[:, :60] -= 1
        depth_m[:, 60] = 1.5
        color = np.full((120, 160, 3), 99, np.uint8)
        views.append((Frame(index, index, color, depth_m, 1.0), np.eye(4)))

    plain_m, filtered_m = (
        extract_mesh(fused(each, camera, views)).vertices_world[:, 2]
        for each in (settings, filtering)
    )

    assert ((plain_m > 1.2) & (plain_m < 1.8)).any()
    assert not ((filtered_m > 1.2) & (filtered_m < 1.8)).any()
    assert filtered_m[filtered_m > 1.8].std() < 0.6 * plain_m[plain_m > 1.8].std()
