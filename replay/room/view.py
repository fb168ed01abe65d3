"""Renders one view of the room: exact depth along +Z, and colour from the baked atlas.

One ray per pixel, and four more where neighbouring pixels see different faces: textures are
smoothed by their mip levels, edges by those four. A tile of pixels tests only the solids whose
projected bounds it overlaps, nearest first.
"""

from dataclasses import dataclass

import numba
import numpy as np
from numpy.typing import NDArray

from replay.room.bake import FACES, LEVELS, Atlas
from replay.room.rays import NEVER, ROW, distance, inverse, localize, side_of
from replay.room.scene import Solids
from slam.camera import Camera
from slam.geometry import Mat4

_f32 = np.float32

_TILE_PX = 16
_TILE_SOLIDS = 96
_NEAR_M = 0.05
_BYTE0, _BYTE1, _BYTE2 = np.uint64(0xFF), np.uint64(0xFF00), np.uint64(0xFF0000)
_SHIFT2, _SHIFT8, _SHIFT16, _SHIFT32 = np.uint64(2), np.uint64(8), np.uint64(16), np.uint64(32)
_LANES = np.uint64(0x00FF00FF00FF)
_HALVES, _ROUND4 = np.uint64(0x008000800080), np.uint64(0x000200020002)
_ONE = np.uint64(256)
_EXPONENT = np.float32(2.0**-23)


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
    """(P, 5) u0 v0 u1 v1 in pixels and nearest z of each solid's bounding box in the image.

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
    bounds = np.stack([u.min(1), v.min(1), u.max(1), v.max(1), z.min(1)], axis=1)
    crossing = (z.min(1) < _NEAR_M) & (z.max(1) >= _NEAR_M)
    bounds[crossing] = (-1, -1, camera.width_px, camera.height_px, 0)
    bounds[z.max(1) < _NEAR_M, :4] = (1e9, 1e9, -1e9, -1e9)
    bounds[0] = (1e9, 1e9, -1e9, -1e9, 0)  # the room is in no list: every ray meets it
    return bounds


@numba.njit(cache=True, nogil=True)
def _tile_lists(
    bounds: NDArray[np.float64], width: int, height: int
) -> tuple[NDArray[np.int32], NDArray[np.int32], NDArray[np.float64]]:
    """Solids of each tile, nearest first, without the room; their numbers; nearest z of solids."""
    across = (width + _TILE_PX - 1) // _TILE_PX
    down = (height + _TILE_PX - 1) // _TILE_PX
    lists = np.zeros((across * down, _TILE_SOLIDS), np.int32)
    counts = np.zeros(across * down, np.int32)
    for i in np.argsort(bounds[:, 4]):
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
                if counts[tile] == _TILE_SOLIDS:
                    continue
                lists[tile, counts[tile]] = i
                counts[tile] += 1
    return lists, counts, bounds[:, 4].copy()


@numba.njit(cache=True, nogil=True)
def _meet(
    table: NDArray[np.float64], lists: NDArray[np.int32], tile: int, count: int,
    nearest_z: NDArray[np.float64], rays: NDArray[np.float32], best: NDArray[np.float32],
    which: NDArray[np.int32],
) -> None:  # fmt: skip
    """Nearest solid of a tile's list along each of N rays: `best` distance and `which` (N,).

    `rays` (6, N) are directions and their inverses. One solid at a time over all rays, so that
    the loops over boxes run on vector units.
    """
    best[:] = NEVER
    _box(table, 0, rays, best, which)
    turned = np.empty_like(rays)
    for k in range(count):
        i = lists[tile, k]
        seen = rays
        if table[i, 8] != 0.0:
            _turn(rays, np.float32(table[i, 7]), np.float32(table[i, 8]), turned)
            seen = turned
        if table[i, 0] == 1.0:
            _box(table, i, seen, best, which)
        elif table[i, 0] == 2.0:
            _cylinder(table, i, seen, best, which)
        else:
            _ellipsoid(table, i, seen, best, which)


@numba.njit(cache=True, nogil=True)
def _turn(
    rays: NDArray[np.float32], cos: np.float32, sin: np.float32, turned: NDArray[np.float32]
) -> None:
    """Turn rays into the axes of a solid with a yaw."""
    for n in range(rays.shape[1]):
        turned[0, n] = cos * rays[0, n] + sin * rays[1, n]
        turned[1, n] = cos * rays[1, n] - sin * rays[0, n]
        turned[2, n] = rays[2, n]
    _invert(turned)


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _ellipsoid(
    table: NDArray[np.float64], i: int, rays: NDArray[np.float32], best: NDArray[np.float32],
    which: NDArray[np.int32],
) -> None:  # fmt: skip
    """Ellipsoid i against all rays; a negative discriminant gives NaN, which is nearer nowhere."""
    sx, sy, sz = _f32(1 / table[i, 4]), _f32(1 / table[i, 5]), _f32(1 / table[i, 6])
    x, y, z = _f32(table[i, 1]) * sx, _f32(table[i, 2]) * sy, _f32(table[i, 3]) * sz
    beyond = x * x + y * y + z * z - _f32(1.0)
    zero, index = _f32(0.0), np.int32(i)
    for n in range(best.size):
        u, v, w = rays[0, n] * sx, rays[1, n] * sy, rays[2, n] * sz
        a, half_b = u * u + v * v + w * w, x * u + y * v + z * w
        reached = (-half_b - np.sqrt(half_b * half_b - a * beyond)) / a
        nearer = (reached > zero) & (reached < best[n])
        best[n] = reached if nearer else best[n]
        which[n] = index if nearer else which[n]


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _cylinder(
    table: NDArray[np.float64], i: int, rays: NDArray[np.float32], best: NDArray[np.float32],
    which: NDArray[np.int32],
) -> None:  # fmt: skip
    """Upright cylinder i against all rays: its side, then the cap that faces the rays' start."""
    sx, sz = _f32(1 / table[i, 4]), _f32(1 / table[i, 6])
    x, y, z = _f32(table[i, 1]) * sx, _f32(table[i, 2]) * sx, _f32(table[i, 3]) * sz
    beyond = x * x + y * y - _f32(1.0)
    zero, one, index = _f32(0.0), _f32(1.0), np.int32(i)
    to_cap = (one if z > zero else -one) - z
    for n in range(best.size):
        u, v, w = rays[0, n] * sx, rays[1, n] * sx, rays[2, n] * sz
        a, half_b = u * u + v * v, x * u + y * v
        side = (-half_b - np.sqrt(half_b * half_b - a * beyond)) / a
        nearer = (side > zero) & (side < best[n]) & (abs(z + side * w) <= one)
        best[n] = side if nearer else best[n]
        which[n] = index if nearer else which[n]
        cap = to_cap * rays[5, n] / sz
        p, q = x + cap * u, y + cap * v
        nearer = (cap > zero) & (cap < best[n]) & (p * p + q * q <= one)
        best[n] = cap if nearer else best[n]
        which[n] = index if nearer else which[n]


