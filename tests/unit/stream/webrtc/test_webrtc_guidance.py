"""The person who holds the camera is told what to do, and nothing when all is well."""

import pytest

from mapcast_client.v1 import ingest_pb2
from mapcast_client.v1.ingest_pb2 import FrameResult
from stream.webrtc import guidance as words
from stream.webrtc.guidance import guidance

TRACKING = ingest_pb2.TRACKING_STATE_TRACKING


def tracked(inliers: int, latency_ms: float = 40) -> FrameResult:
    return FrameResult(
        status=FrameResult.STATUS_TRACKED,
        tracking=TRACKING,
        inliers=inliers,
        latency_ms=latency_ms,
    )


def untracked(tracking: int) -> FrameResult:
    return FrameResult(status=FrameResult.STATUS_NOT_FUSED, tracking=tracking)


def rejected(reason: str) -> FrameResult:
    return FrameResult(status=FrameResult.STATUS_REJECTED, reason=reason)


@pytest.mark.parametrize(
    ("results", "expected"),
    [
        ([], ""),
        ([tracked(200)], ""),
        ([untracked(ingest_pb2.TRACKING_STATE_INITIALIZING)], words.START),
        ([tracked(200), untracked(ingest_pb2.TRACKING_STATE_LOST)], words.LOST),
        ([untracked(ingest_pb2.TRACKING_STATE_RESET)], words.RESET),
        ([tracked(200), tracked(50)], words.SLOWER),
        ([tracked(55), tracked(50)], words.TURN_BACK),
        ([tracked(200, latency_ms=2000)], words.BEHIND),
        ([FrameResult(status=FrameResult.STATUS_DROPPED)], ""),
        ([tracked(50), tracked(200), FrameResult(status=FrameResult.STATUS_DROPPED)], ""),
        ([rejected("old"), tracked(200)], ""),
    ],
)
def test_guidance(results: list[FrameResult], expected: str) -> None:
    assert guidance(results, is_blind=False, is_resized=False) == expected


def test_a_covered_camera_comes_before_all_else() -> None:
    assert guidance([rejected("x")], is_blind=True, is_resized=False) == words.COVERED


def test_a_turned_phone_is_to_be_turned_back() -> None:
    turned = [tracked(200), rejected("it is 480x640 px")]
    assert guidance(turned, is_blind=False, is_resized=True) == words.TURNED


def test_other_refusals_are_told_as_they_are() -> None:
    refused = [rejected("time goes back")]
    assert "time goes back" in guidance(refused, is_blind=False, is_resized=False)
