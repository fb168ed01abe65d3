"""When a worker tells the server what changed: at a steady rate, and exactly when input pauses."""

import time
from collections.abc import Callable

from fusion.live_map import LiveMap
from mapcast_client.rows import MeshRows
from mapcast_client.v1 import ingest_pb2
from stream import worker_pb2

DEFAULT_MESH_RATE_HZ = 15.0


class Publisher:
    """Meshes what changed at the session's rate, and everything when asked to flush."""

    def __init__(self, send: Callable[[worker_pb2.FromWorker], None], rate_hz: float) -> None:
        self._send = send
        self._period_s = 1 / (rate_hz or DEFAULT_MESH_RATE_HZ)
        self._due_s = 0.0
        self._unpublished = False
        self._newest = ingest_pb2.Frame()
        self.mesh_ms = 0.0
        """Busy time of the newest update."""

    def fused(self, live_map: LiveMap, epoch: int, frame: ingest_pb2.Frame) -> None:
        """Note a fused frame; publish when it is time."""
        self._unpublished = True
        self._newest = ingest_pb2.Frame(index=frame.index, capture_ns=frame.capture_ns)
        now_s = time.perf_counter()
        if now_s >= self._due_s:
            self._due_s = max(self._due_s + self._period_s, now_s)
            self._publish(live_map, epoch, live_map.changed)

    def flush(self, live_map: LiveMap, epoch: int) -> None:
        """Publish all that changed, so that every subscriber can be exact."""
        if self._unpublished:
            self._unpublished = False
            self._publish(live_map, epoch, live_map.flush)

    def restart(self, live_map: LiveMap, epoch: int) -> None:
        """Announce an empty map of a new epoch."""
        self._unpublished = False
        self._publish(live_map, epoch, MeshRows.empty)

    def _publish(self, live_map: LiveMap, epoch: int, rows_of: Callable[[], MeshRows]) -> None:
        start = time.perf_counter()
        rows = rows_of()
        columns = ("blocks", "vertex_counts", "triangle_counts", "vertices", "colors", "triangles")
        update = worker_pb2.MeshUpdate(
            epoch=epoch,
            frame_index=self._newest.index,
            capture_ns=self._newest.capture_ns,
            pool_blocks=live_map.block_count,
            pool_full=live_map.is_full,
            **{name: getattr(rows, name).tobytes() for name in columns},
        )
        self.mesh_ms = update.mesh_ms = milliseconds_since(start)
        self._send(worker_pb2.FromWorker(mesh=update))


def milliseconds_since(start_s: float) -> float:
    """Milliseconds since an instant of `time.perf_counter`."""
    return 1e3 * (time.perf_counter() - start_s)
