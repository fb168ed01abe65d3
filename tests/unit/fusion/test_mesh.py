from itertools import pairwise

import numpy as np
import pytest
import trimesh
from sphere_and_wall import SPHERE_CENTRE, SPHERE_COLOR, SPHERE_RADIUS_M, WALL_COLOR, turned

from fusion.mesh import Mesher, extract_mesh
from fusion.volume import Volume
from gpu.kernels import BLOCK_VOX, COORDINATE_LIMIT
from mapcast_client.mesh import TriangleMesh
from mapcast_client.rows import MeshRows


class Follower:
    """What a subscriber keeps: the latest row of every block."""

    def __init__(self):
        self.rows = {}

    def apply(self, rows: MeshRows) -> None:
        for row in rows.split():
            if row.triangles:
                self.rows[row.block] = row
            else:
                # A tombstone is only ever sent for a block that was there.
                del self.rows[row.block]


def follow(volume, views, mesher, every=1):
    follower = Follower()
    for index, (frame, pose) in enumerate(views):
        mesher.mark(volume.integrate(frame, pose))
        if index % every == 0:
            follower.apply(mesher.changed())
    return follower


def from_scratch(volume):
    mesher = Mesher(volume)
    follower = Follower()
    mesher.mark(np.arange(volume.block_count, dtype=np.int32))
    follower.apply(mesher.flush())
    return follower.rows


def rows_of(volume):
    mesher = Mesher(volume)
    mesher.mark(np.arange(volume.block_count, dtype=np.int32))
    return mesher.flush()


@pytest.fixture
def volume(settings, camera, views):
    volume = Volume(settings, camera)
    for frame, pose in views:
        volume.integrate(frame, pose)
    return volume


@pytest.mark.parametrize(("threshold", "every"), [(0.0, 1), (3.0, 1), (50.0, 3), (1e9, 5)])
def test_flush_ends_at_the_mesh_from_scratch(settings, camera, views, threshold, every):
    volume = Volume(settings, camera)
    mesher = Mesher(volume, threshold)
    follower = follow(volume, views, mesher, every)
    follower.apply(mesher.flush())
    assert follower.rows == from_scratch(volume)
    assert len(follower.rows) > 100
    assert len(mesher.flush()) == len(mesher.changed()) == 0


def test_flush_is_exact_after_views_moved_and_went(settings, camera, views):
    volume = Volume(settings, camera)
    mesher = Mesher(volume)
    follower = follow(volume, views, mesher)
    for index in (3, 7, 0, 11, 5):
        frame, pose = views[index]
        mesher.mark(volume.remove(frame, pose))
        follower.apply(mesher.changed())
        if index != 5:
            mesher.mark(volume.integrate(frame, turned(0.01, 0.03) @ pose))
            follower.apply(mesher.changed())
    follower.apply(mesher.flush())
    assert follower.rows == from_scratch(volume)


def test_color_alone_reaches_a_follower_at_flush(settings, camera, views):
    frame, pose = views[0]
    bright = type(frame)(0, 0, np.full_like(frame.color, 250), frame.depth, 1.0)
    volume = Volume(settings, camera)
    mesher = Mesher(volume, threshold=1e9)
    follower = follow(volume, [views[0]] * 4, mesher)
    follower.apply(mesher.flush())
    before = dict(follower.rows)
    mesher.mark(volume.integrate(bright, pose))
    assert len(mesher.changed()) == 0
    follower.apply(mesher.flush())
    assert follower.rows == from_scratch(volume)
    assert all(follower.rows[block].vertices == row.vertices for block, row in before.items())
    assert any(follower.rows[block].colors != row.colors for block, row in before.items())


def test_rows_that_did_not_change_are_not_sent_again(volume):
    mesher = Mesher(volume)
    everything = np.arange(volume.block_count, dtype=np.int32)
    mesher.mark(everything)
    assert len(mesher.flush()) > 0
    mesher.mark(everything)
    assert len(mesher.flush()) == 0


def test_blocks_that_lose_their_surface_leave_tombstones(settings, camera, views):
    volume = Volume(settings, camera)
    mesher = Mesher(volume)
    follower = follow(volume, views, mesher)
    follower.apply(mesher.flush())
    assert follower.rows
    for frame, pose in views:
        mesher.mark(volume.remove(frame, pose))
    tombstones = mesher.flush()
    assert len(tombstones) == len(follower.rows)
    assert not tombstones.triangle_counts.any()
    follower.apply(tombstones)
    assert follower.rows == {}


