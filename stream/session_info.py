"""What is told of a session: its health, and what the lists of sessions say."""

import time
from typing import TYPE_CHECKING

from mapcast_client.delta import Status
from mapcast_client.v1 import ingest_pb2, maps_pb2
from stream.counts import FrameCounts
from stream.hub import Hub
from stream.session_state import SessionState

if TYPE_CHECKING:
    from stream.session import Session


def session_status(
    hub: Hub, counts: FrameCounts, state: SessionState, reason: str, is_full: bool
) -> Status:
    """A session's health; `is_full`: its pool of blocks is."""
    return Status(
        state=state.value,
        reason=reason,
        tracking=counts.tracking_name,
        frames=counts.frames,
        fused=counts.fused,
        dropped=counts.dropped,
        frames_per_s=counts.frames_per_s(time.perf_counter()),
        latency_ms=counts.latency_ms,
        blocks=hub.live_blocks,
        triangles=hub.triangles,
        subscribers=hub.subscriber_count,
        full=is_full,
        map_hash=hub.map_hash,
    )


def session_info(session: "Session", tracking: ingest_pb2.TrackingState) -> maps_pb2.SessionInfo:
    """A session in the wire's words."""
    status, map_frame = session.status(), session.map_frame
    return maps_pb2.SessionInfo(
        session=session.id,
        name=session.name,
        state=status.state,
        reason=status.reason,
        epoch=session.hub.epoch,
        revision=session.hub.revision,
        map_hash=status.map_hash,
        frames=status.frames,
        fused=status.fused,
        dropped=status.dropped,
        blocks=status.blocks,
        triangles=status.triangles,
        subscribers=status.subscribers,
        voxel_size_m=session.voxel_size_m,
        created_ns=session.created_ns,
        tracking=tracking,
        frames_per_s=status.frames_per_s,
        full=status.full,
        sensor=session.sensor,
        units=map_frame.units,
        scale_source=map_frame.scale_source,
        metres_per_unit=map_frame.metres_per_unit,
        camera=map_frame.camera if map_frame.HasField("camera") else None,
        camera_guessed=map_frame.camera_guessed,
        depth_source=map_frame.depth_source,
        device=map_frame.device,
        calibration_offer=session.refinements.offer,
    )
