"""A session's map as a file, its path as text, views of it, and what its camera sees."""

import asyncio
from dataclasses import dataclass

import numpy as np

from mapcast_client.errors import InputError
from mapcast_client.mesh import TriangleMesh
from mapcast_client.rows import MeshRows, SeparateRows
from mapcast_client.v1 import ingest_pb2
from slam.geometry import from_pose_vector
from slam.trajectory import Trajectory
from stream.errors import FrameMissing, WorkerDied
from stream.session import Session
from stream.worker_pb2 import Query, Raycast

CONTENT_TYPES = {
    "ply": "application/octet-stream",
    "obj": "text/plain; charset=utf-8",
    "glb": "model/gltf-binary",
}
MAX_VIEW_PX = 3 << 20
"""19 bytes each: what fits a gRPC message."""


@dataclass(frozen=True, slots=True)
class RaycastImages:
    """Row-major images as raw bytes: uint8 RGB, float32 metres, float32 normals (world)."""

    color: bytes
    depth_m: bytes
    normals_world: bytes


async def export_mesh(session: Session, mesh_format: str) -> bytes:
    """The map as PLY, OBJ or GLB.

    From the volume at full precision; when the worker is gone, from the published rows (1/31
    voxel). Raises InputError for an unknown format, FrameMissing.
    """
    _require_map(session)
    async with session.exporting:
        try:
            (data,) = await session.query(Query(export_format=mesh_format))
        except WorkerDied:
            rows = session.hub.columns()
            return await asyncio.to_thread(_encode_rows, rows, session.voxel_size_m, mesh_format)
    return data


def _encode_rows(rows: SeparateRows, voxel_size_m: float, mesh_format: str) -> bytes:
    from fusion.export import encode_mesh  # its package loads the kernels: only when needed

    return encode_mesh(TriangleMesh.from_rows(MeshRows.join(rows), voxel_size_m), mesh_format)


async def trajectory_tum(session: Session) -> str:
    """The corrected path; when the worker is gone, the poses as they were published.

    Raises FrameMissing.
    """
    _require_map(session)
    try:
        (text,) = await session.query(Query(trajectory=True))
    except WorkerDied:
        rows = session.hub.path()
        poses = [from_pose_vector(np.array(row.world_from_camera)) for row in rows]
        instants = np.array([row.capture_ns for row in rows], np.int64)
        return Trajectory(instants, np.array(poses).reshape(-1, 4, 4)).to_tum()
    return text.decode()


async def raycast(
    session: Session, camera: ingest_pb2.Camera, world_from_camera: ingest_pb2.Pose
) -> RaycastImages:
    """What a camera would see of the map. Raises InputError, FrameMissing, WorkerDied."""
    _require_map(session)
    pixels = camera.width_px * camera.height_px
    if pixels > MAX_VIEW_PX:
        raise InputError(
            f"a view of {camera.width_px}x{camera.height_px} px has {pixels} pixels, "
            f"limit {MAX_VIEW_PX}"
        )
    query = Query(raycast=Raycast(camera=camera, world_from_camera=world_from_camera))
    return RaycastImages(*await session.query(query))


async def picture_jpeg(session: Session) -> bytes:
    """The newest frame's colour as JPEG.

    Raises FrameMissing, and FrameError if it is broken or too large.
    """
    if session.newest_picture.is_missing:
        raise FrameMissing(f"session {session.id} has had no frame yet")
    return await session.newest_picture.jpeg()


def _require_map(session: Session) -> None:
    """Raise FrameMissing before the first frame of a camera that is guessed."""
    if session.guesses_camera and not session.map_frame.HasField("camera"):
        raise FrameMissing(
            f"session {session.id} has no map yet: no frame has come to guess its camera from"
        )
