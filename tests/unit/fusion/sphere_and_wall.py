"""Analytic scenes: a sphere in front of a wall, seen exactly."""

import numpy as np
from numpy.typing import NDArray

from slam.camera import Camera
from slam.frame import Frame
from slam.geometry import Mat4, rigid

SPHERE_CENTRE = np.array([0.03, -0.02, 1.2])
SPHERE_RADIUS_M = 0.3
WALL_Z_M = 1.817
SPHERE_COLOR = (200, 40, 10)
WALL_COLOR = (30, 90, 220)


def render(camera: Camera, world_from_camera: Mat4, index: int = 0) -> Frame:
    """Sphere and wall as float32 depth along +Z and flat colours."""
    v, u = np.mgrid[: camera.height_px, : camera.width_px]
    rays = np.stack([u, v, np.ones_like(u)], -1) @ np.linalg.inv(camera.matrix).T
    rays_world = rays @ world_from_camera[:3, :3].T
    origin = world_from_camera[:3, 3]
    wall = (WALL_Z_M - origin[2]) / rays_world[..., 2]

    to_origin = origin - SPHERE_CENTRE
    a = (rays_world**2).sum(-1)
    b = rays_world @ to_origin
    root = b**2 - a * (to_origin @ to_origin - SPHERE_RADIUS_M**2)
    sphere = np.where(root > 0, (-b - np.sqrt(np.maximum(root, 0))) / a, np.inf)

    depth_m = np.minimum(wall, sphere).astype(np.float32)
    color = np.where((sphere < wall)[..., None], SPHERE_COLOR, WALL_COLOR).astype(np.uint8)
    return read_only(Frame(index, index * 33_000_000, color, depth_m, 1.0))


def read_only(frame: Frame) -> Frame:
    frame.color.flags.writeable = False
    frame.depth.flags.writeable = False
    return frame


def as_millimetres(frame: Frame) -> Frame:
    """The same view from a sensor that counts millimetres."""
    depth: NDArray[np.uint16] = np.round(frame.depth * 1000).astype(np.uint16)
    return read_only(Frame(frame.index, frame.capture_ns, frame.color.copy(), depth, 0.001))


def turned(yaw: float, x_m: float = 0.0) -> Mat4:
    c, s = np.cos(yaw), np.sin(yaw)
    return rigid(np.array([[c, 0, s], [0, 1, 0], [-s, 0, c]]), np.array([x_m, 0.01, 0.0]))
