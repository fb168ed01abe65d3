"""What to tell the person who holds the camera, from what the tracker says of their frames."""

from collections.abc import Sequence

from mapcast_client.v1.ingest_pb2 import (
    TRACKING_STATE_INITIALIZING,
    TRACKING_STATE_LOST,
    TRACKING_STATE_RESET,
    TRACKING_STATE_TRACKING,
    FrameResult,
)

FEW_INLIERS = 60
"""Tracking with less is soon lost."""
FALLING = 0.5
"""A loss of matches this fast is a camera that turns away, rather than a place without texture."""
LATE_MS = 600.0

TURNED = "The picture has another size than at the start. Turn the phone back."
COVERED = "The camera sees nothing. Is it covered?"
START = "Move sideways slowly, and point at something with texture."
LOST = "Tracking is lost. Show a place that is mapped already."
RESET = "This place is not known yet. Turn back to where you were."
SLOWER = "Move slower."
TURN_BACK = "Too little to see here. Turn back to something with texture."
BEHIND = "The server cannot keep up. Hold still for a moment."


def guidance(results: Sequence[FrameResult], is_blind: bool, is_resized: bool) -> str:
    """Words for a person, empty when all is well.

    `results` are the newest, oldest first; `is_resized`: the picture has not the session's size.
    """
    if is_resized:
        return TURNED
    if is_blind:
        return COVERED
    rejected = [result for result in results if result.status == FrameResult.STATUS_REJECTED]
    if rejected and rejected[-1] is results[-1]:
        return f"The frames are refused: {rejected[-1].reason}"
    seen = [result for result in results if result.status != FrameResult.STATUS_DROPPED]
    if not seen:
        return ""
    by_state = {
        TRACKING_STATE_INITIALIZING: START,
        TRACKING_STATE_LOST: LOST,
        TRACKING_STATE_RESET: RESET,
    }
    if (words := by_state.get(seen[-1].tracking)) is not None:
        return words
    tracked = [at.inliers for at in seen if at.tracking == TRACKING_STATE_TRACKING and at.inliers]
    if tracked and tracked[-1] < FEW_INLIERS:
        return SLOWER if tracked[-1] < FALLING * max(tracked) else TURN_BACK
    return BEHIND if seen[-1].latency_ms > LATE_MS else ""
