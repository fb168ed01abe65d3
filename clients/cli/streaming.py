"""Streaming a sequence through a server's real sockets, with one subscriber beside it."""

import asyncio
import time
from collections.abc import AsyncIterator, Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass

from clients.cli.connection import Server
from clients.cli.tally import Tally
from mapcast_client import AsyncClient, AsyncSession, FollowOptions, Map
from mapcast_client.errors import HashMismatch, InputError
from mapcast_client.poses import pose_message
from mapcast_client.v1 import ingest_pb2, maps_pb2
from replay.mcap import McapSequence
from replay.sequence import RGBD, Sequence, has_imu
from slam.trajectory import Trajectory

_CATCH_UP_TIMEOUT_S = 60.0
_RECONNECTS = 5


@dataclass(frozen=True, slots=True)
class DepthOptions:
    """Where the depth and the scale of a monocular session come from."""

    source: str = "auto"
    """auto, motion_stereo, network or fused."""
    model: str = ""
    """The name of one of the server's depth networks."""
    scene_depth_m: float = 0.0
    """Declares the scale; 0: not known."""

    def __post_init__(self) -> None:
        if not 0 <= self.scene_depth_m <= 1000:
            raise InputError(f"--scene-depth is {self.scene_depth_m} m, must be 0 to 1000")


@dataclass(frozen=True, slots=True)
class StreamOptions:
    """How a sequence is sent."""

    limit: int | None = None
    rate: float = 0.0
    """1: at the camera's rate; 0: as fast as the server takes it."""
    policy: str = "lossless"
    poses: str = "tracked"
    """`given`: the sequence's ground truth goes with each frame."""
    voxel_size_m: float | None = None
    """Of a map without a scale in its own unit; None: as recorded, or the server chooses."""
    depth: DepthOptions = DepthOptions()
    free_intrinsics: bool = False
    """Have the focal lengths estimated, where the server refines."""
    filter_depth: bool = False
    """Have the sensor's depth smoothed and weighed; False: as recorded."""

    def __post_init__(self) -> None:
        if self.limit is not None and self.limit < 1:
            raise InputError(f"--limit is {self.limit}, must be at least 1")
        if self.rate < 0:
            raise InputError(f"--rate is {self.rate}, must be 0 (as fast as possible) or more")
        if self.free_intrinsics and self.poses == "given":
            raise InputError("--free-intrinsics with --poses given: such poses are not refined")
        if self.voxel_size_m is not None and not 0.001 <= self.voxel_size_m <= 1:
            raise InputError(f"--voxel is {self.voxel_size_m} m, must be 0.001 to 1")


@dataclass(frozen=True, slots=True)
class StreamedMap:
    """A finished session: what it came to, and the subscriber's equal copy of it."""

    session: str
    info: maps_pb2.SessionInfo
    followed: Map
    trajectory: Trajectory
    """The corrected path."""


