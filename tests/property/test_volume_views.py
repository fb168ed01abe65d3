"""A volume is a function of the set of views that are in it."""

from dataclasses import replace

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from fusion.mesh import Mesher
from fusion.volume import Volume, VolumeSettings
from slam.camera import Camera
from slam.frame import Frame
from slam.geometry import rigid

CAMERA = Camera(24, 18, 20.0, 20.0, 11.5, 8.5)
SETTINGS = VolumeSettings(voxel_size_m=0.05, max_blocks=2048, min_weight=100)


def frame(seed: int) -> Frame:
    rng = np.random.default_rng(seed)
    slope = rng.uniform(-0.02, 0.02, 2)
    v, u = np.mgrid[:18, :24]
    depth_m = 1 + slope[0] * (u - 12) + slope[1] * (v - 9) + 0.03 * rng.random((18, 24))
    depth_m[rng.random((18, 24)) < 0.1] = 0
    color = rng.integers(0, 256, (18, 24, 3), dtype=np.uint8)
    confidence = rng.integers(0, 256, (18, 24), dtype=np.uint8) if seed % 3 else None
    if seed % 2:
        depth = np.round(depth_m * 1000).astype(np.uint16)
        return Frame(seed, seed, color, depth, 0.001, confidence=confidence)
    return Frame(seed, seed, color, depth_m.astype(np.float32), 1.0, confidence=confidence)


def pose(place: int):
    a = 0.1 * place
    rotation = np.array([[np.cos(a), 0, np.sin(a)], [0, 1, 0], [-np.sin(a), 0, np.cos(a)]])
    return rigid(rotation, np.array([0.07 * place, 0.013, -0.02 * place]))


def distances(volume):
    return volume.voxel_words()[0]


def weights(volume):
    return volume.voxel_words()[1] & 0xFFFF


view = st.tuples(st.integers(0, 5), st.integers(-2, 2))
step = st.one_of(
    st.tuples(st.just("add"), view),
    st.tuples(st.just("remove"), st.integers(0, 20)),
    st.tuples(st.just("publish"), st.none()),
)


def content(volume):
    words = volume.voxel_words()
    return {
        tuple(block): words[:, slot].tobytes()
        for slot, block in enumerate(volume.block_coords.tolist())
        if words[:, slot].any()
    }


def apply(followed, rows):
    for row in rows.split():
        if row.triangles:
            followed[row.block] = row
        else:
            del followed[row.block]


@settings(max_examples=60, deadline=None)
@given(steps=st.lists(step, max_size=25), threshold=st.sampled_from([0.0, 3.0, 30.0]))
def test_views_in_any_order_equal_fusion_and_meshing_from_scratch(steps, threshold):
    volume = Volume(SETTINGS, CAMERA)
    mesher, followed, inside = Mesher(volume, threshold), {}, []
    for action, what in steps:
        if action == "add":
            inside.append(what)
            mesher.mark(volume.integrate(frame(what[0]), pose(what[1])))
        elif action == "remove" and inside:
            seed, place = inside.pop(what % len(inside))
            mesher.mark(volume.remove(frame(seed), pose(place)))
        elif action == "publish":
            apply(followed, mesher.changed())
    apply(followed, mesher.flush())

    scratch = Volume(SETTINGS, CAMERA)
    scratch_mesher, expected = Mesher(scratch), {}
    for seed, place in sorted(inside):
        scratch_mesher.mark(scratch.integrate(frame(seed), pose(place)))
    apply(expected, scratch_mesher.flush())
    assert content(volume) == content(scratch)
    assert followed == expected


@settings(max_examples=60, deadline=None)
@given(
    views=st.lists(view, min_size=1, max_size=8),
    times=st.integers(0, 300),
    data=st.data(),
)
def test_taking_out_never_takes_more_than_was_put_in(views, times, data):
    """Beyond the limit, too: a voxel that is not frozen ends at zero, a frozen one stays."""
    volume = Volume(SETTINGS, CAMERA)
    steady = replace(frame(1), confidence=np.full((18, 24), 255, np.uint8))
    everything = [(steady, pose(0))] * times + [(frame(seed), pose(place)) for seed, place in views]
    for fused, world_from_camera in everything:
        volume.integrate(fused, world_from_camera)
    before, frozen = distances(volume), weights(volume) == 65535
    assert frozen.any() or times * 255 < 65535
    for index in data.draw(st.permutations(range(len(everything)))):
        volume.remove(*everything[index])
    np.testing.assert_array_equal(distances(volume)[frozen], before[frozen])
    np.testing.assert_array_equal(weights(volume), np.where(frozen, 65535, 0))
    assert not distances(volume)[~frozen].any()
    assert not volume.voxel_words()[2:].any()
