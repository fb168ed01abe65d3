import numpy as np
import pytest

from replay.room.path import walk
from replay.room.room import Room
from slam.geometry import require_rigid

RATE_HZ = 30


@pytest.mark.parametrize(
    ("frames", "seed"), [(900, 0), (900, 1), (900, 7), (150, 0), (30, 2), (719, 3), (3000, 4)]
)
def test_a_walk_is_slow_enough_and_closes(frames: int, seed: int) -> None:
    poses = walk(frames, RATE_HZ, seed)
    for pose in poses:
        require_rigid(pose, "pose", 1e-9)
    following = np.roll(poses, -1, axis=0)  # the last is followed by the first: the loop closes
    speeds = np.linalg.norm(following[:, :3, 3] - poses[:, :3, 3], axis=1) * RATE_HZ
    traces = np.einsum("nji,nji->n", poses[:, :3, :3], following[:, :3, :3])
    turns = np.degrees(np.arccos(np.clip((traces - 1) / 2, -1, 1))) * RATE_HZ
    assert speeds.max() <= 0.5
    assert turns.max() <= 40


def test_the_camera_is_upright() -> None:
    poses = walk(900, RATE_HZ, 0)
    assert (poses[:, 2, 1] < -0.8).all()  # its +Y points down
    assert np.allclose(np.linalg.det(poses[:, :3, :3]), 1)


def test_a_lap_looks_everywhere() -> None:
    forward = walk(900, RATE_HZ, 0)[:, :2, 2]
    directions = np.degrees(np.arctan2(forward[:, 1], forward[:, 0]))
    assert len(np.unique(directions // 30)) == 12


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_it_keeps_its_distance(seed: int) -> None:
    centres = walk(900, RATE_HZ, seed)[:, :3, 3]
    assert Room.of(0).surface_distance(centres).min() > 0.3


def test_the_same_seed_gives_the_same_walk() -> None:
    assert (walk(300, RATE_HZ, 5) == walk(300, RATE_HZ, 5)).all()
    assert (walk(300, RATE_HZ, 5) != walk(300, RATE_HZ, 6)).any()
