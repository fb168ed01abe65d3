"""The same recording, fused by the CPU, by OpenCL and by WebGPU, through the real server."""

import os
import re
from dataclasses import dataclass

import numpy as np
import pytest
from scipy.spatial import cKDTree

from clients.cli.connection import reach
from clients.cli.replay import replayed
from clients.cli.streaming import StreamOptions
from gpu.backend import BackendError
from gpu.discovery import choose
from replay.opening import open_sequence
from stream.config import user_cache

FRAMES = 12
VOXEL_M = 0.02


@dataclass(frozen=True, slots=True)
class Outcome:
    map_hash: str
    blocks: int
    vertices_world: np.ndarray


async def fused_by(backend: str) -> Outcome:
    sequence = open_sequence(f"rendered:frames={FRAMES}", user_cache())
    options = StreamOptions(FRAMES, 0.0, "lossless", "given", VOXEL_M)
    async with (
        reach(None, None, backend=backend) as server,
        replayed(server, sequence, options) as done,
    ):
        assert done.report.tracked == FRAMES
        assert ("CPU" if backend == "cpu" else f"({backend})") in done.report.device
        metrics = (await server.get("/metrics")).decode()
        used, limit = (
            float(re.findall(rf"^mapcast_device_memory_{each} (\S+)$", metrics, re.M)[0])
            for each in ("bytes", "limit_bytes")
        )
        assert used == limit == 0 if backend == "cpu" else 1e6 < used < limit
        mesh = done.streamed.followed.mesh()
        return Outcome(done.report.map_hash, done.report.blocks, mesh.vertices_world)


def present(backend: str) -> bool:
    """In CI they have to be."""
    try:
        choose(backend)
    except BackendError:
        if os.environ.get("CI") == "true":
            raise
        return False
    return True


async def test_devices_make_the_same_map_and_the_cpu_nearly() -> None:
    devices = [backend for backend in ("opencl", "webgpu") if present(backend)]
    if not devices:
        pytest.skip("no OpenCL or WebGPU driver")
    cpu = await fused_by("cpu")
    outcomes = [await fused_by(backend) for backend in devices]
    assert len({outcome.map_hash for outcome in outcomes}) == 1
    for outcome in outcomes:
        assert abs(outcome.blocks - cpu.blocks) <= 0.002 * cpu.blocks
        for these, those in ((cpu, outcome), (outcome, cpu)):
            distances_m, _ = cKDTree(those.vertices_world).query(these.vertices_world)
            assert (distances_m <= 0.1 * VOXEL_M).mean() >= 0.999


async def test_a_backend_that_is_not_there_is_named() -> None:
    with pytest.raises(BackendError, match="cuda:7 is not there"):
        async with reach(None, None, backend="cuda:7"):
            pass
