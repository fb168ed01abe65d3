"""Meshes as the bytes of files: PLY, OBJ, GLB."""

import json
import struct
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mapcast_client.errors import InputError
from mapcast_client.mesh import TriangleMesh

MESH_FORMATS = ("ply", "obj", "glb")

_GLB_MAGIC, _GLB_JSON, _GLB_BINARY = 0x46546C67, 0x4E4F534A, 0x004E4942
_UINT16, _UINT32, _FLOAT32 = 5123, 5125, 5126
_VERTICES, _INDICES = 34962, 34963


def encode_mesh(mesh: TriangleMesh, format: str) -> bytes:
    """Write a mesh with vertex colours as a file of `format`: "ply", "obj" or "glb".

    World coordinates are Z-up, metres; GLB is turned to glTF's Y-up. Raises InputError for another
    format.
    """
    if format == "ply":
        return _encode_ply(mesh)
    if format == "obj":
        return _encode_obj(mesh)
    if format == "glb":
        return _encode_glb(mesh)
    raise InputError(f"mesh format is {format!r}, must be one of {', '.join(MESH_FORMATS)}")


def _encode_ply(mesh: TriangleMesh) -> bytes:
    """Binary little-endian PLY (Turk 1994)."""
    vertices = np.zeros(len(mesh.vertices_world), [("position", "<f4", 3), ("color", "u1", 3)])
    vertices["position"], vertices["color"] = mesh.vertices_world, mesh.colors
    faces = np.zeros(len(mesh.triangles), [("count", "u1"), ("corners", "<i4", 3)])
    faces["count"], faces["corners"] = 3, mesh.triangles
    header = [
        "ply",
        "format binary_little_endian 1.0",
        f"element vertex {len(vertices)}",
        *(f"property float {name}" for name in "xyz"),
        *(f"property uchar {name}" for name in ("red", "green", "blue")),
        f"element face {len(faces)}",
        "property list uchar int vertex_indices",
        "end_header\n",
    ]
    return "\n".join(header).encode() + vertices.tobytes() + faces.tobytes()


def _encode_obj(mesh: TriangleMesh) -> bytes:
    """Wavefront OBJ with colours 0–1 behind each vertex, as MeshLab and Blender read them."""
    vertices = np.hstack([mesh.vertices_world.astype(np.float64), mesh.colors / 255.0])
    # One % over all numbers is ten times faster than a call per line.
    vertex_lines = ("v %.6g %.6g %.6g %.4g %.4g %.4g\n" * len(vertices)) % tuple(vertices.flat)
    face_lines = ("f %d %d %d\n" * len(mesh.triangles)) % tuple((mesh.triangles + 1).flat)
    return (vertex_lines + face_lines).encode()


def _encode_glb(mesh: TriangleMesh) -> bytes:
    """Binary glTF 2.0: positions, normals, linear colours, indices."""
    document: dict[str, Any] = {
        "asset": {"version": "2.0", "generator": "mapcast"},
        "scene": 0,
        "scenes": [{"nodes": []}],
    }
    if not len(mesh.triangles):
        return _glb(document, b"")
    positions = _y_up(mesh.vertices_world)
    arrays: list[tuple[NDArray[Any], int, str, int]] = [
        (positions, _FLOAT32, "VEC3", _VERTICES),
        (_y_up(_vertex_normals(mesh)), _FLOAT32, "VEC3", _VERTICES),
        (_linear_rgba(mesh.colors), _UINT16, "VEC4", _VERTICES),
        (mesh.triangles.astype("<u4").reshape(-1, 1), _UINT32, "SCALAR", _INDICES),
    ]
    views: list[dict[str, Any]] = []
    accessors: list[dict[str, Any]] = []
    offset = 0
    for index, (array, component, kind, target) in enumerate(arrays):
        views.append(
            {"buffer": 0, "byteOffset": offset, "byteLength": array.nbytes, "target": target}
        )
        accessors.append(
            {"bufferView": index, "componentType": component, "count": len(array), "type": kind}
        )
        offset += array.nbytes
    accessors[0] |= {"min": positions.min(0).tolist(), "max": positions.max(0).tolist()}
    accessors[2]["normalized"] = True
    attributes = {"POSITION": 0, "NORMAL": 1, "COLOR_0": 2}
    primitive = {"attributes": attributes, "indices": 3, "material": 0}
    document |= {
        "scenes": [{"nodes": [0]}],
        "nodes": [{"mesh": 0, "name": "map"}],
        "meshes": [{"primitives": [primitive]}],
        "materials": [
            {"pbrMetallicRoughness": {"metallicFactor": 0, "roughnessFactor": 1}}
            | {"doubleSided": True}
        ],
        "buffers": [{"byteLength": offset}],
        "bufferViews": views,
        "accessors": accessors,
    }
    return _glb(document, b"".join(array.tobytes() for array, *_ in arrays))


def _glb(document: dict[str, Any], binary: bytes) -> bytes:
    """The container: a header, a JSON chunk and, if there is any, a binary chunk."""
    text = json.dumps(document, separators=(",", ":")).encode()
    chunks = [(_GLB_JSON, text + b" " * (-len(text) % 4))]
    if binary:
        chunks.append((_GLB_BINARY, binary + b"\0" * (-len(binary) % 4)))
    body = b"".join(struct.pack("<II", len(data), kind) + data for kind, data in chunks)
    return struct.pack("<III", _GLB_MAGIC, 2, 12 + len(body)) + body


def _y_up(vectors_world: NDArray[np.float32]) -> NDArray[np.float32]:
    """(x, y, z) with Z up as (x, z, -y) with Y up: a rotation, so triangles keep their side."""
    x, y, z = vectors_world.T
    return np.ascontiguousarray(np.stack([x, z, -y], axis=1), np.float32)


def _linear_rgba(colors: NDArray[np.uint8]) -> NDArray[np.uint16]:
    """SRGB bytes as linear light in 16 bits: glTF's vertex colours are linear (IEC 61966-2-1)."""
    encoded = np.arange(256) / 255.0
    linear = np.where(encoded <= 0.04045, encoded / 12.92, ((encoded + 0.055) / 1.055) ** 2.4)
    rgba = np.full((len(colors), 4), 0xFFFF, np.uint16)
    rgba[:, :3] = np.round(linear * 0xFFFF).astype(np.uint16)[colors]
    return rgba


def _vertex_normals(mesh: TriangleMesh) -> NDArray[np.float32]:
    """(V, 3) unit normals: the mean of the triangles around, weighted by area."""
    corners = mesh.vertices_world.astype(np.float64)[mesh.triangles]
    crosses = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    at, count = mesh.triangles.ravel(), len(mesh.vertices_world)
    sums = [np.bincount(at, np.repeat(cross, 3), minlength=count) for cross in crosses.T]
    normals = np.stack(sums, axis=1)
    lengths = np.linalg.norm(normals, axis=1)
    # glTF wants unit length also of a vertex whose triangles have no area.
    normals[lengths == 0] = (0, 0, 1)
    lengths[lengths == 0] = 1
    return np.asarray(normals / lengths[:, None], np.float32)
