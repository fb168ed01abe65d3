import numpy as np
import pytest
import trimesh
from scipy.spatial.transform import Rotation

from mapcast_client.errors import InputError
from mapcast_client.mesh import TriangleMesh
from replay.evaluate_mesh import MeshSurface, mesh_qualities, mesh_quality, triangle_distance
from slam.geometry import inverse, rigid

SAMPLES = 20_000


def sphere(radius_m: float) -> TriangleMesh:
    shape = trimesh.creation.icosphere(subdivisions=4, radius=radius_m)
    return as_mesh(shape.vertices, shape.faces)


def as_mesh(vertices: np.ndarray, triangles: np.ndarray) -> TriangleMesh:
    return TriangleMesh(
        np.asarray(vertices, np.float32),
        np.zeros((len(vertices), 3), np.uint8),
        np.asarray(triangles, np.int32),
    )


def surface(mesh: TriangleMesh) -> MeshSurface:
    return MeshSurface(mesh.vertices_world, mesh.triangles, SAMPLES)


def test_distance_to_a_triangle_against_brute_force() -> None:
    rng = np.random.default_rng(0)
    corners = rng.normal(size=(200, 3, 3))
    points = rng.normal(size=(200, 3))
    steps = np.array([(i, j) for i in range(201) for j in range(201 - i)]) / 200
    weights = np.stack([steps[:, 0], steps[:, 1], 1 - steps.sum(axis=1)], axis=1)
    for point, triangle, found in zip(
        points, corners, triangle_distance(points, corners), strict=True
    ):
        sampled = np.linalg.norm(weights @ triangle - point, axis=1).min()
        assert found <= sampled + 1e-12
        assert found > sampled - 0.02


def test_a_flat_triangle_is_a_line() -> None:
    corners = np.array([[[0, 0, 0], [1, 0, 0], [2, 0, 0.0]]])
    assert triangle_distance(np.array([[1.5, 3.0, 0.0]]), corners)[0] == pytest.approx(3)


def test_concentric_spheres() -> None:
    quality = mesh_quality(sphere(1.01), surface(sphere(1.0)), within_m=0.02, samples=SAMPLES)
    for side in (quality.accuracy, quality.completeness):
        assert side.mean_m == pytest.approx(0.01, abs=3e-4)
        assert side.p95_m == pytest.approx(0.01, abs=6e-4)
        assert side.share_within == 1
    far = mesh_quality(sphere(1.05), surface(sphere(1.0)), within_m=0.02, samples=SAMPLES)
    assert far.accuracy.share_within == 0


def test_half_a_sphere_is_accurate_but_incomplete() -> None:
    whole = sphere(1.0)
    upper = (whole.vertices_world[whole.triangles][:, :, 2] >= -1e-6).all(axis=1)
    half = as_mesh(whole.vertices_world, whole.triangles[upper])
    quality = mesh_quality(half, surface(whole), within_m=0.02, samples=SAMPLES)
    assert quality.accuracy.share_within > 0.99
    assert 0.48 < quality.completeness.share_within < 0.54
    assert quality.completeness.p95_m > 0.5


def test_alignment_comes_first() -> None:
    moved = rigid(Rotation.from_euler("x", 30, degrees=True).as_matrix(), np.array([0.3, 0.4, 0.0]))
    whole = sphere(1.0)
    elsewhere = as_mesh(whole.vertices_world @ moved[:3, :3].T + moved[:3, 3], whole.triangles)
    assert mesh_quality(elsewhere, surface(whole), samples=SAMPLES).accuracy.mean_m > 0.1
    assert (
        mesh_quality(elsewhere, surface(whole), inverse(moved), 0.02, SAMPLES).accuracy.mean_m
        < 1e-3
    )


def test_several_distances_at_once_and_a_scale() -> None:
    half_size = sphere(0.52)
    doubled = np.diag([2.0, 2.0, 2.0, 1.0])
    at_2_cm, at_5_cm = mesh_qualities(
        half_size, surface(sphere(1.0)), doubled, (0.02, 0.05), SAMPLES
    )
    assert (at_2_cm.within_m, at_5_cm.within_m) == (0.02, 0.05)
    assert at_2_cm.accuracy.mean_m == at_5_cm.accuracy.mean_m == pytest.approx(0.04, abs=1e-3)
    assert (at_2_cm.accuracy.share_within, at_5_cm.accuracy.share_within) == (0, 1)
    assert (at_2_cm.completeness.share_within, at_5_cm.completeness.share_within) == (0, 1)


def test_a_mesh_without_area_is_refused() -> None:
    empty = as_mesh(np.zeros((0, 3)), np.zeros((0, 3)))
    with pytest.raises(InputError, match="0 triangles has no surface"):
        mesh_quality(empty, surface(sphere(1.0)))
