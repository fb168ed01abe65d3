"""Speak to a mapcast server: stream frames in, follow live maps out.

In: NumPy or encoded frames, a server's address. Out: poses and results per frame, a `Map` kept
equal to the server's. Threads: the synchronous client runs one event-loop thread. It must import
nothing of the server: it is the wire contract and installs alone, under Apache-2.0.
"""

from mapcast_client.client import AsyncClient, connect
from mapcast_client.corrected_path import CorrectedPath
from mapcast_client.delta import (
    Delta,
    DeltaHead,
    KeyframesDelta,
    MeshDelta,
    Status,
    StatusDelta,
    TrajectoryDelta,
    UnknownDelta,
)
from mapcast_client.errors import (
    ConnectionLost,
    DependencyError,
    FrameError,
    HashMismatch,
    InputError,
    MapcastError,
    ProtocolError,
    SessionError,
    StateError,
)
from mapcast_client.following import FollowOptions
from mapcast_client.frames import (
    calibration_message,
    encoded_frame_message,
    frame_message,
    i420_frame_message,
    imu_message,
)
from mapcast_client.map import Map
from mapcast_client.mesh import TriangleMesh
from mapcast_client.pose_rows import KeyframeRow, TrajectoryRow
from mapcast_client.poses import pose_matrix, pose_message
from mapcast_client.session import AsyncSession
from mapcast_client.sync import Client, Session
from mapcast_client.view import View
from mapcast_client.websocket import follow_websocket

__all__ = [
    "AsyncClient",
    "AsyncSession",
    "Client",
    "ConnectionLost",
    "CorrectedPath",
    "Delta",
    "DeltaHead",
    "DependencyError",
    "FollowOptions",
    "FrameError",
    "HashMismatch",
    "InputError",
    "KeyframeRow",
    "KeyframesDelta",
    "Map",
    "MapcastError",
    "MeshDelta",
    "ProtocolError",
    "Session",
    "SessionError",
    "StateError",
    "Status",
    "StatusDelta",
    "TrajectoryDelta",
    "TrajectoryRow",
    "TriangleMesh",
    "UnknownDelta",
    "View",
    "calibration_message",
    "connect",
    "encoded_frame_message",
    "follow_websocket",
    "frame_message",
    "i420_frame_message",
    "imu_message",
    "pose_matrix",
    "pose_message",
]
