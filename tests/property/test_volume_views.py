"""A volume is a function of the set of views that are in it."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from fusion.mesh import Mesher
from fusion.volume import Volume, VolumeSettings
from slam.camera import Camera
from slam.frame import Frame
from slam.geometry import rigid

CAMERA = Camera(24, 18, 20.0, 20.0, 11.5, 8.5)
SETTINGS = VolumeSettings(voxel_size_m=0.05, max_blocks=2048, min_weight=2)


def frame(seed: int) -> Frame:
    rng = np.random.default_rng(seed)
    slope = rng.uniform(-0.02, 0.02, 2)
    v, u = np.mgrid[:18, :24]
    depth_m = 1 + slope[0] * (u - 12) + slope[1] * (v - 9) + 0.03 * rng.random((18, 24))
    depth_m[rng.random((18, 24)) < 0.1] = 0
    color = rng.integers(0, 256, (18, 24, 3), dtype=np.uint8)
    if seed % 2:
        return Frame(seed, seed, color, np.round(depth_m * 1000).astype(np.uint16), 0.001)
    return Frame(seed, seed, color, depth_m.astype(np.float32), 1.0)


def pose(place: int):
    a = 0.1 * place
    rotation = np.array([[np.cos(a), 0, np.sin(a)], [0, 1, 0], [-np.sin(a), 0, np.cos(a)]])
    return rigid(rotation, np.array([0.07 * place, 0.013, -0.02 * place]))


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
