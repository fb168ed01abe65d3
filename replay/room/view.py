"""Renders one view of the room: exact depth along +Z, and colour from the baked atlas.

One ray per pixel, and four more where neighbouring pixels see different faces: textures are
smoothed by their mip levels, edges by those four. A tile of pixels tests only the solids whose
projected bounds it overlaps.
"""

from dataclasses import dataclass

import numba
import numpy as np
from numpy.typing import NDArray

from gpu.kernels import JIT
from replay.room.bake import Atlas
from replay.room.faces import FACES
from replay.room.meet import invert, meet
from replay.room.rays import NEVER, ROW, distance, inverse, localize, side_of
from replay.room.scene import Solids
from replay.room.shade import mean_of_four, shade, store
from slam.camera import Camera
from slam.geometry import Mat4

_TILE_PX = 16
_NEAR_M = 0.05


@dataclass(frozen=True, slots=True)
class View:
    """What an ideal camera sees."""

    color: NDArray[np.uint8]
    """(H, W, 3) sRGB."""
    depth_m: NDArray[np.float32]
    """(H, W) along +Z."""
    face: NDArray[np.int32]
    """(H, W) 6 · solid + side."""


def render(solids: Solids, atlas: Atlas, camera: Camera, world_from_camera: Mat4) -> View:
    """Render one view; safe to call from several threads. The camera has no distortion."""
    height, width = camera.height_px, camera.width_px
    color = np.empty((height, width, 3), np.uint8)
    depth_m = np.empty((height, width), np.float32)
    face = np.empty((height, width), np.int32)
    bounds = _bounds(solids, camera, world_from_camera)
    pinhole = np.array([camera.fx_px, camera.fy_px, camera.cx_px, camera.cy_px])
    table = np.empty((len(solids.kind), ROW))
    localize(*world_from_camera[:3, 3], solids.kind, solids.center, solids.half, solids.turn, table)
    tiles = _tile_lists(bounds, width, height)
    _cast(atlas.arrays, table, *tiles, pinhole, world_from_camera, color, depth_m, face)
    _smooth_edges(atlas.arrays, table, *tiles, pinhole, world_from_camera, face, color)
    return View(color, depth_m, face)


def _bounds(solids: Solids, camera: Camera, world_from_camera: Mat4) -> NDArray[np.float64]:
    """(P, 4) u0 v0 u1 v1 in pixels of each solid's bounding box in the image.

    A box that reaches behind the near plane covers the whole image; one wholly behind, nothing.
    """
    signs = np.array([[x, y, z] for x in (-1, 1) for y in (-1, 1) for z in (-1, 1)])
    local = signs[None] * solids.half[:, None]
    cos, sin = solids.turn[:, None, 0], solids.turn[:, None, 1]
    turned = np.stack(
        [cos * local[..., 0] - sin * local[..., 1], sin * local[..., 0] + cos * local[..., 1],
         local[..., 2]], axis=-1,
    )  # fmt: skip
    points_world = turned + solids.center[:, None]
    points_camera = (points_world - world_from_camera[:3, 3]) @ world_from_camera[:3, :3]
    z = points_camera[..., 2]
    safe = np.maximum(z, _NEAR_M)
    u = points_camera[..., 0] / safe * camera.fx_px + camera.cx_px
    v = points_camera[..., 1] / safe * camera.fy_px + camera.cy_px
    bounds = np.stack([u.min(1), v.min(1), u.max(1), v.max(1)], axis=1)
    crossing = (z.min(1) < _NEAR_M) & (z.max(1) >= _NEAR_M)
    bounds[crossing] = (-1, -1, camera.width_px, camera.height_px)
    bounds[z.max(1) < _NEAR_M] = (1e9, 1e9, -1e9, -1e9)
    bounds[0] = (1e9, 1e9, -1e9, -1e9)  # the room is in no list: every ray meets it
    return bounds


