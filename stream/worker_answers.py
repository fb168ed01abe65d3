"""What a worker answers: the result of a frame, and queries about the map."""

import tempfile
from pathlib import Path

import numpy as np

from fusion.export import encode_mesh
from fusion.live_map import FusedFrame, LiveMap
from fusion.map_versions import MapVersions
from fusion.saved_map import SavedMap
from mapcast_client.errors import MapcastError
from mapcast_client.mesh import TriangleMesh
from mapcast_client.v1 import ingest_pb2
from mapcast_client.v1.ingest_pb2 import FrameResult
from slam.camera import Camera
from slam.geometry import from_pose_vector
from slam.pose_graph import PoseGraph
from slam.tracker import TrackingState
from stream.corrections import pose_message
from stream.worker_pb2 import Answer, Query

LARGE_ANSWER_BYTES = 1 << 20

WIRE_STATE = {
    TrackingState.INITIALIZING: ingest_pb2.TRACKING_STATE_INITIALIZING,
    TrackingState.TRACKING: ingest_pb2.TRACKING_STATE_TRACKING,
    TrackingState.LOST: ingest_pb2.TRACKING_STATE_LOST,
    TrackingState.RELOCALIZED: ingest_pb2.TRACKING_STATE_RELOCALIZED,
    TrackingState.RESET: ingest_pb2.TRACKING_STATE_RESET,
}

NO_POSE = {
    TrackingState.INITIALIZING: (
        "no pose yet: the tracker needs texture to begin, and depth or, without, sideways motion"
    ),
    TrackingState.LOST: "no pose: tracking is lost; show a place that is mapped already",
    TrackingState.RESET: (
        "no pose: tracking was lost for long and began another map, not connected to this one; "
        "show a place that is mapped already, or reset the session to start over"
    ),
}

CARRIED = "the tracker has no pose; the frame was found on the surface of the map"


def fused_result(frame: ingest_pb2.Frame, fused: FusedFrame, graph: PoseGraph) -> FrameResult:
    """What became of a frame that was tracked; `graph` says what it hangs on."""
    result = FrameResult(index=frame.index, capture_ns=frame.capture_ns)
    result.tracking = WIRE_STATE[fused.tracked.state]
    result.inliers, result.keyframe = fused.tracked.inliers, fused.tracked.is_keyframe
    if fused.world_from_camera is None:
        result.status = FrameResult.STATUS_NOT_FUSED
        result.reason = NO_POSE[fused.tracked.state]
        return result
    result.world_from_camera.CopyFrom(pose_message(fused.world_from_camera))
    odom_from_camera = graph.odom_from_camera if fused.is_placed else fused.world_from_camera
    result.odom_from_camera.CopyFrom(pose_message(odom_from_camera))
    if fused.is_placed:
        hang = graph.hang_of(frame.capture_ns)
        result.keyframe_ns = hang.keyframe_ns
        result.keyframe_from_camera.CopyFrom(pose_message(hang.keyframe_from_camera))
    if fused.is_carried:
        result.reason = CARRIED
    result.status = FrameResult.STATUS_FUSED if fused.is_fused else FrameResult.STATUS_TRACKED
    return result


def refused_result(frame: ingest_pb2.Frame, reason: str) -> FrameResult:
    """Why a frame was rejected."""
    return FrameResult(
        index=frame.index,
        capture_ns=frame.capture_ns,
        status=FrameResult.STATUS_REJECTED,
        reason=reason,
    )


def raycast_answer(query: Query, live_map: LiveMap) -> Answer:
    """What the queried camera would see."""
    answer = Answer(id=query.id)
    pose = query.raycast.world_from_camera
    vector = np.array([pose.tx, pose.ty, pose.tz, pose.qx, pose.qy, pose.qz, pose.qw])
    try:
        view = live_map.view(Camera.from_message(query.raycast.camera), from_pose_vector(vector))
    except (MapcastError, ValueError) as error:
        answer.error = str(error)
    else:
        images = (view.color, view.depth_m, view.normals_world)
        _fill(answer, *(image.tobytes() for image in images))
    return answer


def trajectory_answer(query: Query, live_map: LiveMap) -> Answer:
    """The path as it stands, as TUM text."""
    answer = Answer(id=query.id)
    _fill(answer, live_map.trajectory().to_tum().encode())
    return answer


def export_answer(query: Query, mesh: TriangleMesh) -> Answer:
    """A mesh as a file of the queried format. Takes seconds for large ones."""
    answer = Answer(id=query.id)
    try:
        _fill(answer, encode_mesh(mesh, query.export_format))
    except MapcastError as error:
        answer.error = str(error)
    return answer


def save_answer(query: Query, saved: SavedMap) -> Answer:
    """Whether the map was written to the queried folder. Takes seconds for large ones."""
    answer = Answer(id=query.id)
    try:
        MapVersions(Path(query.save)).write(saved)
    except MapcastError as error:
        answer.error = str(error)
    return answer


def _fill(answer: Answer, *parts: bytes) -> None:
    """Put the parts into the answer; large ones go through files, past the server's event loop."""
    if sum(map(len, parts)) <= LARGE_ANSWER_BYTES:
        answer.parts.extend(parts)
        return
    for part in parts:
        with tempfile.NamedTemporaryFile(prefix="mapcast-", delete=False) as file:
            file.write(part)
        answer.files.append(file.name)