@numba.njit(cache=True, nogil=True)
def _box(
    table: NDArray[np.float64], i: int, rays: NDArray[np.float32], best: NDArray[np.float32],
    which: NDArray[np.int32],
) -> None:  # fmt: skip
    """Axis-aligned box i (0: the room, met on leaving it) against all rays; see `distance`."""
    px, py, pz = (
        np.float32(-table[i, 1]), np.float32(-table[i, 2]), np.float32(-table[i, 3]),
    )  # fmt: skip
    hx, hy, hz = np.float32(table[i, 4]), np.float32(table[i, 5]), np.float32(table[i, 6])
    zero, index = np.float32(0.0), np.int32(i)
    inside = i == 0
    for n in range(best.size):
        ix, iy, iz = rays[3, n], rays[4, n], rays[5, n]
        mx, my, mz = px * ix, py * iy, pz * iz
        rx, ry, rz = abs(hx * ix), abs(hy * iy), abs(hz * iz)
        near, far = mx - rx, mx + rx
        near = my - ry if my - ry > near else near
        far = my + ry if my + ry < far else far
        near = mz - rz if mz - rz > near else near
        far = mz + rz if mz + rz < far else far
        reached = far if inside else near
        nearer = (near <= far) & (reached > zero) & (reached < best[n])
        best[n] = reached if nearer else best[n]
        which[n] = index if nearer else which[n]


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _invert(rays: NDArray[np.float32]) -> None:
    """Fill rows 3–5 with the inverses of rows 0–2; finite for rays along an axis, too."""
    for axis in range(3):
        for n in range(rays.shape[1]):
            rays[3 + axis, n] = np.float32(1.0) / (rays[axis, n] + np.float32(1e-20))


