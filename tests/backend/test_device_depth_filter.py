"""The depth filter on devices and in main memory: the specification's pixels, to the last bit."""

import re
from dataclasses import replace

import depth_filter_specification as specification
import numpy as np
import pytest
from device_volumes import CAMERA, grid, poses, view

from gpu.backend import Backend
from gpu.cpu import CpuBlocks, depth_filter
from gpu.device.blocks import DeviceBlocks
from gpu.device.images import DeviceImages
from gpu.grid import FusionGrid, Pinhole
from gpu.kernels import depth_filter as depth_filter_kernels
from gpu.signatures import SOURCES

FILTERED = replace(grid(), depth_filter=True)
ODD = Pinhole(77, 51, np.array([60.0, 70.0]), np.array([30.25, 26.0]))
"""Neither quads nor tiles divide it."""


def noisy(camera: Pinhole = CAMERA):
    """Depth in millimetres of a tilted floor before walls, near and far, as a sensor has it."""
    rng = np.random.default_rng(3)
    v, u = np.mgrid[: camera.height_px, : camera.width_px]
    wall_m = np.where(u < camera.width_px // 3, 0.6, 2.2) + 0.004 * u
    floor_m = 0.5 * camera.focal_px[1] / np.maximum(v - camera.centre_px[1], 1)
    depth_m = np.minimum(wall_m, floor_m).astype(np.float32)
    depth_m += specification.sigma_m(depth_m) * rng.normal(size=depth_m.shape).astype(np.float32)
    depth_m[rng.random(depth_m.shape) < 0.05] = 0
    color = rng.integers(0, 256, (*depth_m.shape, 3), np.uint8)
    confidence = rng.choice([0, 1, 3, 90], depth_m.shape, p=[0.1, 0.5, 0.3, 0.1])
    return np.rint(depth_m * 1000).astype(np.uint16), color, confidence.astype(np.uint8)


def shots(camera: Pinhole):
    """Depth, its unit and confidence in all the kinds that there are."""
    millimetres, _, confidence = noisy(camera)
    metres = millimetres * np.float32(0.001)
    metres[5, 7], metres[9, 11], metres[13, 5] = np.nan, -1, np.inf
    return [
        (millimetres, 0.001, None),
        (millimetres, 0.001, confidence),
        (metres, 1.0, None),
        (metres, 1.0, confidence),
    ]


def pixels(backend: Backend, images: DeviceImages, camera: Pinhole, image: int):
    """Depth and confidence that a view has on its device."""
    count = camera.width_px * camera.height_px
    first = images.first_pixel(image)
    words = backend.download(images.pixels, np.uint32, 2 * count, 8 * first)
    words = words.reshape(camera.height_px, camera.width_px, 2)
    return words[..., 0].view(np.float32), (words[..., 1] >> 24).astype(np.uint8)


def constants(file: str, pattern: str) -> dict[str, float]:
    """The numbers that a source of the filter names."""
    found = re.findall(pattern, (SOURCES / file).read_text(), re.M)
    return {name: float(np.float32(number)) for name, number in found}


def test_constants_are_the_same_in_all_languages():
    """An error of a few in a million would not show in every image."""
    in_c = constants("depth.c", r"^#define (\w+) ([\d.]+)")
    in_wgsl = constants("depth.wgsl", r"^const (\w+) = ([\d.]+)")
    assert in_c == in_wgsl
    for module in (depth_filter_kernels, specification):
        for name in in_c.keys() & vars(module).keys():
            assert in_c[name] == float(getattr(module, name)), name
    shared = {"GATE_SIGMAS", "LEAST_AGREEING", "LEAST_COS2", "PER_VARIANCE", "STEEPEST"}
    assert shared < in_c.keys() & vars(depth_filter_kernels).keys() & vars(specification).keys()


@pytest.mark.parametrize("camera", [CAMERA, ODD], ids=["whole tiles", "odd"])
def test_every_device_has_the_specifications_pixels(backend: Backend, camera: Pinhole):
    images, color = DeviceImages(backend, FILTERED, camera), noisy(camera)[1]
    for number, (depth, depth_scale_m, confidence) in enumerate(shots(camera)):
        images.load(depth, depth_scale_m, color, confidence, number % 2)

        depth_m, counts = pixels(backend, images, camera, number % 2)

        with np.errstate(invalid="ignore"):
            expected_m, expected = specification.filtered(
                depth, depth_scale_m, confidence, FILTERED, camera
            )
        assert set(np.unique(expected)) >= {0, 1, 4}
        assert depth_m.tobytes() == expected_m.tobytes()
        np.testing.assert_array_equal(counts, expected)


@pytest.mark.parametrize("camera", [CAMERA, ODD], ids=["whole tiles", "odd"])
def test_main_memory_has_the_specifications_pixels(camera: Pinhole):
    apply = depth_filter(FILTERED, camera).apply
    for depth, depth_scale_m, confidence in shots(camera):
        depth_m, counts = apply(depth, depth_scale_m, confidence)

        with np.errstate(invalid="ignore"):
            expected_m, expected = specification.filtered(
                depth, depth_scale_m, confidence, FILTERED, camera
            )
        assert np.where(counts > 0, depth_m, np.float32(0)).tobytes() == expected_m.tobytes()
        np.testing.assert_array_equal(counts, expected)


def put_in(blocks, pose, settings: FusionGrid, is_filtered_already: bool):
    depth, color, confidence = noisy()
    if is_filtered_already:
        depth, confidence = specification.filtered(depth, 0.001, confidence, settings, CAMERA)
        blocks.load(depth, 1.0, color, confidence)
    else:
        blocks.load(depth, 0.001, color, confidence)
    touched, _ = blocks.touch(pose, allocate=True)
    blocks.integrate(touched, np.linalg.inv(pose), removing=False)


def test_fuses_what_the_filter_makes(backend: Backend):
    ours = DeviceBlocks(backend, FILTERED, CAMERA, 4096)
    plain = DeviceBlocks(backend, replace(FILTERED, depth_filter=False), CAMERA, 4096)
    for pose in poses():
        put_in(ours, pose, FILTERED, is_filtered_already=False)
        put_in(plain, pose, FILTERED, is_filtered_already=True)

    assert plain.count > 50
    np.testing.assert_array_equal(ours.coords(), plain.coords())
    np.testing.assert_array_equal(ours.words(), plain.words())
    ours.close()
    plain.close()


def fuse_and_move(blocks) -> None:
    """Three views in, one of them moved, another one exchanged, and all out again."""
    first, second, third = poses()
    depth, color, confidence = noisy()
    other_m, other_color = view(second, 1)

    def load_first(image: int = 0) -> None:
        blocks.load(depth, 0.001, color, confidence, image)

    def load_second(image: int = 0) -> None:
        blocks.load(other_m, 1.0, other_color, None, image)

    def take(load, pose, removing: bool) -> None:
        load()
        touched, _ = blocks.touch(pose, allocate=not removing)
        blocks.integrate(touched, np.linalg.inv(pose), removing)

    take(load_first, first, removing=False)
    take(load_second, second, removing=False)
    before = blocks.words()
    assert before[1].any()
    load_first()
    load_second(1)
    into, _ = blocks.touch(third, True, 1)
    out, _ = blocks.touch(first, False)
    blocks.exchange(out, np.linalg.inv(first), into, np.linalg.inv(third), 1)
    assert not np.array_equal(blocks.words()[:, : before.shape[1]], before)
    take(load_second, second, removing=True)
    take(load_second, third, removing=True)


def test_what_goes_in_comes_out_again(backend: Backend):
    blocks = DeviceBlocks(backend, FILTERED, CAMERA, 4096)
    fuse_and_move(blocks)

    assert blocks.count > 50
    assert not blocks.words().any()
    blocks.close()


def test_what_goes_into_main_memory_comes_out_again():
    blocks = CpuBlocks(FILTERED, CAMERA, 4096)
    fuse_and_move(blocks)

    assert blocks.count > 50
    assert not blocks.words().any()


def test_exchanging_is_removing_and_adding(backend: Backend):
    first, second, _ = poses()
    depth, color, confidence = noisy()
    one, other = (DeviceBlocks(backend, FILTERED, CAMERA, 4096) for _ in range(2))
    for blocks in (one, other):
        put_in(blocks, first, FILTERED, is_filtered_already=False)

    one.load(depth, 0.001, color, confidence)
    into, _ = one.touch(second, True)
    out, _ = one.touch(first, False)
    one.exchange(out, np.linalg.inv(first), into, np.linalg.inv(second), 0)
    other.load(depth, 0.001, color, confidence)
    other.integrate(other.touch(first, False)[0], np.linalg.inv(first), removing=True)
    put_in(other, second, FILTERED, is_filtered_already=False)

    np.testing.assert_array_equal(one.coords(), other.coords())
    np.testing.assert_array_equal(one.words(), other.words())
    one.close()
    other.close()


def test_its_memory_is_given_back(backend: Backend):
    before = backend.memory().used_bytes
    DeviceBlocks(backend, FILTERED, CAMERA, 4096).close()
    assert backend.memory().used_bytes == before
