"""What the fusion kernels compute, in NumPy: the definition that devices are held against.

float32 throughout, one rounding per operation, in the order written here.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gpu.grid import FusionGrid, Pinhole

WEIGHT_LIMIT, COLOR_COUNT_LIMIT = 65535, 8224
STEPS = np.float32(32767)
NEAREST_M = np.float32(0.01)
CHANGE_SCALE = np.float32(4096) / STEPS
CHANGE_MOST = 1 << 27
CROSSED = 64 * 4096
f32 = np.float32
Mat4 = NDArray[np.float64]


@dataclass(frozen=True)
class View:
    depth_m: NDArray[np.float32]
    """(H, W), 0: invalid."""
    color: NDArray[np.uint8]
    confidence: NDArray[np.uint8]


def packed(depth, depth_scale_m, color, confidence, grid: FusionGrid) -> View:
    if confidence is None:
        confidence = np.ones(depth.shape, np.uint8)
    depth_m = depth.astype(f32) * f32(depth_scale_m)
    counts = (depth_m >= f32(grid.depth_min_m)) & (depth_m <= f32(grid.depth_max_m))
    return View(np.where(counts & (confidence > 0), depth_m, f32(0)), color, confidence)


def touched(view: View, world_from_camera: Mat4, grid: FusionGrid, camera: Pinhole):
    """(K, 3) blocks in the band around the depth of every ray, by x, y, z."""
    half_block_m = grid.voxel_size_m * 4
    stride = int(half_block_m * camera.focal_px.min() / grid.depth_max_m)
    stride = min(max(stride, 1), 4)
    steps = 2 * max(int(np.ceil(grid.truncation_m / grid.voxel_size_m / 2)), 1) + 1
    v, u = np.mgrid[: camera.height_px : stride, : camera.width_px : stride].astype(f32)
    ray_u = (u - f32(camera.centre_px[0])) * f32(1.0 / camera.focal_px[0])
    ray_v = (v - f32(camera.centre_px[1])) * f32(1.0 / camera.focal_px[1])
    depth_m = view.depth_m[::stride, ::stride]
    block_from_camera = world_from_camera[:3] / (8 * grid.voxel_size_m)
    whole = np.floor(block_from_camera[:, 3])
    rest = (block_from_camera[:, 3] - whole).astype(f32)
    m = block_from_camera[:, :3].astype(f32)
    step_m = f32(2.0 * grid.truncation_m / (steps - 1))
    blocks = []
    for step in range(steps):
        along_m = depth_m + (f32(-grid.truncation_m) + step_m * f32(step))
        at = [
            np.floor((m[row, 0] * ray_u + (m[row, 1] * ray_v + m[row, 2])) * along_m + rest[row])
            for row in range(3)
        ]
        inside = np.stack(at, axis=-1)[depth_m > 0].astype(np.int64)
        blocks.append(inside + whole.astype(np.int64))
    return np.unique(np.concatenate(blocks), axis=0).astype(np.int32)


def integrated(
    words: NDArray[np.uint32],
    coords: NDArray[np.int32],
    view: View,
    camera_from_world: Mat4,
    grid: FusionGrid,
    camera: Pinhole,
    removing: bool,
):
    """(4, K, 512) words of (K, 3) blocks after a view, (K, 4) their change, observations refused.

    Curless & Levoy 1996, eq. 3-4, in exact sums.
    """
    u, v, voxel_z = projected(coords, camera_from_world, grid, camera)
    inside = (voxel_z > NEAREST_M) & (u >= 0) & (v >= 0)
    inside &= (u < camera.width_px) & (v < camera.height_px)
    row, column = np.where(inside, v, 0).astype(int), np.where(inside, u, 0).astype(int)
    depth_m = view.depth_m[row, column]
    confidence = view.confidence[row, column].astype(np.int64)
    color = view.color[row, column].astype(np.int64)

    truncation_m = f32(grid.truncation_m)
    distance_m = depth_m - voxel_z
    visible = inside & (depth_m > 0) & (distance_m >= -truncation_m)
    near = visible & (distance_m <= truncation_m)
    scaled = np.clip(distance_m * (STEPS / truncation_m), -STEPS, STEPS)
    quantised = np.floor(scaled + f32(0.5)).astype(np.int64)

    sums = words[0].view(np.int32).astype(np.int64)
    weight, colored = words[1].astype(np.int64) & 0xFFFF, words[1].astype(np.int64) >> 16
    if removing:
        gives = visible & (weight != WEIGHT_LIMIT) & (weight >= confidence)
        step = np.where(gives, -confidence, 0)
        color_step = -(near & (colored != COLOR_COUNT_LIMIT) & (colored != 0)).astype(np.int64)
        refused = 0
    else:
        room, color_full = WEIGHT_LIMIT - weight, colored == COLOR_COUNT_LIMIT
        step = np.where(visible, np.minimum(confidence, room), 0)
        color_step = (near & ~color_full).astype(np.int64)
        refused = int(((visible & (confidence > room)) | (near & color_full)).sum())

    red, green, blue = _channels(words[2], words[3])
    red, green, blue = (
        each + color_step * color[..., channel] for channel, each in enumerate((red, green, blue))
    )
    after = np.stack(
        [
            (sums + step * quantised).astype(np.int32).view(np.uint32),
            ((weight + step) | (colored + color_step) << 16).astype(np.uint32),
            (red | (blue & 0x7FF) << 21).astype(np.uint32),
            (green | (blue >> 11) << 21).astype(np.uint32),
        ]
    )
    return after, _change(quantised, sums, weight, step, grid.min_weight), refused


def projected(coords, camera_from_world: Mat4, grid: FusionGrid, camera: Pinhole):
    """(K, 512) u + ½, v + ½ and z of voxels, relative to a block near the camera."""
    position_m = -camera_from_world[:3, :3].T @ camera_from_world[:3, 3]
    base = np.floor(position_m / (8 * grid.voxel_size_m)).astype(np.int64)
    (fx, fy), (cx, cy) = camera.focal_px, camera.centre_px
    matrix = np.array([[fx, 0, cx + 0.5], [0, fy, cy + 0.5], [0, 0, 1]]) @ camera_from_world[:3]
    matrix[:, :3] *= grid.voxel_size_m
    matrix[:, 3] += matrix[:, :3] @ (8 * base)
    m = matrix.astype(f32)
    block = (8 * (coords - base)).astype(f32)[:, None]
    z, y, x = (each.ravel().astype(f32) for each in np.mgrid[:8, :8, :8])

    def row(k: int):
        first = m[k, 0] * block[..., 0] + m[k, 1] * block[..., 1] + m[k, 2] * block[..., 2]
        return (first + m[k, 3]) + (m[k, 0] * x + m[k, 1] * y + m[k, 2] * z)

    voxel_z = row(2)
    inverse_z = f32(1) / np.maximum(voxel_z, NEAREST_M)
    return row(0) * inverse_z, row(1) * inverse_z, voxel_z


def _channels(low: NDArray[np.uint32], high: NDArray[np.uint32]):
    low, high = low.astype(np.int64), high.astype(np.int64)
    mask = (1 << 21) - 1
    return low & mask, high & mask, (low >> 21) | (high >> 21) << 11


def _change(quantised, sums, weight, step, min_weight):
    """|Δ mean| in 1/4096 truncation, and 64 truncations where a voxel's meshing begins or ends."""
    before, more = weight.astype(f32), step.astype(f32)
    weights = np.maximum(before * (before + more), f32(1))
    shift = np.abs((quantised.astype(f32) * before - sums.astype(f32)) * more) / weights
    moved = (np.minimum(shift * CHANGE_SCALE, f32(8192)) + f32(0.5)).astype(np.int64)
    moved += np.where((weight >= min_weight) != (weight + step >= min_weight), CROSSED, 0)
    moved = moved.reshape(-1, 8, 8, 8)
    whole = moved.sum(axis=(1, 2, 3))
    faces = [moved[:, :, :, 0], moved[:, :, 0], moved[:, 0]]
    return np.stack([whole, *(face.sum(axis=(1, 2)) for face in faces)], axis=1)


