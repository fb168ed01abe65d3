"""A picture of a map from the place that shows most of it."""

import asyncio
from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from mapcast_client import AsyncClient, View
from mapcast_client.mesh import TriangleMesh
from mapcast_client.v1 import ingest_pb2
from slam.geometry import Mat4, rigid
from slam.trajectory import Trajectory

_PREVIEW_WIDTH_PX = 160
_PICTURE_WIDTH_PX = 1280
_FIELD_OF_VIEW_DEG = 75.0
_PULL_BACK_M = (0.0, 0.5, 1.0)
_TRAJECTORY_VIEWS = 8
_ORBIT_VIEWS = 8
_STEEP = 0.95
"""Of the optical axis along the vertical, from where on a view has no horizon."""
_BACKGROUND_RGB = (24, 26, 30)


async def overview(
    client: AsyncClient, session: str, mesh: TriangleMesh, trajectory: Trajectory
) -> NDArray[np.uint8]:
    """Raycast the map, (720, 1280, 3) sRGB, from the pose that sees the most surface.

    Tried are the camera's own poses, as they were and drawn back, and an orbit above the map.
    """
    poses = [*_drawn_back(trajectory), *_orbit(mesh)]
    preview = _camera(_PREVIEW_WIDTH_PX)
    views = [await client.raycast(session, preview, pose) for pose in poses]
    areas_m2 = [visible_area_m2(view, preview) for view in views]
    best = poses[int(np.argmax(areas_m2))] if poses else np.eye(4)
    view = await client.raycast(session, _camera(_PICTURE_WIDTH_PX), best)
    picture = view.color.copy()
    picture[view.depth <= 0] = _BACKGROUND_RGB
    return picture


async def encode_png(picture: NDArray[np.uint8]) -> bytes:
    """Encode an (H, W, 3) sRGB picture."""
    _, data = await asyncio.to_thread(cv2.imencode, ".png", picture[..., ::-1])
    return data.tobytes()


def visible_area_m2(view: View, camera: ingest_pb2.Camera) -> float:
    """Surface that a view shows: each pixel covers depth² / (fx · fy), more where it is slanted.

    Views of little but emptiness count less: the area is weighed with the share of pixels hit.
    """
    hit = view.depth > 0
    if not hit.any():
        return 0.0
    pixel_m2 = view.depth[hit].astype(np.float64) ** 2 / (camera.fx_px * camera.fy_px)
    return float(pixel_m2.sum() * hit.mean())


def _camera(width_px: int) -> ingest_pb2.Camera:
    height_px = width_px * 9 // 16
    focal_px = width_px / 2 / np.tan(np.radians(_FIELD_OF_VIEW_DEG / 2))
    return ingest_pb2.Camera(
        width_px=width_px,
        height_px=height_px,
        fx_px=focal_px,
        fy_px=focal_px,
        cx_px=(width_px - 1) / 2,
        cy_px=(height_px - 1) / 2,
    )


def _drawn_back(trajectory: Trajectory) -> Sequence[Mat4]:
    """Poses along the path, as they were and drawn back along the optical axis."""
    if len(trajectory) == 0:
        return []
    chosen = np.linspace(0, len(trajectory) - 1, _TRAJECTORY_VIEWS).round().astype(int)
    return [
        levelled(world_from_camera) @ rigid(np.eye(3), np.array([0, 0, -back_m]))
        for world_from_camera in trajectory.world_from_camera[np.unique(chosen)]
        for back_m in _PULL_BACK_M
    ]


def levelled(world_from_camera: Mat4) -> Mat4:
    """The same view with an even horizon, unless it looks up or down."""
    forward, eye_world = world_from_camera[:3, 2], world_from_camera[:3, 3]
    if abs(forward[2]) > _STEEP:
        return world_from_camera
    return looking_at(eye_world, eye_world + forward)


def _orbit(mesh: TriangleMesh) -> Sequence[Mat4]:
    """Views from around and above towards the middle of the map."""
    if len(mesh.vertices_world) == 0:
        return []
    low, high = np.percentile(mesh.vertices_world, [2, 98], axis=0)
    middle, radius_m = (low + high) / 2, float(np.linalg.norm(high - low)) / 2
    azimuths = np.arange(_ORBIT_VIEWS) * (2 * np.pi / _ORBIT_VIEWS)
    eyes = [
        middle + radius_m * np.array([1.1 * np.cos(azimuth), 1.1 * np.sin(azimuth), 0.8])
        for azimuth in azimuths
    ]
    return [looking_at(eye, middle) for eye in eyes]


def looking_at(eye_world: NDArray[np.float64], target_world: NDArray[np.float64]) -> Mat4:
    """world_from_camera at `eye_world` with +Z towards the target and +Y down (world +Z is up)."""
    forward = (target_world - eye_world) / np.linalg.norm(target_world - eye_world)
    right = np.cross(forward, [0.0, 0.0, 1.0])
    right /= np.linalg.norm(right)
    return rigid(np.stack([right, np.cross(forward, right), forward], axis=1), eye_world)
