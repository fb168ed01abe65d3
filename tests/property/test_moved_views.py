"""However views were moved, the volume is the one that was fused where they are now."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from fusion.mesh import Mesher
from fusion.reintegrate import Reintegrator
from fusion.volume import Volume, VolumeSettings
from mapcast_client.rows import MeshRow, MeshRows
from slam.camera import Camera
from slam.frame import Frame
from slam.geometry import Mat4, rigid

CAMERA = Camera(24, 18, 20.0, 20.0, 11.5, 8.5)
VIEWS = 4


def frame(seed: int) -> Frame:
    """A rough wall 1 m away, with holes; sensor depth, or metres with confidence."""
    rng = np.random.default_rng(seed)
    depth_m = 1 + 0.2 * rng.random() + 0.03 * rng.random((18, 24))
    depth_m[rng.random((18, 24)) < 0.1] = 0
    color = rng.integers(0, 256, (18, 24, 3), dtype=np.uint8)
    if seed % 2:
        return Frame(seed, seed, color, np.round(depth_m * 1000).astype(np.uint16), 0.001)
    confidence = rng.integers(0, 9 if seed else 256, (18, 24), dtype=np.uint8)
    return Frame(seed, seed, color, depth_m.astype(np.float32), confidence=confidence)


def pose(place: int) -> Mat4:
    """One of many places to look from; the far ones see other blocks altogether."""
    a = 0.1 * place
    rotation = np.array([[np.cos(a), 0, np.sin(a)], [0, 1, 0], [-np.sin(a), 0, np.cos(a)]])
    return rigid(rotation, np.array([0.31 * place, 0.013, -0.02 * place]))


class Corrected:
    """Poses and scales that tests change at will, and the frames. `Poses` and `FrameStore`."""

    def __init__(self) -> None:
        self.revision = 0
        self.places: dict[int, tuple[int, float]] = {}
        self.stored: dict[int, Frame] = {}

    def correct(self, capture_ns: int, place: int, scale: float) -> None:
        """Say that a view is elsewhere."""
        self.revision += 1
        self.places[capture_ns] = (place, scale)

    def world_from_cameras(
        self, capture_ns: NDArray[np.int64]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Where views are, and what their depths are multiplied by."""
        rows = [self.places[instant] for instant in capture_ns.tolist()]
        poses = np.array([pose(at) for at, _ in rows], np.float64).reshape(-1, 4, 4)
        return poses, np.array([scaled for _, scaled in rows], np.float64)

    def put(self, view: Frame) -> None:
        """Keep it."""
        self.stored[view.capture_ns] = view

    def get(self, capture_ns: int) -> Frame | None:
        """Give it back."""
        return self.stored.get(capture_ns)


def content(volume: Volume) -> dict[tuple[int, ...], bytes]:
    """The words of all blocks that are not empty."""
    words = volume.voxel_words()
    return {
        tuple(block): words[:, slot].tobytes()
        for slot, block in enumerate(volume.block_coords.tolist())
        if words[:, slot].any()
    }


def apply(followed: dict[tuple[int, ...], MeshRow], rows: MeshRows) -> None:
    """Take rows as a subscriber does."""
    for row in rows.split():
        if row.triangles:
            followed[row.block] = row
        else:
            del followed[row.block]


view = st.integers(0, VIEWS - 1)
place = st.integers(-2, 2)
scale = st.sampled_from([1.0, 0.93])
action = st.sampled_from(["place", "place", "place", "follow", "follow", "forget"])
step = st.tuples(action, view, place, scale)


@settings(max_examples=60, deadline=None)
@given(
    steps=st.lists(step, min_size=12, max_size=40),
    max_blocks=st.sampled_from([8, 24, 2048]),
    threshold_vox=st.sampled_from([0.0, 10.0]),
)
def test_moved_views_equal_fusion_and_meshing_from_scratch(
    steps: list[tuple[str, int, int, float]], max_blocks: int, threshold_vox: float
) -> None:
    fusion = VolumeSettings(voxel_size_m=0.05, max_blocks=max_blocks, min_weight=2)
    volume, corrected, followed = Volume(fusion, CAMERA), Corrected(), {}
    mesher = Mesher(volume)
    views = Reintegrator(volume, mesher, corrected, corrected, threshold_vox, clock=lambda: 0.0)
    for what, seed, to, scaled in steps:
        if what == "place":
            is_new = seed not in corrected.places
            corrected.correct(seed, to, scaled)
            if is_new:
                views.add(frame(seed), pose(to), scaled)
        elif what == "forget":
            corrected.stored.pop(seed, None)
        elif what == "follow":
            views.tick(1.0)
            apply(followed, mesher.changed())
    views.settle()
    apply(followed, mesher.flush())

    fused = views.views()
    if threshold_vox == 0 and corrected.stored.keys() >= set(fused.capture_ns):
        poses, _ = corrected.world_from_cameras(fused.capture_ns)
        np.testing.assert_array_equal(fused.world_from_camera, poses)
    scratch = Volume(fusion, CAMERA)
    scratch_mesher, expected = Mesher(scratch), {}
    scratch_views = Reintegrator(scratch, scratch_mesher, corrected, None)
    rows = zip(fused.capture_ns.tolist(), fused.world_from_camera, fused.scale, strict=True)
    for seed, at, scaled in sorted(rows, key=lambda row: row[0]):
        scratch_views.add(frame(seed), at, scaled)
    apply(expected, scratch_mesher.flush())
    if not (volume.refused_blocks or scratch.refused_blocks):
        assert content(volume) == content(scratch)
        assert followed == expected
        if len(fused.capture_ns):
            assert volume.block_count <= scratch.block_count
    # Taking all out leaves nothing, whatever was refused.
    for seed, at, scaled in zip(
        fused.capture_ns, fused.world_from_camera, fused.scale, strict=True
    ):
        taken = frame(int(seed))
        taken = Frame(
            taken.index, taken.capture_ns, taken.color, taken.depth,
            taken.depth_scale_m * float(scaled), confidence=taken.confidence,
        )  # fmt: skip
        mesher.mark(volume.remove(taken, at))
    apply(followed, mesher.flush())
    assert not content(volume)
    assert not followed
    assert volume.block_count == 0