class SpecifiedBlocks:
    """Blocks by slot, new ones in the order of their x, y, z, as every backend has them."""

    def __init__(self, grid: FusionGrid, camera: Pinhole, max_blocks: int) -> None:
        self.grid, self._camera, self._max_blocks = grid, camera, max_blocks
        self.coords = np.empty((0, 3), np.int32)
        self.words = np.empty((4, 0, 512), np.uint32)
        self.change = np.empty((0, 4), np.int64)
        self.banned: set[tuple[int, ...]] = set()

    def copy(self) -> "SpecifiedBlocks":
        other = SpecifiedBlocks(self.grid, self._camera, self._max_blocks)
        other.coords, other.banned = self.coords.copy(), self.banned.copy()
        other.words, other.change = self.words.copy(), self.change.copy()
        return other

    def touch(self, view: View, world_from_camera: Mat4, allocate: bool):
        """Slots, ascending, and how many blocks were refused."""
        found = touched(view, world_from_camera, self.grid, self._camera)
        blocks = [tuple(block) for block in found.tolist()]
        slot_of = {tuple(block): slot for slot, block in enumerate(self.coords.tolist())}
        refused = 0
        for block in blocks if allocate else []:
            if block in slot_of:
                continue
            if block in self.banned or len(slot_of) == self._max_blocks:
                self.banned.add(block)
                refused += 1
                continue
            slot_of[block] = len(slot_of)
        self._grow(list(slot_of))
        return np.array(sorted(slot_of[b] for b in blocks if b in slot_of), np.int32), refused

    def _grow(self, blocks) -> None:
        new = len(blocks) - len(self.coords)
        self.coords = np.array(blocks, np.int32).reshape(-1, 3)
        self.words = np.pad(self.words, ((0, 0), (0, new), (0, 0)))
        self.change = np.pad(self.change, ((0, new), (0, 0)))

    def integrate(self, slots, view: View, camera_from_world: Mat4, removing: bool) -> int:
        """Observations refused."""
        refused = 0
        for part in np.array_split(slots, len(slots) // 512 + 1):
            self.words[:, part], change, more = integrated(
                self.words[:, part],
                self.coords[part],
                view,
                camera_from_world,
                self.grid,
                self._camera,
                removing,
            )
            self.change[part] = np.minimum(self.change[part] + change, CHANGE_MOST)
            refused += more
        return refused
