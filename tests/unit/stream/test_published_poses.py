"""What the path says of a frame whose result names no keyframe."""

import pytest

from mapcast_client.pose_rows import IDENTITY
from mapcast_client.v1 import ingest_pb2
from stream.hub import Hub
from stream.published_poses import publish_pose


@pytest.mark.parametrize("keyframe_ns", [None, 50])
def test_a_frame_hangs_on_the_keyframe_that_was_told_or_on_itself(keyframe_ns: int | None) -> None:
    result = ingest_pb2.FrameResult(index=3, capture_ns=100)
    result.world_from_camera.CopyFrom(ingest_pb2.Pose(tx=1, qw=1))
    if keyframe_ns is not None:
        result.keyframe_ns = keyframe_ns
        result.keyframe_from_camera.CopyFrom(ingest_pb2.Pose(ty=2, qw=1))
    hub = Hub(epoch=1)
    publish_pose(hub, result)
    (row,) = hub.poses
    assert row.world_from_camera == (1, 0, 0, 0, 0, 0, 1)
    expected = (100, IDENTITY) if keyframe_ns is None else (50, (0, 2, 0, 0, 0, 0, 1))
    assert (row.keyframe_ns, row.keyframe_from_camera) == expected
