"""Analytic scenes of textured planes, seen exactly."""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from fusion.depth.source import DepthContext, View
from slam.camera import Camera
from slam.frame import Frame
from slam.geometry import Mat4, inverse, rigid

CAMERA = Camera(160, 120, 140.0, 140.0, 79.5, 59.5)
TEXEL = 0.012


@dataclass(frozen=True)
class Plane:
    """Points with normal · x = offset, within a half size of x and y around the axis."""

    normal: tuple[float, float, float]
    offset: float
    texture: NDArray[np.uint8]
    half_size: float = np.inf


def noise(seed: int) -> NDArray[np.uint8]:
    """Blobs of a few texels."""
    rng = np.random.default_rng(seed)
    blurred = cv2.GaussianBlur(rng.random((700, 700)).astype(np.float32), (0, 0), 1.2)
    spread = (blurred - blurred.mean()) / blurred.std()
    return np.clip(128 + 45 * spread, 0, 255).astype(np.uint8)


WALL = Plane((-0.35, 0.1, 1.0), 2.0, noise(1))
BOX = Plane((0.0, 0.0, 1.0), 1.2, noise(2), 0.25)
BLANK = Plane((0.0, 0.0, 1.0), 2.0, np.full((700, 700), 210, np.uint8))


def render(planes: list[Plane], world_from_camera: Mat4, camera: Camera = CAMERA):
    """Colour (H, W, 3) and depth (H, W) along +Z."""
    v, u = np.mgrid[: camera.height_px, : camera.width_px]
    rays = np.stack([u, v, np.ones_like(u)], -1) @ np.linalg.inv(camera.matrix).T
    rays_world = rays @ world_from_camera[:3, :3].T
    origin = world_from_camera[:3, 3]
    depth, gray = np.full(u.shape, np.inf), np.zeros(u.shape, np.uint8)
    for plane in planes:
        z = (plane.offset - origin @ plane.normal) / (rays_world @ plane.normal)
        x, y = (rays_world * z[..., None] + origin)[..., :2].transpose(2, 0, 1)
        hit = (z > 0) & (z < depth) & (np.maximum(abs(x), abs(y)) < plane.half_size)
        at = ((np.stack([x, y]) / TEXEL) + 350).astype(np.float32)
        seen = cv2.remap(plane.texture, at[0], at[1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_WRAP)
        depth, gray = np.where(hit, z, depth), np.where(hit, seen, gray)
    return np.repeat(gray[..., None], 3, axis=2), depth


def at(x: float, y: float = 0.0, z: float = 0.0, yaw: float = 0.0) -> Mat4:
    """A camera that looks along +Z, turned by `yaw`."""
    c, s = np.cos(yaw), np.sin(yaw)
    return rigid(np.array([[c, 0, s], [0, 1, 0], [-s, 0, c]]), np.array([x, y, z]))


def frame_at(planes: list[Plane], capture_ns: int, pose: Mat4) -> Frame:
    return Frame(capture_ns, capture_ns, render(planes, pose)[0])


def view_at(planes: list[Plane], capture_ns: int, pose: Mat4) -> View:
    return View(capture_ns, render(planes, pose)[0][..., 0].copy(), pose)


def map_points(planes: list[Plane], pose: Mat4) -> NDArray[np.float32]:
    """Points of every tenth pixel."""
    _, depth = render(planes, pose)
    v, u = np.mgrid[: CAMERA.height_px, : CAMERA.width_px]
    points = np.stack([u, v, np.ones_like(u)], -1) @ np.linalg.inv(CAMERA.matrix).T
    points = (points * depth[..., None])[::10, ::10].reshape(-1, 3)
    camera_from_world = inverse(pose)
    return ((points - camera_from_world[:3, 3]) @ camera_from_world[:3, :3]).astype(np.float32)


def context_of(planes: list[Plane], pose: Mat4, views: list[View], **more) -> DepthContext:
    return DepthContext(pose, map_points(planes, pose), tuple(views), **more)