class SequenceStream:
    """One sequence on its way through one server."""

    def __init__(self, server: Server, sequence: Sequence, options: StreamOptions) -> None:
        if options.poses == "given" and not _has_poses(sequence):
            raise InputError(f"{sequence.name} has no ground truth to give as poses")
        if options.filter_depth and sequence.sensor != RGBD:
            raise InputError(f"--filter-depth: {sequence.name} comes without a sensor's depth")
        self.tally = Tally()
        self._server = server
        self._sequence = sequence
        self._options = options

    @property
    def frame_count(self) -> int:
        """How many frames will be sent."""
        return min(len(self._sequence), self._options.limit or len(self._sequence))

    async def open(self, client: AsyncClient) -> AsyncSession:
        """Open the session that `run` streams to."""
        sequence, options = self._sequence, self._options
        unknown_camera = ingest_pb2.Calibration(frame_rate_hz=sequence.frame_rate_hz)
        known = sequence.calibration
        return await client.open(
            unknown_camera if known is None else known.to_message(),
            name=sequence.name,
            policy=options.policy,
            pose_source=options.poses,
            fusion=_fusion(sequence, options),
            sensor=sequence.sensor,
            depth=options.depth.source,
            model=options.depth.model,
            scene_depth_m=options.depth.scene_depth_m,
            free_intrinsics=options.free_intrinsics,
        )

    async def run(self, client: AsyncClient, session: AsyncSession) -> StreamedMap:
        """Send every frame, take every result, and follow the map until it is final and equal.

        Raises HashMismatch when the subscriber's map does not become the server's.
        """
        final_hash: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        async with asyncio.TaskGroup() as tasks:
            following = tasks.create_task(self._follow(session.id, final_hash))
            tasks.create_task(self._take_results(session))
            tasks.create_task(self._take_corrections(session))
            await self._send_frames(session)
            finished = await session.finish()
            final_hash.set_result(finished.map_hash)
            await self._caught_up(following, finished)
        info = await client.session(session.id)
        return StreamedMap(session.id, info, following.result(), await self._path(session.id))

    async def _path(self, session: str) -> Trajectory:
        """The corrected path; a map whose camera never became known has none to ask for."""
        if self.tally.tracked == 0:
            return Trajectory.from_tum("")
        tum = await self._server.get(f"/v1/sessions/{session}/trajectory.tum")
        return Trajectory.from_tum(tum.decode(), f"trajectory of {session}")

    async def _send_frames(self, session: AsyncSession) -> None:
        truth = self._poses_by_time() if self._options.poses == "given" else {}
        started_s, first_ns = time.monotonic(), None
        imu = ImuBatches(self._sequence)
        async with self._frames() as frames:
            async for frame in frames:
                if self._options.poses == "given" and not frame.HasField("world_from_camera"):
                    frame.world_from_camera.CopyFrom(_pose_of(frame, truth))
                first_ns = frame.capture_ns if first_ns is None else first_ns
                if self._options.rate > 0:
                    due_s = (frame.capture_ns - first_ns) / 1e9 / self._options.rate
                    await asyncio.sleep(started_s + due_s - time.monotonic())
                for batch in imu.until(frame.capture_ns):
                    await session.send_imu(batch)
                self.tally.add_sent(time.monotonic())
                await session.send(frame)

    @asynccontextmanager
    async def _frames(self) -> AsyncIterator[AsyncIterator[ingest_pb2.Frame]]:
        """Read the sequence on a thread of its own, closed at the end of the block."""
        frames = self._sequence.frames(self._options.limit)
        loop = asyncio.get_running_loop()
        with ThreadPoolExecutor(1, "read sequence") as reader:

            async def read() -> AsyncIterator[ingest_pb2.Frame]:
                while (frame := await loop.run_in_executor(reader, next, frames, None)) is not None:
                    yield frame

            try:
                yield read()
            finally:
                if isinstance(frames, Generator):
                    await loop.run_in_executor(reader, frames.close)

    async def _take_results(self, session: AsyncSession) -> None:
        async for result in session.results():
            self.tally.add_result(result, time.monotonic())

    async def _take_corrections(self, session: AsyncSession) -> None:
        async for corrections in session.corrections():
            self.tally.add_corrections(corrections)

    async def _follow(self, session: str, final_hash: asyncio.Future[int]) -> Map:
        """Follow the map over the WebSocket until it is exact and has the final hash."""
        followed = Map()
        options = FollowOptions(reconnect=_RECONNECTS)
        async for delta in self._server.follow(session, options):
            followed.apply(delta)
            self.tally.delta_bytes += delta.size_bytes
            if followed.status is not None:
                self.tally.blocks = followed.status.blocks
                self.tally.triangles = followed.status.triangles
            is_final = final_hash.done() and followed.map_hash == final_hash.result()
            if is_final and followed.is_exact:
                return followed
        raise HashMismatch(f"session {session}: the subscription ended before its map was final")

    async def _caught_up(self, following: asyncio.Task[Map], end: ingest_pb2.Finished) -> None:
        done, _ = await asyncio.wait([following], timeout=_CATCH_UP_TIMEOUT_S)
        if not done:
            raise HashMismatch(
                f"{_CATCH_UP_TIMEOUT_S:.0f} s after the end the subscriber's map is not the "
                f"server's (hash {end.map_hash}, revision {end.revision})"
            )

    def _poses_by_time(self) -> dict[int, ingest_pb2.Pose]:
        truth = self._sequence.ground_truth
        if truth is None:
            return {}  # its frames bring them
        instants = truth.capture_ns.tolist()
        return dict(zip(instants, map(pose_message, truth.world_from_camera), strict=True))


def _fusion(sequence: Sequence, options: StreamOptions) -> ingest_pb2.FusionSettings:
    """A recorded session's settings, but for what is asked for; else the server's."""
    fusion = ingest_pb2.FusionSettings()
    if isinstance(sequence, McapSequence):
        fusion.CopyFrom(sequence.settings.fusion)
    if options.voxel_size_m is not None:
        fusion.voxel_size_m = options.voxel_size_m
    if options.filter_depth:
        fusion.depth_filter = True
    return fusion


class ImuBatches:
    """The IMU samples of a sequence, those that lead up to each frame at a time."""

    def __init__(self, sequence: Sequence) -> None:
        self._batches = sequence.imu() if has_imu(sequence) else iter(())
        self._next = next(self._batches, None)

    def until(self, capture_ns: int) -> Iterator[ingest_pb2.ImuBatch]:
        """Batches that begin at an instant at the latest, and were not yielded before."""
        while self._next is not None and self._next.samples[0].capture_ns <= capture_ns:
            yield self._next
            self._next = next(self._batches, None)


def _has_poses(sequence: Sequence) -> bool:
    """Whether its true path is known, or else its first frame brings a pose."""
    if sequence.ground_truth is not None:
        return True
    return any(frame.HasField("world_from_camera") for frame in sequence.frames(limit=1))


def _pose_of(frame: ingest_pb2.Frame, truth: dict[int, ingest_pb2.Pose]) -> ingest_pb2.Pose:
    """The pose of the frame's instant. Raises InputError where the ground truth has a gap."""
    if frame.capture_ns not in truth:
        raise InputError(
            f"frame {frame.index}: no ground truth at {frame.capture_ns} ns; "
            "leave --poses at `tracked`"
        )
    return truth[frame.capture_ns]
