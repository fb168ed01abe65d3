from pathlib import Path

import numpy as np
import pytest
import trimesh
from scipy.spatial.transform import Rotation

from clients.cli.mesh_comparison import WITHIN_M, Reference, compare
from mapcast_client.errors import InputError
from mapcast_client.mesh import TriangleMesh
from slam.geometry import rigid
from slam.trajectory import Trajectory

BOX = trimesh.creation.box((2.0, 3.0, 1.0)).subdivide().subdivide()
SAMPLES = 10_000
TURN = Rotation.from_rotvec([0.1, 0.2, 0.9]).as_matrix()


def walk(scale: float, rotation: np.ndarray, shift: np.ndarray, noise: float) -> Trajectory:
    """A path through the box, in a world of its own: x' = scale · rotation · x + shift."""
    rng = np.random.default_rng(0)
    poses = np.array(
        [
            rigid(Rotation.from_rotvec([0, 0.1 * i, 0]).as_matrix(), np.array([i / 10, 0, 0]))
            for i in range(-5, 6)
        ]
    )
    poses[:, 1, 3] = rng.normal(size=len(poses)) / 5
    poses[:, :3, 3] = scale * poses[:, :3, 3] @ rotation.T + shift
    poses[:, :3, :3] = rotation @ poses[:, :3, :3]
    poses[:, :3, 3] += rng.normal(scale=noise, size=(len(poses), 3))
    return Trajectory(np.arange(len(poses), dtype=np.int64) * 33_000_000, poses)


def mesh_of(vertices: np.ndarray) -> TriangleMesh:
    colors = np.zeros((len(vertices), 3), np.uint8)
    return TriangleMesh(vertices.astype(np.float32), colors, np.asarray(BOX.faces, np.int32))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """What a demo of the same frames left."""
    BOX.export(tmp_path / "map.ply")
    tum = walk(1.0, np.eye(3), np.zeros(3), 0.0).to_tum()
    (tmp_path / "trajectory.tum").write_text(tum)
    return tmp_path


def test_a_scaled_map_is_fitted_by_its_path_and_its_surface(folder: Path) -> None:
    shift = np.array([1.0, 2.0, 3.0])
    elsewhere = mesh_of(0.4 * BOX.vertices @ TURN.T + shift)
    path = walk(0.4, TURN, shift, 0.004)
    reference = Reference.of_folder(folder, SAMPLES)
    found = compare(elsewhere, path, reference, scaled=True, samples=SAMPLES)
    assert [quality.within_m for quality in found] == list(WITHIN_M)
    assert found[0].accuracy.share_within > 0.99
    assert found[0].completeness.share_within > 0.99


def test_without_scale_only_a_rigid_motion_is_taken_out(folder: Path) -> None:
    reference = Reference.of_folder(folder, SAMPLES)
    shift = np.array([1.0, 2.0, 3.0])
    moved = mesh_of(BOX.vertices @ TURN.T + shift)
    found = compare(moved, walk(1.0, TURN, shift, 0.0), reference, scaled=False, samples=SAMPLES)
    assert found[0].accuracy.share_within == 1
    half = mesh_of(0.5 * BOX.vertices)
    small = compare(
        half, walk(0.5, np.eye(3), np.zeros(3), 0.0), reference, scaled=False, samples=SAMPLES
    )
    assert small[-1].accuracy.share_within < 0.5


def test_a_folder_without_a_map_is_named(folder: Path) -> None:
    (folder / "map.ply").write_bytes(b"not a mesh")
    with pytest.raises(InputError, match=r"map\.ply"):
        Reference.of_folder(folder)
    (folder / "map.ply").unlink()
    with pytest.raises(InputError, match=r"map\.ply"):
        Reference.of_folder(folder)
    (folder / "trajectory.tum").unlink()
    with pytest.raises(InputError, match=r"--reference .*trajectory\.tum"):
        Reference.of_folder(folder)
