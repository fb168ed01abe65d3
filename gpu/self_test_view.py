"""A view of a ball before a wall, fused on a device and on the CPU: both must come to the same."""

from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from gpu.backend import Backend, BackendError
from gpu.cpu import CpuBlocks
from gpu.device.blocks import DeviceBlocks
from gpu.grid import FusionGrid, Pinhole

Blocks = CpuBlocks | DeviceBlocks

GRID = FusionGrid(0.02, 0.08, 0.1, 4.0, 3)
CAMERA = Pinhole(640, 480, np.array([525.0, 525.0]), np.array([319.5, 239.5]))
MAX_BLOCKS = 4096
LEAST_ALIKE = 0.99
"""Of blocks, and of voxels: the CPU rounds otherwise, so that 1 in 1000 sees the next pixel."""
_BALL_M, _RADIUS_M, _WALL_M = np.array([0.1, -0.05, 1.4]), 0.45, 2.1
_WORLD_FROM_CAMERA = np.array(
    [[0.96, 0, 0.28, 0.4], [0, 1, 0, -0.2], [-0.28, 0, 0.96, 1.1], [0, 0, 0, 1]]
)
_CAMERA_FROM_WORLD = np.array(np.linalg.inv(_WORLD_FROM_CAMERA), np.float64)


@dataclass(frozen=True, slots=True)
class FusedView:
    """What a view made of an empty pool."""

    coords: NDArray[np.int32]
    """(K, 3) ascending by z, y, x."""
    words: NDArray[np.uint32]
    """(4, K, 512) of their voxels."""


def fuse(blocks: Blocks) -> None:
    """Take the view in, as a session does."""
    depth_m, color = _images()
    blocks.load(depth_m, 1.0, color)
    touched, _ = blocks.touch(_WORLD_FROM_CAMERA, allocate=True)
    blocks.integrate(touched, _CAMERA_FROM_WORLD, removing=False)


def fused(blocks: Blocks) -> FusedView:
    """What an empty pool has after the view."""
    fuse(blocks)
    order = np.lexsort(blocks.coords().T)
    return FusedView(blocks.coords()[order], blocks.words()[:, order])


def fuse_s(backend: Backend | None, now_s: Callable[[], float], duration_s: float) -> float:
    """Fuse the view, again and again for a time, on a device (None: on the CPU).

    Returns the seconds that a view takes. Raises BackendError if a device comes to something else
    than the CPU.
    """
    with closing(_pool(backend)) as blocks:
        view = fused(blocks)
        if backend is not None:
            _check(backend, view, fused(_pool(None)))
        started_s, taken_s, rounds = now_s(), 0.0, 0
        while not rounds or taken_s < duration_s:
            fuse(blocks)
            if backend is not None:
                backend.synchronise()
            rounds, taken_s = rounds + 1, now_s() - started_s
    return taken_s / rounds


def _pool(backend: Backend | None) -> Blocks:
    if backend is None:
        return CpuBlocks(GRID, CAMERA, MAX_BLOCKS)
    return DeviceBlocks(backend, GRID, CAMERA, MAX_BLOCKS)


def _check(backend: Backend, view: FusedView, expected: FusedView) -> None:
    blocks, expected_blocks = (set(map(tuple, each.coords.tolist())) for each in (view, expected))
    common = blocks & expected_blocks
    if len(common) < LEAST_ALIKE * max(len(blocks), len(expected_blocks)):
        raise BackendError(
            f"{backend.info.name}: a view touched {len(blocks)} blocks, on the CPU "
            f"{len(expected_blocks)}, and only {len(common)} of them are the same"
        )
    alike = _alike(*(_words_of(each, common) for each in (view, expected)))
    if alike < LEAST_ALIKE:
        raise BackendError(
            f"{backend.info.name}: {alike:.1%} of a view's voxels are as on the CPU, "
            f"must be {LEAST_ALIKE:.0%}"
        )


def _words_of(view: FusedView, blocks: set[tuple[int, ...]]) -> NDArray[np.uint32]:
    return view.words[:, [tuple(block) in blocks for block in view.coords.tolist()]]


def _alike(words: NDArray[np.uint32], expected: NDArray[np.uint32]) -> float:
    """The share of voxels with the same colour and weight, and a distance within one step."""
    steps = words[0].view(np.int32) - expected[0].view(np.int32)
    is_alike = (np.abs(steps) <= 1) & (words[1:] == expected[1:]).all(axis=0)
    return float(is_alike.mean())


@cache
def _images() -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
    """Depth in metres (H, W), exact, and colours (H, W, 3) that differ from pixel to pixel."""
    v, u = np.mgrid[: CAMERA.height_px, : CAMERA.width_px]
    x, y = (
        (uv - c) / f for uv, c, f in zip((u, v), CAMERA.centre_px, CAMERA.focal_px, strict=True)
    )
    rays = np.stack([x, y, np.ones_like(x)], axis=-1)
    along, square = rays @ _BALL_M, (rays**2).sum(axis=-1)
    under_root = along**2 - square * (_BALL_M @ _BALL_M - _RADIUS_M**2)
    is_ball = under_root >= 0
    ball_m = (along - np.sqrt(np.where(is_ball, under_root, 0))) / square
    depth_m = np.where(is_ball, ball_m, _WALL_M).astype(np.float32)
    return depth_m, np.stack([u, v, u + v], axis=-1).astype(np.uint8)
