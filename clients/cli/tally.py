"""What a replay has brought so far, and its report at the end."""

from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from clients.cli.keyframe_moves import KeyframeMoves
from clients.cli.map_frame import MapFrame
from clients.cli.offered_camera import OfferedCamera
from mapcast_client.errors import FrameError
from mapcast_client.poses import pose_matrix, pose_vector
from mapcast_client.v1 import ingest_pb2
from mapcast_client.v1.ingest_pb2 import FrameResult
from slam.trajectory import Trajectory

_STAGES = ("decode", "track", "fuse", "mesh")


@dataclass(frozen=True, slots=True)
class Percentiles:
    """Of milliseconds."""

    p50: float
    p95: float


@dataclass(frozen=True, slots=True)
class Report:
    """The figures of one replay, as `--json` writes them."""

    frames: int
    tracked: int
    ate_live_rmse_m: float | None
    """Of the poses as they were answered, in the newest epoch; None without ground truth."""
    ate_final_rmse_m: float | None
    """Of the corrected path at the end."""
    frames_per_s: float
    latency_ms: Percentiles
    """From the server's receiving a frame to its result being sent."""
    stage_ms: dict[str, float]
    """Medians; `mesh` over the frames at which changed blocks were meshed."""
    blocks: int
    triangles: int
    delta_bytes: int
    """What one WebSocket subscriber received, from start to the exact map."""
    dropped: int
    map_hash: str
    """Decimal; the subscriber's and the server's."""
    sensor: str = "rgbd"
    """rgbd or mono: errors of monocular paths are after the best similarity, not rigid motion."""
    fused: int = 0
    """Depth images in the map: of monocular frames, only some get one."""
    rejected: int = 0
    rejection: str = ""
    """Why the first rejected frame was."""
    device: str = ""
    """What the map was fused on."""
    map_frame: MapFrame = field(default_factory=MapFrame)
    true_scale: float | None = None
    """Metres of the truth per unit of the final path; None without truth, and for RGB-D."""
    keyframes: int = 0
    corrections: int = 0
    """Times that a keyframe moved after it had been told."""
    largest_correction_m: float = 0.0
    offered_camera: OfferedCamera | None = None
    """That fits better than the one in use; None: none was found."""

    def to_json(self) -> dict[str, Any]:
        """Give what `--json` writes."""
        return asdict(self)

    def require_a_frame(self) -> None:
        """Raise FrameError if every frame was rejected."""
        if self.frames and self.rejected == self.frames:
            raise FrameError(f"all {self.frames:,} frames were rejected: {self.rejection}")


@dataclass(slots=True)
class Tally:
    """Counts results while they come in."""

    results: list[FrameResult] = field(default_factory=list)
    tracked: int = 0
    dropped: int = 0
    rejected: int = 0
    rejection: str = ""
    """Why the first rejected frame was."""
    state: str = "starting"
    epoch: int = 0
    """The newest that a pose came in: those before it are of another world or unit."""
    moves: KeyframeMoves = field(default_factory=KeyframeMoves)
    sent: int = 0
    delta_bytes: int = 0
    blocks: int = 0
    triangles: int = 0
    started_s: float | None = None
    """When the first frame was sent."""
    answered_s: float | None = None
    """When the newest result came."""

    def add_sent(self, now_s: float) -> None:
        """Count a frame that was sent."""
        self.started_s = self.started_s if self.started_s is not None else now_s
        self.sent += 1

    def add_result(self, result: FrameResult, now_s: float) -> None:
        """Count a result."""
        self.results.append(result)
        self.answered_s = now_s
        if result.HasField("world_from_camera"):
            self.tracked += 1
            self.epoch = max(self.epoch, result.epoch)
        self.dropped += result.status == FrameResult.STATUS_DROPPED
        if result.status == FrameResult.STATUS_REJECTED:
            self.rejection = self.rejection or result.reason
            self.rejected += 1
        if result.tracking != ingest_pb2.TRACKING_STATE_UNSPECIFIED:
            self.state = tracking_name(result.tracking)

    def add_corrections(self, corrections: ingest_pb2.Corrections) -> None:
        """Count keyframes that are new or moved."""
        for row in corrections.keyframes:
            pose = pose_vector(row.world_from_keyframe)
            self.moves.put(corrections.epoch, row.capture_ns, pose)

    @property
    def frames_per_s(self) -> float:
        """Answered frames over the time from the first frame sent to the newest result."""
        if self.started_s is None or self.answered_s is None or self.answered_s <= self.started_s:
            return 0.0
        return (len(self.results) - self.dropped) / (self.answered_s - self.started_s)

    def live_trajectory(self) -> Trajectory:
        """Give the poses as they were answered, of the newest epoch alone."""
        posed = [result for result in list(self.results) if self.has_comparable_pose(result)]
        posed.sort(key=lambda result: result.capture_ns)
        return Trajectory(
            np.array([result.capture_ns for result in posed], np.int64),
            np.array([pose_matrix(result.world_from_camera) for result in posed]).reshape(-1, 4, 4),
        )

    def has_comparable_pose(self, result: FrameResult) -> bool:
        """Whether a result's pose is in the newest epoch."""
        return result.HasField("world_from_camera") and result.epoch == self.epoch

    def latency_ms(self) -> Percentiles:
        """Give percentiles over the frames that were not dropped."""
        latencies = [
            result.latency_ms
            for result in self.results
            if result.status != FrameResult.STATUS_DROPPED
        ]
        p50, p95 = np.percentile(latencies, [50, 95]) if latencies else (0.0, 0.0)
        return Percentiles(round(float(p50), 2), round(float(p95), 2))

    def stage_ms(self) -> dict[str, float]:
        """Give each stage's median busy time over the frames that had it."""
        medians = {}
        for stage in _STAGES:
            times = [getattr(result.stages, f"{stage}_ms") for result in self.results]
            times = [time_ms for time_ms in times if time_ms > 0]
            medians[stage] = round(float(np.median(times)), 3) if times else 0.0
        return medians


def tracking_name(state: ingest_pb2.TrackingState) -> str:
    """Give the state's word, as in the trajectory layer."""
    known = state in ingest_pb2.TrackingState.values()
    name = ingest_pb2.TrackingState.Name(state) if known else "unknown"
    return name.removeprefix("TRACKING_STATE_").lower()
