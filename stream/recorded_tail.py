"""What a recording tells of a session's map: what became of its frames, and where they are."""

from dataclasses import dataclass, field

import numpy as np

from mapcast_client.poses import pose_matrix
from mapcast_client.v1 import ingest_pb2
from mapcast_client.v1.ingest_pb2 import FrameResult
from replay.recording import CORRECTIONS, RESULT
from replay.recording_reader import RecordingReader
from slam.geometry import Mat4
from slam.pose_graph_changes import KeyframePose

ANSWERED = (FrameResult.STATUS_FUSED, FrameResult.STATUS_TRACKED, FrameResult.STATUS_NOT_FUSED)
HAS_POSE = (FrameResult.STATUS_FUSED, FrameResult.STATUS_TRACKED)


@dataclass(frozen=True, slots=True)
class RecordedPose:
    """Where a frame is by now."""

    world_from_camera: Mat4
    keyframe_ns: int
    """The keyframe that it hangs on; its own instant where none was told."""


@dataclass(slots=True)
class RecordedTail:
    """The newest that was told of each frame and keyframe."""

    results: dict[int, FrameResult] = field(default_factory=dict)
    """capture_ns → result of the frames that the tracker took, in their order."""
    keyframes: dict[int, KeyframePose] = field(default_factory=dict)
    hangs: dict[int, ingest_pb2.FrameHang] = field(default_factory=dict)

    moved: dict[int, KeyframePose] = field(default_factory=dict)
    """Keyframes that were told of since the last frame that the checkpoint knows."""

    @classmethod
    def read(cls, reader: RecordingReader, map_epoch: int, newest_ns: int) -> "RecordedTail":
        """All that was told of the map that began in an epoch; a checkpoint goes to `newest_ns`."""
        tail = cls()
        for recorded in reader.messages({RESULT, CORRECTIONS}):
            message = recorded.message
            if isinstance(message, FrameResult) and message.epoch >= map_epoch:
                if message.status in ANSWERED:
                    tail.results[message.capture_ns] = message
            elif isinstance(message, ingest_pb2.Corrections) and message.epoch >= map_epoch:
                told = {row.capture_ns: _keyframe_pose(row) for row in message.keyframes}
                tail.keyframes |= told
                tail.hangs |= {row.capture_ns: row for row in message.frames}
                if recorded.log_time_ns >= newest_ns:
                    tail.moved |= told
        return tail

    def tracked(self, result: FrameResult) -> RecordedPose:
        """Where the frame of a result with a pose is by now."""
        hang = self.hangs.get(result.capture_ns, result)
        keyframe = self.keyframes.get(hang.keyframe_ns)
        if keyframe is None or not result.HasField("keyframe_from_camera"):
            return RecordedPose(pose_matrix(result.world_from_camera), result.capture_ns)
        keyframe_from_camera = pose_matrix(hang.keyframe_from_camera)
        keyframe_from_camera[:3, 3] *= keyframe.scale
        world_from_camera = np.asarray(keyframe.world_from_keyframe @ keyframe_from_camera)
        return RecordedPose(world_from_camera, hang.keyframe_ns)


def _keyframe_pose(row: ingest_pb2.KeyframePose) -> KeyframePose:
    return KeyframePose(pose_matrix(row.world_from_keyframe), row.scale or 1.0)
