"""When a worker tells the server which keyframes moved: at a steady rate, exactly in a pause."""

import time
from collections.abc import Callable

from mapcast_client.v1 import ingest_pb2
from slam.geometry import Mat4, pose_vector
from slam.pose_graph import PoseGraph
from slam.pose_graph_changes import GraphChanges
from stream import worker_pb2
from stream.mesh_publisher import DEFAULT_MESH_RATE_HZ, IDLE_S

ROWS_PER_S = 5000
"""At most, over time: when all of an hour's keyframes move again and again, frames go on."""


class CorrectionPublisher:
    """Tells moves that can be seen, at most at the session's rate, and all when input pauses."""

    def __init__(self, send: Callable[[worker_pb2.FromWorker], None], rate_hz: float) -> None:
        self._send = send
        self._period_s = 1 / (rate_hz or DEFAULT_MESH_RATE_HZ)
        self._due_s = 0.0
        self._idle_at_s = 0.0
        self._told_revision = 0
        self._exact_revision = 0
        """Up to which the smallest moves are told, too."""

    def tracked(self, graph: PoseGraph, epoch: int) -> None:
        """Note a frame with a pose; tell what moved when it is time."""
        now_s = time.perf_counter()
        self._idle_at_s = now_s + IDLE_S
        if now_s >= self._due_s:
            self._tell(graph, epoch, exact=False)

    def flush_if_idle(self, graph: PoseGraph, epoch: int) -> None:
        """Tell all that moved once no frame had a pose for IDLE_S, when it is time."""
        if time.perf_counter() >= max(self._idle_at_s, self._due_s):
            self.flush(graph, epoch)

    def flush(self, graph: PoseGraph, epoch: int) -> None:
        """Tell all that moved, so that everyone can have the path exactly."""
        if graph.revision != self._exact_revision:
            self._tell(graph, epoch, exact=True)
            self._exact_revision = graph.revision

    def restart(self) -> None:
        """Begin with nothing told: of a new epoch."""
        self._told_revision = self._exact_revision = 0

    def _tell(self, graph: PoseGraph, epoch: int, exact: bool) -> None:
        changes = graph.changes(self._told_revision, exact)
        self._told_revision = changes.revision
        rows = len(changes.keyframes) + len(changes.frames)
        self._due_s = time.perf_counter() + max(self._period_s, rows / ROWS_PER_S)
        if changes.keyframes or changes.frames:
            corrections = corrections_message(changes, epoch)
            self._send(worker_pb2.FromWorker(corrections=corrections))


def corrections_message(changes: GraphChanges, epoch: int) -> ingest_pb2.Corrections:
    """Keyframes that moved, and frames that hang on another one now, as they travel."""
    return ingest_pb2.Corrections(
        epoch=epoch,
        keyframes=[
            ingest_pb2.KeyframePose(
                capture_ns=capture_ns,
                world_from_keyframe=pose_message(keyframe.world_from_keyframe),
                scale=keyframe.scale,
            )
            for capture_ns, keyframe in changes.keyframes.items()
        ],
        frames=[
            ingest_pb2.FrameHang(
                capture_ns=capture_ns,
                keyframe_ns=hang.keyframe_ns,
                keyframe_from_camera=pose_message(hang.keyframe_from_camera),
            )
            for capture_ns, hang in changes.frames.items()
        ],
    )


def pose_message(target_from_source: Mat4) -> ingest_pb2.Pose:
    """The wire's form of a rigid transform."""
    tx, ty, tz, qx, qy, qz, qw = pose_vector(target_from_source)
    return ingest_pb2.Pose(tx=tx, ty=ty, tz=tz, qx=qx, qy=qy, qz=qz, qw=qw)
