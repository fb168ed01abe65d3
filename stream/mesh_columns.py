"""Mesh rows as a worker's update carries them to the server."""

import numpy as np
from numpy.typing import NDArray

from mapcast_client.rows import MeshRows
from stream.worker_pb2 import MeshUpdate


def update_of(rows: MeshRows) -> MeshUpdate:
    """Write rows' columns, and their hashes, which the server's event loop need not make then."""
    return MeshUpdate(
        blocks=rows.blocks.tobytes(),
        vertex_counts=rows.vertex_counts.tobytes(),
        triangle_counts=rows.triangle_counts.tobytes(),
        vertices=rows.vertices.tobytes(),
        colors=rows.colors.tobytes(),
        triangles=rows.triangles.tobytes(),
        content_hashes=rows.separate().content_hashes().tobytes(),
    )


def rows_of(update: MeshUpdate) -> MeshRows:
    """Read an update's columns."""
    return MeshRows(
        np.frombuffer(update.blocks, "<i4").reshape(-1, 3),
        np.frombuffer(update.vertex_counts, "<u4"),
        np.frombuffer(update.triangle_counts, "<u4"),
        np.frombuffer(update.vertices, np.uint8).reshape(-1, 3),
        np.frombuffer(update.colors, np.uint8).reshape(-1, 3),
        np.frombuffer(update.triangles, "<u2").reshape(-1, 3),
    )


def hashes_of(update: MeshUpdate) -> NDArray[np.uint64]:
    """(K,) the rows' content hashes."""
    return np.frombuffer(update.content_hashes, "<u8")
