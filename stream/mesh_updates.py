"""A worker's mesh updates, on their way into the hub."""

import numpy as np

from mapcast_client.rows import MeshRows
from stream.hub import Hub
from stream.metrics import Metrics
from stream.worker_pb2 import MeshUpdate


class MeshUpdates:
    """Publishes one session's rows, and counts what they tell of views that move."""

    def __init__(self, hub: Hub, metrics: Metrics) -> None:
        self._hub = hub
        self._metrics = metrics
        self._pending_views = 0
        self._whole: set[tuple[int, int, int]] = set()
        """Blocks of an update, so far, that says all there is."""

    def begin(self) -> None:
        """Hear another worker: the last update of the one before may lack its last part."""
        self._whole = set()

    def publish(self, update: MeshUpdate) -> None:
        """Publish changed blocks; after the last part of a whole map, others are gone."""
        rows = list(rows_of(update).split())
        self._hub.publish(rows)
        if update.is_whole:
            self._whole.update(row.block for row in rows)
        if update.is_last:
            self._metrics.stages.labels("mesh").observe(update.mesh_ms / 1e3)
            self._metrics.views_moved.inc(update.moved_views)
            self._metrics.views_frozen.inc(update.frozen_views)
            self._note_pending(update.pending_views)
        if update.is_last and update.is_whole:
            self._hub.keep_only(self._whole)
            self._whole = set()

    def close(self) -> None:
        """Nothing is pending of a session that is gone."""
        self._note_pending(0)

    def _note_pending(self, views: int) -> None:
        self._metrics.views_pending.inc(views - self._pending_views)
        self._pending_views = views


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
