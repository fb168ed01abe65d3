"""The whole worker, lossless, through a real server: frames per second and where they go."""

import asyncio
import statistics
import time
from pathlib import Path

import numpy as np

from clients.cli.bench.figure import Figure
from clients.cli.bench.readers import reading
from clients.cli.bench.served import Served, served
from mapcast_client import AsyncSession, connect
from mapcast_client.errors import DependencyError
from mapcast_client.v1 import ingest_pb2
from replay.sequence import Sequence, open_sequence
from slam.images import decode_frame

VOXEL_M = 0.01
TARGET_FRAMES_PER_S = 40.0
TARGET_MESH_HZ = 10.0
MESH_HZ = 10.5
PEER_FRAMES = 100
STAGES = ("decode_ms", "track_ms", "fuse_ms", "mesh_ms")


def run(data: Path) -> list[Figure]:
    """Stream all of `data`; the peer is Open3D's dense SLAM on the sequence's first frames."""
    sequence = open_sequence(data)
    with served() as server:
        results, elapsed_s, mesh_updates = asyncio.run(_stream(sequence, server))
    frames_per_s = len(results) / elapsed_s
    peer_frames_per_s = _open3d_frames_per_s(sequence)
    fused = sum(result.status == ingest_pb2.FrameResult.STATUS_FUSED for result in results)
    stages = [
        Figure(
            f"pipeline: {stage.removesuffix('_ms')}, median",
            statistics.median(getattr(result.stages, stage) for result in results),
            "ms",
        )
        for stage in STAGES
    ]
    return [
        Figure(
            "pipeline: lossless frames per second, 1 cm",
            frames_per_s,
            "1/s",
            "Open3D dense SLAM",
            peer_frames_per_s,
            target=TARGET_FRAMES_PER_S,
            holds=frames_per_s >= TARGET_FRAMES_PER_S,
        ),
        Figure(
            "pipeline: mesh updates at a subscriber",
            mesh_updates / elapsed_s,
            "1/s",
            target=TARGET_MESH_HZ,
            holds=mesh_updates / elapsed_s >= TARGET_MESH_HZ,
        ),
        Figure(
            "pipeline: frames fused",
            fused / len(results),
            "share",
            target=1.0,
            holds=fused == len(results),
        ),
        *stages,
    ]


async def _stream(
    sequence: Sequence, server: Served
) -> tuple[list[ingest_pb2.FrameResult], float, int]:
    """All results, the seconds from the first to the last, and the mesh updates seen."""
    frames = list(sequence.frames())
    fusion = ingest_pb2.FusionSettings(voxel_size_m=VOXEL_M, mesh_rate_hz=MESH_HZ)
    async with connect(server.grpc_address) as client:
        session = await client.open(
            sequence.calibration.to_message(), "bench pipeline", "lossless", "tracked", fusion
        )
        with reading(server.http_url, session.id, 1, 0) as totals:
            receiving = asyncio.create_task(_receive(session, len(frames)))
            for frame in frames:
                await session.send(frame)
            results, instants_s = await receiving
        await session.finish()
    return results, instants_s[-1] - instants_s[0], totals["updates"]


async def _receive(
    session: AsyncSession, count: int
) -> tuple[list[ingest_pb2.FrameResult], list[float]]:
    results, instants_s = [], []
    async for result in session.results():
        results.append(result)
        instants_s.append(time.perf_counter())
        if len(results) == count:
            break
    return results, instants_s


def _open3d_frames_per_s(sequence: Sequence) -> float:
    """Open3D 0.20's frame-to-model tracking, integration and raycast on the same machine."""
    try:
        import open3d as o3d
    except ImportError:
        raise DependencyError("the peer is Open3D: pip install 'mapcast[bench]'") from None
    core, slam = o3d.core, o3d.t.pipelines.slam
    device = core.Device("CPU:0")
    intrinsic = core.Tensor(sequence.calibration.camera.matrix)
    model = slam.Model(VOXEL_M, 16, 20000, core.Tensor(np.eye(4)), device)
    scale = 1 / sequence.calibration.depth_scale_m
    durations_s = []
    for index, message in enumerate(sequence.frames(PEER_FRAMES)):
        start_s = time.perf_counter()
        decoded = decode_frame(message, sequence.calibration)
        depth = o3d.t.geometry.Image(core.Tensor(np.array(decoded.depth)))
        color = o3d.t.geometry.Image(core.Tensor(np.array(decoded.color)))
        if index == 0:
            views = [slam.Frame(depth.rows, depth.columns, intrinsic, device) for _ in range(2)]
            seen, raycast = views
        seen.set_data_from_image("depth", depth)
        seen.set_data_from_image("color", color)
        if index > 0:
            result = model.track_frame_to_model(seen, raycast, scale, 4.0, 0.07)
            model.update_frame_pose(index, model.get_current_frame_pose() @ result.transformation)
        else:
            model.update_frame_pose(0, core.Tensor(np.eye(4)))
        model.integrate(seen, scale, 4.0)
        model.synthesize_model_frame(raycast, scale, 0.1, 4.0)
        durations_s.append(time.perf_counter() - start_s)
    return 1 / statistics.median(durations_s)
