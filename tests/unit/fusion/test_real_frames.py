"""Exactness on a real recording."""

import os
from pathlib import Path

import numpy as np
import pytest

from fusion.mesh import Mesher
from fusion.volume import Volume, VolumeSettings
from replay.opening import open_sequence
from slam.images import decode_frame

FRAMES = 100
FOLDER = os.environ.get("MAPCAST_DATA")

pytestmark = [
    pytest.mark.data,
    pytest.mark.skipif(not FOLDER, reason="MAPCAST_DATA is not set"),
]


@pytest.fixture(scope="module")
def kitchen():
    path = Path(FOLDER or "") / "7scenes-redkitchen"
    if not path.exists():
        pytest.skip(f"{path} is not there")
    sequence = open_sequence(path)
    frames = [decode_frame(message, sequence.calibration) for message in sequence.frames(FRAMES)]
    poses = sequence.ground_truth.world_from_camera
    return sequence.calibration.camera, list(zip(frames, poses, strict=False))


def rows(mesher, followed):
    for row in mesher.flush().split():
        if row.triangles:
            followed[row.block] = row
        else:
            del followed[row.block]
    return followed


def test_moving_a_hundred_frames_equals_scratch_and_removing_leaves_zero(kitchen):
    camera, views = kitchen
    settings = VolumeSettings(max_blocks=16384)
    volume, scratch = Volume(settings, camera), Volume(settings, camera)
    mesher, followed = Mesher(volume), {}
    shift = np.eye(4)
    shift[:3, 3] = (0.011, -0.007, 0.02)
    for frame, pose in views:
        mesher.mark(volume.integrate(frame, pose))
    rows(mesher, followed)
    for index in np.random.default_rng(0).permutation(len(views)):
        frame, pose = views[index]
        mesher.mark(volume.remove(frame, pose))
        mesher.mark(volume.integrate(frame, shift @ pose))
    scratch_mesher = Mesher(scratch)
    for frame, pose in views:
        scratch_mesher.mark(scratch.integrate(frame, shift @ pose))

    assert rows(mesher, followed) == rows(scratch_mesher, {})
    words, expected = volume.voxel_words(), scratch.voxel_words()
    slot_of = {tuple(block): slot for slot, block in enumerate(scratch.block_coords.tolist())}
    for slot, block in enumerate(volume.block_coords.tolist()):
        other = slot_of.pop(tuple(block), None)
        there = expected[:, other] if other is not None else np.zeros((4, 512), np.uint32)
        np.testing.assert_array_equal(words[:, slot], there)
    assert not expected[:, list(slot_of.values())].any()  # empty ones are given back

    for frame, pose in views:
        volume.remove(frame, shift @ pose)
    assert not volume.voxel_words().any()
