"""When a worker tells the server what changed: at a steady rate, and exactly when input pauses."""

import time
from collections.abc import Callable, Iterator

import numpy as np

from fusion.live_map import LiveMap
from mapcast_client.rows import MeshRows
from mapcast_client.v1 import ingest_pb2
from slam.frame import Frame
from stream import worker_pb2
from stream.mesh_columns import update_of

DEFAULT_MESH_RATE_HZ = 20.0
"""At most; of a 30 Hz camera it meshes every second frame."""
IDLE_S = 0.2
"""A pause of fused frames after which everything that changed is published exactly."""
ROWS_IN_PART = 512
MESH_SHARE = 1 / 4
"""Of the fusing thread's time, at most."""
MANY_VIEWS = 100
MOVING_PERIOD_S = 1.0
"""Between updates while so many views wait to be moved: each update is of much of the map then."""


class MeshPublisher:
    """Meshes what changed, at most at the session's rate, and everything when fusion pauses."""

    def __init__(self, send: Callable[[worker_pb2.FromWorker], None], rate_hz: float) -> None:
        self._send = send
        self._period_s = 1 / (rate_hz or DEFAULT_MESH_RATE_HZ)
        self._due_s = 0.0
        self._idle_at_s = 0.0
        self._unpublished = False
        self._newest = ingest_pb2.Frame()
        self._mesh_ms = 0.0
        self._told = (0, 0)
        """Views moved and frozen, as of the last update."""

    def fused(self, live_map: LiveMap, epoch: int, frame: Frame) -> None:
        """Note a fused frame; publish when it is time."""
        self._newest = ingest_pb2.Frame(index=frame.index, capture_ns=frame.capture_ns)
        self.changed(live_map, epoch)

    def changed(self, live_map: LiveMap, epoch: int) -> None:
        """Note that the map changed; publish when it is time."""
        self._unpublished = True
        now_s = time.perf_counter()
        self._idle_at_s = now_s + IDLE_S
        if now_s >= self._due_s:
            self._publish(live_map, epoch, live_map.changed)
            busy_s = time.perf_counter() - now_s
            is_moving = live_map.pending_views > MANY_VIEWS
            period_s = max(self._period_s, MOVING_PERIOD_S) if is_moving else self._period_s
            self._due_s = now_s + max(period_s, busy_s / MESH_SHARE)

    def flush_if_idle(self, live_map: LiveMap, epoch: int) -> None:
        """Publish all that changed once no frame was fused for IDLE_S."""
        if self._unpublished and time.perf_counter() >= self._idle_at_s:
            self.flush(live_map, epoch)

    def flush(self, live_map: LiveMap, epoch: int) -> None:
        """Publish all that changed, so that every subscriber can be exact."""
        if self._unpublished:
            self._unpublished = False
            self._publish(live_map, epoch, live_map.flush)

    def publish_whole(self, live_map: LiveMap, epoch: int, newest: ingest_pb2.Frame) -> None:
        """Publish a map that was brought back; what followers have beside it is gone."""
        self._newest = newest
        self._unpublished = False
        self._publish(live_map, epoch, live_map.flush, is_whole=True)

    def restart(self, epoch: int, live_map: LiveMap | None) -> None:
        """Announce an empty map of a new epoch; None: there is none before the first frame."""
        self._unpublished = False
        self._told = (0, 0)
        self._newest = ingest_pb2.Frame()
        empty = worker_pb2.MeshUpdate(epoch=epoch, is_last=True)
        if live_map is not None:
            _tell_memory(empty, live_map)
        self._send(worker_pb2.FromWorker(mesh=empty))

    def take_mesh_ms(self) -> float:
        """Busy time of the update since the last call; 0 when there was none."""
        mesh_ms, self._mesh_ms = self._mesh_ms, 0.0
        return mesh_ms

    def _publish(
        self,
        live_map: LiveMap,
        epoch: int,
        rows_of: Callable[[], MeshRows],
        is_whole: bool = False,
    ) -> None:
        start_s = time.perf_counter()
        parts = list(_parts(rows_of()))
        for part in parts:
            part.epoch, part.is_whole = epoch, is_whole
        self._mesh_ms = milliseconds_since(start_s)
        last = parts[-1]
        last.is_last = True
        last.frame_index, last.capture_ns = self._newest.index, self._newest.capture_ns
        last.pool_blocks, last.pool_full = live_map.block_count, live_map.is_full
        last.mesh_ms = self._mesh_ms
        told = (live_map.moved_views, live_map.frozen_views)
        last.moved_views, last.frozen_views = told[0] - self._told[0], told[1] - self._told[1]
        last.pending_views = live_map.pending_views
        _tell_memory(last, live_map)
        self._told = told
        for part in parts:
            self._send(worker_pb2.FromWorker(mesh=part))


def _tell_memory(update: worker_pb2.MeshUpdate, live_map: LiveMap) -> None:
    memory = live_map.device_memory
    update.device_bytes, update.device_limit_bytes = memory.used_bytes, memory.limit_bytes
    update.spilled_blocks = live_map.spilled_blocks


def _parts(rows: MeshRows) -> Iterator[worker_pb2.MeshUpdate]:
    """The rows, ROWS_IN_PART at a time; one empty part if there are none."""
    vertex_starts = np.concatenate([[0], np.cumsum(rows.vertex_counts, dtype=np.int64)])
    triangle_starts = np.concatenate([[0], np.cumsum(rows.triangle_counts, dtype=np.int64)])
    for start in range(0, max(len(rows), 1), ROWS_IN_PART):
        stop = min(start + ROWS_IN_PART, len(rows))
        vertices = slice(vertex_starts[start], vertex_starts[stop])
        triangles = slice(triangle_starts[start], triangle_starts[stop])
        part = MeshRows(
            rows.blocks[start:stop],
            rows.vertex_counts[start:stop],
            rows.triangle_counts[start:stop],
            rows.vertices[vertices],
            rows.colors[vertices],
            rows.triangles[triangles],
        )
        yield update_of(part)


def milliseconds_since(start_s: float) -> float:
    """Milliseconds since an instant of `time.perf_counter`."""
    return 1e3 * (time.perf_counter() - start_s)
