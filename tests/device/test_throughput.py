"""How fast a GPU is: figures are printed, not judged, for other work may run on it."""

import time
from collections.abc import Callable

import numpy as np
import pytest

from gpu.backend import Backend
from gpu.device.blocks import DeviceBlocks
from gpu.grid import FusionGrid, Pinhole
from gpu.self_test import copy_bytes_per_s

pytestmark = pytest.mark.alone

CAMERA = Pinhole(640, 480, np.array([525.0, 525.0]), np.array([319.5, 239.5]))
GRID = FusionGrid(0.01, 0.04, 0.1, 4.0, 3)
MAX_BLOCKS = 1 << 16
ROUNDS = 50


def _ms_each(work: Callable[[], object], backend: Backend) -> float:
    work()
    backend.synchronise()
    started_s = time.perf_counter()
    for _ in range(ROUNDS):
        work()
    backend.synchronise()
    return 1e3 * (time.perf_counter() - started_s) / ROUNDS


def _show(capsys: pytest.CaptureFixture[str], text: str) -> None:
    with capsys.disabled():
        print(f"\n{text}")


def test_transfers(backend: Backend, capsys: pytest.CaptureFixture[str]) -> None:
    frame = np.arange(2 * CAMERA.width_px * CAMERA.height_px, dtype=np.int32)
    buffer = backend.alloc(frame.nbytes)
    up_ms = _ms_each(lambda: backend.upload(buffer, frame), backend)
    down_ms = _ms_each(lambda: backend.download(buffer, np.int32, frame.size), backend)
    assert (backend.download(buffer, np.int32, frame.size) == frame).all()
    moved_gb_per_s = copy_bytes_per_s(backend, time.perf_counter, 1.0) / 1e9
    _show(
        capsys,
        f"{backend.info.name}, {backend.info.driver}: {frame.nbytes} bytes up in {up_ms:.3f} ms, "
        f"down in {down_ms:.3f} ms; blocks moved at {moved_gb_per_s:.0f} GB/s",
    )


def test_fusion_at_one_centimetre(backend: Backend, capsys: pytest.CaptureFixture[str]) -> None:
    v, u = np.mgrid[: CAMERA.height_px, : CAMERA.width_px]
    depth_m = (2 + 0.3 * np.sin(u / 60) * np.cos(v / 45)).astype(np.float32)
    color = np.stack([u, v, u + v], axis=-1).astype(np.uint8)
    pose = np.eye(4)
    blocks = DeviceBlocks(backend, GRID, CAMERA, MAX_BLOCKS)
    published = np.zeros(MAX_BLOCKS, np.uint64)

    def touch() -> None:
        blocks.load(depth_m, 1.0, color)
        blocks.touch(pose, allocate=True)

    touch_ms = _ms_each(touch, backend)
    touched, refused = blocks.touch(pose, allocate=True)
    integrate_ms = _ms_each(lambda: blocks.integrate(touched, pose, removing=False), backend)

    def mesh() -> None:
        blocks.mark_all()
        blocks.news(blocks.take_dirty(None), published)

    mesh_ms = _ms_each(mesh, backend)
    _, surface = blocks.news(touched, published)
    assert refused == 0
    assert len(surface.triangles) > CAMERA.width_px * CAMERA.height_px // 20
    _show(
        capsys,
        f"{backend.info.name}: a view of {len(touched)} blocks found in {touch_ms:.3f} ms, "
        f"integrated in {integrate_ms:.3f} ms; all {blocks.count} meshed in {mesh_ms:.3f} ms",
    )
