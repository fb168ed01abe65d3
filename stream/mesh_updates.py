"""A worker's mesh updates, on their way into the hub."""

import logging
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from stream.hub import Hub
from stream.mesh_columns import hashes_of, rows_of
from stream.metrics import Metrics
from stream.worker_pb2 import MeshUpdate

logger = logging.getLogger(__name__)


class _Gauges(NamedTuple):
    """What a session adds to the gauges of all."""

    views_pending: int = 0
    device_memory_bytes: int = 0
    device_memory_limit_bytes: int = 0
    spilled_blocks: int = 0


class MeshUpdates:
    """Publishes one session's rows, and counts what they tell of views that move."""

    def __init__(self, hub: Hub, metrics: Metrics) -> None:
        self._hub = hub
        self._metrics = metrics
        self._counted = _Gauges()
        self._whole: list[NDArray[np.int32]] = []
        """Blocks (K, 3) of an update's parts, so far, that says all there is."""

    def begin(self) -> None:
        """Hear another worker: the last update of the one before may lack its last part."""
        self._whole = []

    def publish(self, update: MeshUpdate) -> None:
        """Publish changed blocks; after the last part of a whole map, others are gone."""
        rows = rows_of(update)
        self._hub.publish_columns(rows, hashes_of(update))
        if update.is_whole:
            self._whole.append(rows.blocks)
        if update.is_last:
            self._metrics.stages.labels("mesh").observe(update.mesh_ms / 1e3)
            self._metrics.views_moved.inc(update.moved_views)
            self._metrics.views_frozen.inc(update.frozen_views)
            memory = (update.device_bytes, update.device_limit_bytes)
            self._count(_Gauges(update.pending_views, *memory, update.spilled_blocks))
        if update.is_last and update.is_whole:
            self._hub.keep_only(np.concatenate(self._whole))
            self._whole = []

    def close(self) -> None:
        """A session that is gone has nothing pending, and takes no memory."""
        self._count(_Gauges())

    def _count(self, now: _Gauges) -> None:
        """Add what this session has more than before to what all have."""
        if now.spilled_blocks and not self._counted.spilled_blocks:
            logger.warning(
                "a volume's device is full: %d of its blocks went to main memory, more may",
                now.spilled_blocks,
            )
        for name, value, before in zip(now._fields, now, self._counted, strict=True):
            getattr(self._metrics, name).inc(value - before)
        self._counted = now
