import io
import json
import struct

import numpy as np
import pytest
import trimesh

from fusion.export import encode_mesh
from mapcast_client.errors import InputError
from mapcast_client.mesh import TriangleMesh


@pytest.fixture
def mesh() -> TriangleMesh:
    """A tetrahedron, counter-clockwise from outside."""
    vertices = np.array([[0, 0, 0], [1, 0, 0], [0, 2, 0], [0, 0, 3]], np.float32)
    colors = np.array([[255, 0, 0], [0, 128, 0], [10, 20, 200], [255, 255, 255]], np.uint8)
    triangles = np.array([[0, 2, 1], [0, 1, 3], [0, 3, 2], [1, 2, 3]], np.int32)
    return TriangleMesh(vertices, colors, triangles)


EMPTY = TriangleMesh(
    np.zeros((0, 3), np.float32), np.zeros((0, 3), np.uint8), np.zeros((0, 3), np.int32)
)


def load(data: bytes, kind: str) -> trimesh.Trimesh:
    loaded = trimesh.load(io.BytesIO(data), file_type=kind, process=False)
    return loaded.to_geometry() if isinstance(loaded, trimesh.Scene) else loaded


@pytest.mark.parametrize("kind", ["ply", "obj", "glb"])
def test_a_mesh_comes_back_from_each_format(mesh, kind):
    loaded = load(encode_mesh(mesh, kind), kind)
    assert len(loaded.vertices) == 4
    assert len(loaded.faces) == 4
    assert loaded.is_winding_consistent
    assert loaded.volume == pytest.approx(1.0)
    expected = mesh.vertices_world
    if kind == "glb":
        expected = np.stack([expected[:, 0], expected[:, 2], -expected[:, 1]], axis=1)
    np.testing.assert_allclose(loaded.vertices, expected, atol=1e-6)


@pytest.mark.parametrize("kind", ["ply", "obj"])
def test_colors_come_back_as_srgb(mesh, kind):
    colors = load(encode_mesh(mesh, kind), kind).visual.vertex_colors[:, :3]
    np.testing.assert_allclose(colors.astype(int), mesh.colors.astype(int), atol=1)


def glb_parts(data: bytes):
    magic, version, length = struct.unpack_from("<4sII", data)
    assert (magic, version, length) == (b"glTF", 2, len(data))
    json_length, kind = struct.unpack_from("<I4s", data, 12)
    assert kind == b"JSON"
    document = json.loads(data[20 : 20 + json_length])
    return document, data[28 + json_length :]


def test_glb_colors_are_linear_light(mesh):
    document, binary = glb_parts(encode_mesh(mesh, "glb"))
    accessor = document["accessors"][
        document["meshes"][0]["primitives"][0]["attributes"]["COLOR_0"]
    ]
    assert accessor["normalized"]
    view = document["bufferViews"][accessor["bufferView"]]
    stored = np.frombuffer(binary, "<u2", 4 * accessor["count"], view["byteOffset"]).reshape(-1, 4)
    linear = stored[:, :3] / 65535
    srgb = np.where(linear <= 0.0031308, linear * 12.92, 1.055 * linear ** (1 / 2.4) - 0.055)
    np.testing.assert_array_equal(np.round(srgb * 255), mesh.colors)
    assert (stored[:, 3] == 65535).all()


def test_glb_normals_are_unit_and_outward(mesh):
    document, binary = glb_parts(encode_mesh(mesh, "glb"))
    view = document["bufferViews"][1]
    normals = np.frombuffer(binary, "<f4", 12, view["byteOffset"]).reshape(4, 3)
    np.testing.assert_allclose(np.linalg.norm(normals, axis=1), 1, atol=1e-6)
    # World +Z is glTF +Y: the apex looks up.
    assert normals[3, 1] > 0.5
    positions = document["accessors"][0]
    assert (positions["min"], positions["max"]) == ([0, 0, -2], [1, 3, 0])


@pytest.mark.parametrize("kind", ["ply", "obj", "glb"])
def test_an_empty_mesh_is_a_valid_file(kind):
    data = encode_mesh(EMPTY, kind)
    if kind == "glb":
        document, binary = glb_parts(data)
        assert "meshes" not in document
        assert binary == b""
    if kind == "ply":
        assert b"element vertex 0\n" in data


def test_other_formats_are_refused_by_name(mesh):
    with pytest.raises(InputError, match=r"'stl'.*ply, obj, glb"):
        encode_mesh(mesh, "stl")
