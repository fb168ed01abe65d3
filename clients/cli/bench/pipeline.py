"""The whole worker, lossless: frames per second and where they go; and through real sockets."""

import asyncio
import statistics
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from clients.cli.bench.figure import Figure
from clients.cli.bench.peer import require_open3d
from clients.cli.bench.readers import reading
from clients.cli.bench.served import Served, served
from mapcast_client import AsyncSession, connect
from mapcast_client.v1 import ingest_pb2
from replay.opening import open_rgbd_sequence
from replay.sequence import RgbdSequence
from slam.images import decode_frame
from stream.config import ServerConfig
from stream.registry import Registry
from stream.sender import Sender
from stream.subscribe import Subscription

VOXEL_M = 0.01
MESH_HZ = 14.0
PEER_FRAMES = 100
STAGES = ("decode_ms", "track_ms", "fuse_ms", "mesh_ms")


def run(data: Path) -> list[Figure]:
    """Stream all of `data`; the peer is Open3D's dense SLAM on the sequence's first frames.

    Raises DependencyError if Open3D is missing.
    """
    o3d = require_open3d()
    sequence = open_rgbd_sequence(data)
    frames = list(sequence.frames())
    worker = asyncio.run(_through_worker(sequence, frames))
    with served() as server:
        sockets = asyncio.run(_through_sockets(sequence, frames, server))
    peer = _open3d_frames_per_s(o3d, sequence)
    fused = sum(r.status == ingest_pb2.FrameResult.STATUS_FUSED for r in worker.results)
    return [
        Figure(
            "pipeline: worker, lossless frames per second, 1 cm",
            worker.frames_per_s,
            "1/s",
            "Open3D dense SLAM",
            peer,
            worker.frames_per_s / peer,
        ),
        _at_least("pipeline: the same against the target", worker.frames_per_s, "1/s", 40.0),
        _at_least("pipeline: mesh updates encoded", worker.updates_per_s, "1/s", 10.0),
        _at_least("pipeline: frames fused", fused / len(frames), "share", 1.0),
        Figure("pipeline: through gRPC and a WebSocket reader", sockets.frames_per_s, "1/s"),
        *(
            Figure(f"pipeline: {stage.removesuffix('_ms')}, median", _median(worker, stage), "ms")
            for stage in STAGES
        ),
    ]


def _at_least(name: str, value: float, unit: str, target: float) -> Figure:
    return Figure(name, value, unit, target=target, holds=value >= target)


@dataclass(frozen=True, slots=True)
class _Run:
    results: list[ingest_pb2.FrameResult]
    elapsed_s: float
    updates: int

    @property
    def frames_per_s(self) -> float:
        return len(self.results) / self.elapsed_s

    @property
    def updates_per_s(self) -> float:
        return self.updates / self.elapsed_s


def _median(run: _Run, stage: str) -> float:
    """Over the frames in which the stage was at work."""
    times_ms: list[float] = [getattr(result.stages, stage) for result in run.results]
    return statistics.median([time_ms for time_ms in times_ms if time_ms] or [0.0])


async def _through_worker(sequence: RgbdSequence, frames: list[ingest_pb2.Frame]) -> _Run:
    """A session of a real worker process, its rows encoded as for a subscriber; no sockets."""
    registry = Registry(ServerConfig(keep_warm_worker=False))
    await registry.start()
    session = await registry.open(
        ingest_pb2.OpenSession(
            sensor=ingest_pb2.SENSOR_RGBD,
            calibration=sequence.calibration.to_message(),
            policy=ingest_pb2.POLICY_LOSSLESS,
            fusion=_fusion(),
        )
    )
    sender, updates = Sender(), set()
    session.attach(sender)

    async def count(_: bytes) -> None:
        updates.add(session.newest_frame.index)

    with registry.follower(session.id, Subscription(layers=("mesh",))) as follower:
        following = asyncio.create_task(follower.follow(count))
        receiving = asyncio.create_task(_results_of(sender, len(frames)))
        start_s = time.perf_counter()
        for frame in frames:
            await session.submit(sender, frame)
        results = await receiving
        elapsed_s = time.perf_counter() - start_s
        following.cancel()
    await registry.close()
    return _Run(results, elapsed_s, len(updates))


async def _results_of(sender: Sender, count: int) -> list[ingest_pb2.FrameResult]:
    results: list[ingest_pb2.FrameResult] = []
    while len(results) < count:
        message = await sender.next_message()
        assert message is not None
        if message.HasField("result"):  # corrections come in between
            results.append(message.result)
    return results


async def _through_sockets(
    sequence: RgbdSequence, frames: list[ingest_pb2.Frame], server: Served
) -> _Run:
    """The same with a sender, a server and a reader, each in a process of its own."""
    async with connect(server.grpc_address) as client:
        session = await client.open(
            sequence.calibration.to_message(), "bench pipeline", "lossless", "tracked", _fusion()
        )
        with reading(server.http_url, session.id, 1, 0) as totals:
            receiving = asyncio.create_task(_receive(session, len(frames)))
            start_s = time.perf_counter()
            for frame in frames:
                await session.send(frame)
            results = await receiving
            elapsed_s = time.perf_counter() - start_s
        await session.finish()
    return _Run(results, elapsed_s, totals["updates"])


def _fusion() -> ingest_pb2.FusionSettings:
    return ingest_pb2.FusionSettings(voxel_size_m=VOXEL_M, mesh_rate_hz=MESH_HZ)


async def _receive(session: AsyncSession, count: int) -> list[ingest_pb2.FrameResult]:
    results: list[ingest_pb2.FrameResult] = []
    async for result in session.results():
        results.append(result)
        if len(results) == count:
            break
    return results


def _open3d_frames_per_s(o3d: Any, sequence: RgbdSequence) -> float:
    """Open3D 0.20's frame-to-model tracking, integration and raycast on the same machine."""
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