def test_neighbouring_blocks_meet_without_cracks(volume):
    """Joined by position, rows have boundary edges only where the volume's own mesh has them."""
    rows = rows_of(volume)
    joined = TriangleMesh.from_rows(rows, volume.settings.voxel_size_m)
    whole = extract_mesh(volume)
    assert len(joined.vertices_world) == len(whole.vertices_world)
    assert len(joined.triangles) == len(whole.triangles) == rows.triangle_counts.sum()
    assert border_edges(joined) == border_edges(whole)
    np.testing.assert_allclose(
        np.sort(joined.vertices_world, axis=0),
        np.sort(whole.vertices_world, axis=0),
        atol=0.02 / 20,
    )


def test_a_map_as_wide_as_the_grid_keeps_its_vertices_apart(settings, camera, views):
    """The scene at the origin, and again as far away as the grid goes."""
    here, far = Volume(settings, camera), Volume(settings, camera)
    end, power = COORDINATE_LIMIT * BLOCK_VOX - 2000, 1 << 20
    places = [(0, 0, 0), (0, power, 0), (0, 0, power), (-end, -end, -end), (end, end, end)]
    for frame, pose in views[:4]:
        here.integrate(frame, pose)
        for place in places:
            moved = np.eye(4)
            moved[:3, 3] = np.array(place) * settings.voxel_size_m
            far.integrate(frame, moved @ pose)
    alone, whole = extract_mesh(here), extract_mesh(far)
    assert len(alone.triangles) > 1000
    assert len(whole.vertices_world) == pytest.approx(5 * len(alone.vertices_world), rel=1e-2)
    for mesh in (whole, TriangleMesh.from_rows(rows_of(far), settings.voxel_size_m)):
        sides_m = np.ptp(mesh.vertices_world[mesh.triangles].astype(np.float64), axis=1)
        assert sides_m.max() < 3 * settings.voxel_size_m + 0.01
        assert len(mesh.vertices_world) == len(whole.vertices_world)


def border_edges(mesh):
    edges = np.sort(mesh.triangles[:, [0, 1, 1, 2, 2, 0]].reshape(-1, 2), axis=1)
    _, uses = np.unique(edges, axis=0, return_counts=True)
    assert uses.max() == 2
    return int((uses == 1).sum())


def test_vertices_lie_on_the_scene_and_are_colored_by_it(volume):
    mesh = extract_mesh(volume)
    radius_m = np.linalg.norm(mesh.vertices_world - SPHERE_CENTRE, axis=1)
    on_sphere = radius_m < SPHERE_RADIUS_M + 0.05
    assert np.median(np.abs(radius_m[on_sphere] - SPHERE_RADIUS_M)) < 0.002
    # The rim mixes sphere and wall; what faces the camera does not.
    front = on_sphere & (mesh.vertices_world[:, 2] < SPHERE_CENTRE[2] - 0.15)
    np.testing.assert_allclose(mesh.colors[front], np.tile(SPHERE_COLOR, (front.sum(), 1)), atol=2)
    wall = np.abs(mesh.vertices_world[:, 2] - 1.817) < 0.001
    assert (np.median(mesh.colors[wall], axis=0) == WALL_COLOR).all()


def test_triangles_face_free_space(volume):
    mesh = extract_mesh(volume)
    solid = trimesh.Trimesh(mesh.vertices_world, mesh.triangles, process=False)
    assert solid.is_winding_consistent
    wall = np.abs(solid.triangles_center[:, 2] - 1.817) < 0.001
    assert (solid.face_normals[wall] @ (0, 0, -1) > 0.99).all()
    outward = solid.triangles_center - SPHERE_CENTRE
    distance_m = np.linalg.norm(outward, axis=1)
    front = (np.abs(distance_m - SPHERE_RADIUS_M) < 0.01) & (outward[:, 2] < -0.1)
    assert ((solid.face_normals * outward).sum(1) / distance_m)[front].min() > 0.8


def test_no_triangle_is_degenerate(volume):
    rows = rows_of(volume)
    starts = np.cumsum(rows.vertex_counts) - rows.vertex_counts
    corners = rows.triangles + np.repeat(starts, rows.triangle_counts)[:, None]
    position = rows.vertices[corners].astype(int)
    area = np.cross(position[:, 1] - position[:, 0], position[:, 2] - position[:, 0])
    assert np.abs(area).sum(1).min() > 0
    assert rows.vertices.max() <= 248


def test_blocks_below_the_meshing_weight_have_no_rows(settings, camera, views):
    volume = Volume(settings, camera)
    mesher = Mesher(volume)
    for seen, _ in enumerate(pairwise(range(4)), 1):
        mesher.mark(volume.integrate(*views[0]))
        assert (len(mesher.changed()) > 0) == (seen >= settings.min_weight)


def test_an_empty_volume_has_an_empty_mesh(settings, camera):
    volume = Volume(settings, camera)
    mesh = extract_mesh(volume)
    assert mesh.vertices_world.shape == (0, 3)
    assert mesh.triangles.shape == (0, 3)
    assert len(Mesher(volume).flush()) == 0
