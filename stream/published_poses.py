"""What frames' results and corrections mean for those who follow the path."""

from mapcast_client.pose_rows import IDENTITY
from mapcast_client.poses import pose_vector
from mapcast_client.v1 import ingest_pb2
from stream.counts import TRACKING_NAMES
from stream.hub import Hub


def publish_pose(hub: Hub, result: ingest_pb2.FrameResult) -> None:
    """Add a frame with a pose to the path; one that was hung on no keyframe is its own."""
    keyframe_ns, keyframe_from_camera = result.capture_ns, IDENTITY
    if result.HasField("keyframe_from_camera"):
        keyframe_ns = result.keyframe_ns
        keyframe_from_camera = pose_vector(result.keyframe_from_camera)
    hub.append_pose(
        result.index,
        result.capture_ns,
        pose_vector(result.world_from_camera),
        TRACKING_NAMES[result.tracking],
        result.keyframe,
        keyframe_ns,
        keyframe_from_camera,
    )


def publish_corrections(hub: Hub, corrections: ingest_pb2.Corrections) -> None:
    """Move keyframes, and hang frames on other ones."""
    for keyframe in corrections.keyframes:
        pose = pose_vector(keyframe.world_from_keyframe)
        hub.put_keyframe(keyframe.capture_ns, pose, keyframe.scale)
    for frame in corrections.frames:
        hub.rehang(frame.capture_ns, frame.keyframe_ns, pose_vector(frame.keyframe_from_camera))