@numba.njit(cache=True, nogil=True)
def _surface(
    table: NDArray[np.float64], i: int, side: int, dx: float, dy: float, dz: float, reached: float
) -> tuple[float, float, float]:
    """Face coordinates (a, b) in metres where a ray met solid i, and |normal · direction|."""
    cos, sin = table[i, 7], table[i, 8]
    lx, ly = cos * dx + sin * dy, cos * dy - sin * dx
    x, y, z = table[i, 1] + reached * lx, table[i, 2] + reached * ly, table[i, 3] + reached * dz
    hx, hy, hz = table[i, 4], table[i, 5], table[i, 6]
    if table[i, 0] == 3.0:
        ex, ey, ez = x / hx, y / hy, min(max(z / hz, -1.0), 1.0)
        gx, gy, gz = ex / hx, ey / hy, ez / hz
        facing = (gx * lx + gy * ly + gz * dz) / np.sqrt(gx * gx + gy * gy + gz * gz)
        return (np.arctan2(ey, ex) + np.pi) * hx, (np.arcsin(ez) + np.pi / 2) * hz, abs(facing)
    if table[i, 0] == 2.0 and side == 0:
        return (np.arctan2(y, x) + np.pi) * hx, z + hz, abs(x * lx + y * ly) / hx
    if side < 2:
        return y + hy, z + hz, abs(lx)
    if side < 4:
        return x + hx, z + hz, abs(ly)
    return x + hx, y + hy, abs(dz)


@numba.njit(cache=True, nogil=True, inline="always")
def _spread(texel: np.uint32) -> np.uint64:
    """The three bytes of a texel, 16 bits apart: arithmetic on all of them at once."""
    t = np.uint64(texel)
    return (t & _BYTE0) | ((t & _BYTE1) << _SHIFT8) | ((t & _BYTE2) << _SHIFT16)


@numba.njit(cache=True, nogil=True)
def _texel(atlas, face, level, x, y):  # type: ignore[no-untyped-def]
    """Bilinear colour of a mip level at level-0 texel coordinates; 3 × 16 bits."""
    texels, layout, _ = atlas
    w, h = max(layout[face, 0] >> level, 1), max(layout[face, 1] >> level, 1)
    scale = np.float32(1.0) / np.float32(1 << level)
    x = min(max(x * scale - np.float32(0.5), np.float32(0.0)), np.float32(w) - np.float32(1.0))
    y = min(max(y * scale - np.float32(0.5), np.float32(0.0)), np.float32(h) - np.float32(1.0))
    ix, iy = np.int64(x), np.int64(y)
    fx, fy = x - np.float32(ix), y - np.float32(iy)
    at = layout[face, 2 + level] + iy * w + ix
    right = 1 if ix + 1 < w else 0
    below = w if iy + 1 < h else 0
    # The four weights sum to 256, so that no lane can overflow.
    w11 = np.int64(fx * fy * np.float32(256.0))
    w10 = np.int64(fx * np.float32(256.0)) - w11
    w01 = np.int64(fy * np.float32(256.0)) - w11
    w00 = 256 - w11 - w10 - w01
    total = (
        _spread(texels[at]) * np.uint64(w00)
        + _spread(texels[at + right]) * np.uint64(w10)
        + _spread(texels[at + below]) * np.uint64(w01)
        + _spread(texels[at + below + right]) * np.uint64(w11)
    )
    return ((total + _HALVES) >> _SHIFT8) & _LANES