@numba.njit(**JIT)
def _tile_lists(
    bounds: NDArray[np.float64], width: int, height: int
) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """Solids of each tile, without the room, and their numbers."""
    across = (width + _TILE_PX - 1) // _TILE_PX
    down = (height + _TILE_PX - 1) // _TILE_PX
    lists = np.zeros((across * down, len(bounds)), np.int32)
    counts = np.zeros(across * down, np.int32)
    for i in range(len(bounds)):
        # Two pixels of margin: edge samples look beyond their pixel's centre.
        u0 = max(int(np.floor(max(bounds[i, 0], 0.0) - 2)) // _TILE_PX, 0)
        v0 = max(int(np.floor(max(bounds[i, 1], 0.0) - 2)) // _TILE_PX, 0)
        u1 = int(min(bounds[i, 2] + 2, width - 1)) // _TILE_PX
        v1 = int(min(bounds[i, 3] + 2, height - 1)) // _TILE_PX
        if bounds[i, 2] < -2 or bounds[i, 3] < -2 or bounds[i, 0] > width + 1:
            continue
        for y in range(v0, v1 + 1):
            for x in range(u0, u1 + 1):
                tile = y * across + x
                lists[tile, counts[tile]] = i
                counts[tile] += 1
    return lists, counts


@numba.njit(**JIT, parallel=True)
def _cast(atlas, table, lists, counts, pinhole, pose, color, depth_m, face) -> None:
    """One work-item = one tile; it writes its own pixels only."""
    height, width = depth_m.shape
    across = (width + _TILE_PX - 1) // _TILE_PX
    pixel = 1.0 / pinhole[0]
    for tile in numba.prange(len(counts)):
        rays = np.empty((6, _TILE_PX * _TILE_PX), np.float32)
        best = np.empty(_TILE_PX * _TILE_PX, np.float32)
        which = np.zeros(_TILE_PX * _TILE_PX, np.int32)
        top, left = tile // across * _TILE_PX, tile % across * _TILE_PX
        for n in range(_TILE_PX * _TILE_PX):
            u, v = left + n % _TILE_PX, top + n // _TILE_PX
            rays[0, n], rays[1, n], rays[2, n] = _direction(pose, pinhole, u, v)
        invert(rays)
        meet(table, lists, tile, counts[tile], rays, best, which)
        for n in range(_TILE_PX * _TILE_PX):
            u, v = left + n % _TILE_PX, top + n // _TILE_PX
            if u >= width or v >= height:
                continue
            dx, dy, dz = _direction(pose, pinhole, u, v)
            z = _exact(table, which[n], dx, dy, dz, best[n])
            depth_m[v, u] = z
            side = side_of(table, which[n], dx, dy, dz, z)
            face[v, u] = which[n] * FACES + side
            lanes = shade(atlas, table, which[n], side, dx, dy, dz, z, pixel)
            store(color, u, v, lanes)


@numba.njit(**JIT)
def _direction(
    pose: NDArray[np.float64], pinhole: NDArray[np.float64], u: float, v: float
) -> tuple[float, float, float]:
    """World direction through pixel (u, v), of length 1 along the camera's +Z."""
    x, y = (u - pinhole[2]) / pinhole[0], (v - pinhole[3]) / pinhole[1]
    return (
        pose[0, 0] * x + pose[0, 1] * y + pose[0, 2],
        pose[1, 0] * x + pose[1, 1] * y + pose[1, 2],
        pose[2, 0] * x + pose[2, 1] * y + pose[2, 2],
    )


@numba.njit(**JIT)
def _exact(
    table: NDArray[np.float64], i: int, dx: float, dy: float, dz: float, rough: float
) -> float:
    """Distance to solid i in double precision; the rough one where it grazes an edge."""
    z = distance(table, i, dx, dy, dz, inverse(dx), inverse(dy), inverse(dz))
    return z if z != NEVER else rough


@numba.njit(**JIT, parallel=True)
def _smooth_edges(atlas, table, lists, counts, pinhole, pose, face, color) -> None:
    """One work-item = one tile; pixels beside another face become the mean of 2 × 2 samples."""
    height, width = face.shape
    across = (width + _TILE_PX - 1) // _TILE_PX
    pixel = 1.0 / pinhole[0]
    for tile in numba.prange(len(counts)):
        rays = np.empty((6, 4 * _TILE_PX * _TILE_PX), np.float32)
        pixels = np.empty((_TILE_PX * _TILE_PX, 2), np.int64)
        top, left = tile // across * _TILE_PX, tile % across * _TILE_PX
        found = 0
        for v in range(top, min(top + _TILE_PX, height)):
            for u in range(left, min(left + _TILE_PX, width)):
                if not _beside_another(face, u, v):
                    continue
                for s in range(4):
                    du, dv = 0.5 * (s % 2) - 0.25, 0.5 * (s // 2) - 0.25
                    direction = _direction(pose, pinhole, u + du, v + dv)
                    for axis in range(3):
                        rays[axis, 4 * found + s] = direction[axis]
                pixels[found, 0], pixels[found, 1] = u, v
                found += 1
        if found == 0:
            continue
        rays = rays[:, : 4 * found].copy()
        invert(rays)
        best = np.empty(4 * found, np.float32)
        which = np.zeros(4 * found, np.int32)
        meet(table, lists, tile, counts[tile], rays, best, which)
        for k in range(found):
            total = np.uint64(0)
            for n in range(4 * k, 4 * k + 4):
                dx, dy, dz = rays[0, n], rays[1, n], rays[2, n]
                side = side_of(table, which[n], dx, dy, dz, best[n])
                total += shade(atlas, table, which[n], side, dx, dy, dz, best[n], 0.5 * pixel)
            store(color, pixels[k, 0], pixels[k, 1], mean_of_four(total))


@numba.njit(**JIT)
def _beside_another(face: NDArray[np.int32], u: int, v: int) -> bool:
    """Whether one of a pixel's four neighbours shows another face."""
    height, width = face.shape
    own = face[v, u]
    return bool(
        face[max(v - 1, 0), u] != own
        or face[min(v + 1, height - 1), u] != own
        or face[v, max(u - 1, 0)] != own
        or face[v, min(u + 1, width - 1)] != own
    )
