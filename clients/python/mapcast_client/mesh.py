"""A triangle mesh in world coordinates, and how rows become one."""

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from mapcast_client.errors import DependencyError
from mapcast_client.rows import BLOCK_SIZE_VOX, VERTEX_STEPS, MeshRows

_LARGEST_KEY = 2**63 - 1


@dataclass(frozen=True, slots=True)
class TriangleMesh:
    """Vertices with colours, and triangles counter-clockwise seen from free space."""

    vertices_world: NDArray[np.float32]
    """(V, 3) metres."""
    colors: NDArray[np.uint8]
    """(V, 3) sRGB."""
    triangles: NDArray[np.int32]
    """(T, 3)"""

    @classmethod
    def from_rows(cls, rows: MeshRows, voxel_size_m: float) -> Self:
        """Join rows into one mesh; vertices that neighbouring blocks share become one."""
        vertex_block = np.repeat(np.arange(len(rows)), rows.vertex_counts)
        steps = rows.blocks[vertex_block].astype(np.int64) * (BLOCK_SIZE_VOX * VERTEX_STEPS)
        steps += rows.vertices
        first_vertex = np.cumsum(rows.vertex_counts) - rows.vertex_counts
        triangle_block = np.repeat(np.arange(len(rows)), rows.triangle_counts)
        triangles = rows.triangles + first_vertex[triangle_block, None].astype(np.int32)

        first, merged = number_distinct(steps)
        triangles = merged[triangles].astype(np.int32)
        distinct = (
            (triangles[:, 0] != triangles[:, 1])
            & (triangles[:, 1] != triangles[:, 2])
            & (triangles[:, 2] != triangles[:, 0])
        )
        vertices = steps[first].astype(np.float64) * (voxel_size_m / VERTEX_STEPS)
        return cls(vertices.astype(np.float32), rows.colors[first], triangles[distinct])

    def to_trimesh(self) -> Any:
        """Return a coloured `trimesh.Trimesh`. Raises DependencyError without trimesh."""
        try:
            import trimesh
        except ImportError as error:
            raise DependencyError(f"no trimesh ({error}): pip install trimesh") from None
        return trimesh.Trimesh(
            self.vertices_world, self.triangles, vertex_colors=self.colors, process=False
        )

    def to_open3d(self) -> Any:
        """Return an `open3d.geometry.TriangleMesh`. Raises DependencyError without open3d."""
        try:
            import open3d
        except ImportError as error:
            raise DependencyError(f"no open3d ({error}): pip install open3d") from None
        mesh = open3d.geometry.TriangleMesh(
            open3d.utility.Vector3dVector(self.vertices_world.astype(np.float64)),
            open3d.utility.Vector3iVector(self.triangles),
        )
        mesh.vertex_colors = open3d.utility.Vector3dVector(self.colors / 255.0)
        return mesh


def number_distinct(
    rows: NDArray[np.int64],
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Number the distinct rows of (N, K) integers in lexicographic order.

    Returns the (D,) indices at which each occurs first, and the (N,) numbers of all rows. Each
    column may span up to 2³⁰.
    """
    relative = rows - rows[:1]
    low = relative.min(axis=0, initial=0)
    spans = relative.max(axis=0, initial=0) - low + 1
    keys, key_span = np.zeros(len(rows), np.int64), 1
    for column, span in zip((relative - low).T, spans.tolist(), strict=True):
        if key_span * span > _LARGEST_KEY:
            _, keys = np.unique(keys, return_inverse=True)
            key_span = len(rows)
        keys = keys * span + column
        key_span *= span
    _, first, numbers = np.unique(keys, return_index=True, return_inverse=True)
    return first, numbers