@numba.njit(cache=True, nogil=True)
def _shade(atlas, table, i, side, dx, dy, dz, reached, pixel):  # type: ignore[no-untyped-def]
    """Trilinear atlas colour (3 × 16 bits) where a ray meets a face.

    `pixel` is the angle that a sample covers; its footprint on the face is the geometric mean of
    the two axes of its ellipse, (distance · pixel)² / cos.
    """
    face = i * FACES + side
    a, b, facing = _surface(table, i, side, dx, dy, dz, reached)
    squared = np.float32(dx * dx + dy * dy + dz * dz)
    density = atlas[2][face, 0]
    across = np.float32(reached) * np.float32(pixel) * density
    area = across * across * squared * np.sqrt(squared) / max(np.float32(facing), np.float32(0.05))
    # log2 of a float read off its bits: exact at powers of two, linear between.
    log2_area = np.float32(np.float32(area).view(np.int32)) * _EXPONENT - np.float32(127.0)
    lod = min(max(np.float32(0.5) * log2_area, np.float32(0.0)), np.float32(LEVELS - 1.01))
    level = np.int64(lod)
    share = np.uint64((lod - np.float32(level)) * np.float32(256.0))
    x, y = np.float32(a) * density, np.float32(b) * atlas[2][face, 1]
    fine = _texel(atlas, face, level, x, y)
    if share == np.uint64(0):
        return fine
    coarse = _texel(atlas, face, level + 1, x, y)
    return ((fine * (_ONE - share) + coarse * share + _HALVES) >> _SHIFT8) & _LANES


@numba.njit(cache=True, nogil=True, parallel=True)
def _cast(  # type: ignore[no-untyped-def]
    atlas, table, lists, counts, nearest_z, pinhole, pose, color, depth_m, face
) -> None:
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
        _invert(rays)
        _meet(table, lists, tile, counts[tile], nearest_z, rays, best, which)
        for n in range(_TILE_PX * _TILE_PX):
            u, v = left + n % _TILE_PX, top + n // _TILE_PX
            if u >= width or v >= height:
                continue
            dx, dy, dz = _direction(pose, pinhole, u, v)
            z = _exact(table, which[n], dx, dy, dz, best[n])
            depth_m[v, u] = z
            side = side_of(table, which[n], dx, dy, dz, z)
            face[v, u] = which[n] * FACES + side
            lanes = _shade(atlas, table, which[n], side, dx, dy, dz, z, pixel)
            _store(color, u, v, lanes)


@numba.njit(cache=True, nogil=True)
def _store(color: NDArray[np.uint8], u: int, v: int, lanes: np.uint64) -> None:
    """Write a pixel of 3 × 16 bits."""
    color[v, u, 0] = lanes & _BYTE0
    color[v, u, 1] = (lanes >> _SHIFT16) & _BYTE0
    color[v, u, 2] = (lanes >> _SHIFT32) & _BYTE0


@numba.njit(cache=True, nogil=True, error_model="numpy")
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


@numba.njit(cache=True, nogil=True)
def _exact(
    table: NDArray[np.float64], i: int, dx: float, dy: float, dz: float, rough: float
) -> float:
    """Distance to solid i in double precision; the rough one where it grazes an edge."""
    z = distance(table, i, dx, dy, dz, inverse(dx), inverse(dy), inverse(dz))
    return z if z != NEVER else rough


@numba.njit(cache=True, nogil=True, parallel=True)
def _smooth_edges(  # type: ignore[no-untyped-def]
    atlas, table, lists, counts, nearest_z, pinhole, pose, face, color
) -> None:
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
        _invert(rays)
        best = np.empty(4 * found, np.float32)
        which = np.zeros(4 * found, np.int32)
        _meet(table, lists, tile, counts[tile], nearest_z, rays, best, which)
        for k in range(found):
            total = _ROUND4
            for n in range(4 * k, 4 * k + 4):
                dx, dy, dz = rays[0, n], rays[1, n], rays[2, n]
                side = side_of(table, which[n], dx, dy, dz, best[n])
                total += _shade(atlas, table, which[n], side, dx, dy, dz, best[n], 0.5 * pixel)
            _store(color, pixels[k, 0], pixels[k, 1], (total >> _SHIFT2) & _LANES)


@numba.njit(cache=True, nogil=True)
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
