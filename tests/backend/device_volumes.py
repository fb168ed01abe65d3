"""Volumes in main memory, and the same on a device."""

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from gpu.backend import Backend
from gpu.cpu import CpuBlocks
from gpu.device.pool import VOXEL_WORDS, DevicePool
from gpu.grid import FusionGrid, Pinhole
from gpu.owned_buffers import OwnedBuffers

VOXEL_M = 1 / 32
CAMERA = Pinhole(160, 120, np.array([140.0, 140.0]), np.array([79.5, 59.5]))
RADIUS_M = 1.5


def grid(min_weight: int = 1) -> FusionGrid:
    return FusionGrid(VOXEL_M, 4 * VOXEL_M, 0.1, 4.0, min_weight)


def poses(count: int = 3) -> list[NDArray[np.float64]]:
    """Cameras near the middle of a room, which look several ways."""
    made = []
    for i in range(count):
        pose = np.eye(4)
        pose[:3, :3] = Rotation.from_euler("yx", (70 * i, 15 * i), degrees=True).as_matrix()
        pose[:3, 3] = (0.1 * i, -0.05 * i, 0.08 * i)
        made.append(pose)
    return made


def view(world_from_camera: NDArray[np.float64], seed: int):
    """Depth in metres, and colours, of a round room whose wall is wavy; a tenth of it unknown."""
    rng = np.random.default_rng(seed)
    v, u = np.mgrid[: CAMERA.height_px, : CAMERA.width_px]
    (fx, fy), (cx, cy) = CAMERA.focal_px, CAMERA.centre_px
    rays = np.stack([(u - cx) / fx, (v - cy) / fy, np.ones(u.shape)], axis=-1)
    rays = rays @ world_from_camera[:3, :3].T
    origin = world_from_camera[:3, 3]
    a, b = (rays**2).sum(-1), rays @ origin
    depth_m = (-b + np.sqrt(b**2 - a * (origin @ origin - RADIUS_M**2))) / a
    depth_m += 0.03 * np.sin(u / 9) * np.cos(v / 7)
    depth_m[rng.random(depth_m.shape) < 0.1] = 0
    color = rng.integers(0, 256, (*depth_m.shape, 3), np.uint8)
    return depth_m.astype(np.float32), color


def add_view(blocks: CpuBlocks, pose: NDArray[np.float64], seed: int) -> NDArray[np.int32]:
    """The slots it touched."""
    depth_m, color = view(pose, seed)
    blocks.load(depth_m, 1.0, color)
    touched, refused = blocks.touch(pose, allocate=True)
    assert refused == 0
    blocks.integrate(touched, np.linalg.inv(pose), removing=False)
    return touched


def fused(min_weight: int = 1) -> CpuBlocks:
    """Some views of a room, around the world's origin."""
    blocks = CpuBlocks(grid(min_weight), CAMERA, 4096)
    for seed, pose in enumerate(3 * poses()):
        add_view(blocks, pose, seed)
    assert blocks.count > 200
    assert blocks.coords().min() < 0 < blocks.coords().max()
    return blocks


def of_noise(coords: NDArray[np.int32], min_weight: int, seed: int = 0) -> CpuBlocks:
    """Blocks whose voxels have nothing to do with each other: all cases, weights and colours."""
    rng = np.random.default_rng(seed)
    blocks = CpuBlocks(grid(min_weight), CAMERA, 4096)
    assert blocks.insert(coords) == 0
    shape = len(coords), 512
    weights = rng.choice([0, 2, 9, 40], shape, p=[0.01, 0.02, 0.47, 0.5])
    colored = np.minimum(rng.integers(0, 4, shape), weights)
    blue, green, red = (colored * rng.integers(0, 256, shape) for _ in range(3))
    words = np.stack(
        [
            weights * rng.integers(-32767, 32768, shape),
            weights | colored << 16,
            red | (blue & 0x7FF) << 21,
            green | blue >> 11 << 21,
        ]
    )
    blocks.put_words(words.astype(np.uint32))
    return blocks


def on_device(backend: Backend, blocks: CpuBlocks) -> DevicePool:
    """A pool on a device with the same blocks at the same places."""
    pool = DevicePool.make(backend, blocks.count + 8, blocks.count + 8)
    pool.append(blocks.coords().copy(), 1)
    put_words(pool, blocks)
    return pool


def put_words(pool: DevicePool, blocks: CpuBlocks) -> None:
    for name, words in zip(VOXEL_WORDS, blocks.words(), strict=True):
        pool.backend.upload(getattr(pool, name), words)


class CountingBackend(OwnedBuffers):
    """A backend that knows how much went to the device and came from it."""

    moved_bytes = 0

    def upload(self, buffer, array, offset_bytes=0):
        self.moved_bytes += np.asarray(array).nbytes
        super().upload(buffer, array, offset_bytes)

    def download(self, buffer, dtype, count, offset_bytes=0):
        self.moved_bytes += count * np.dtype(dtype).itemsize
        return super().download(buffer, dtype, count, offset_bytes)
