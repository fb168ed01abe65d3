"""What kills −9 cost: time until frames are answered again, frames, and the map.

A lossless sender with given poses, so that the map of a run that nobody disturbs is known to the
bit, and a subscriber that follows. Kills come at random moments.
"""

import asyncio
import math
import random
import statistics
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

from clients.cli.bench.figure import Figure
from clients.cli.bench.mortal_server import MortalServer
from clients.cli.bench.posed import back_and_forth
from mapcast_client import AsyncClient, AsyncSession, FollowOptions, Map, connect
from mapcast_client.errors import ConnectionLost, MapcastError
from mapcast_client.v1 import ingest_pb2
from replay.opening import open_rgbd_sequence
from replay.sequence import RgbdSequence
from stream.config import user_cache

WALK_FRAMES = 40
FRAMES_PER_KILL = 12
WORKER_KILLS, SERVER_KILLS = 10, 3
VOXEL_M = 0.04
GIVE_UP_S = 120.0


@dataclass(slots=True)
class Outcome:
    """What became of a run with kills."""

    frames: int
    fused: int = 0
    recovery_s: list[float] = field(default_factory=list)
    """From kills to the first result of a frame that was sent later."""
    is_same_map: bool = False
    """Whether it ended with the map of a run that nobody disturbed."""
    is_followed: bool = False
    """Whether the subscriber ended with it, too."""

    @property
    def lost(self) -> int:
        """Frames that are not in the map: the same map has all, whatever was answered."""
        return 0 if self.is_same_map else self.frames - self.fused


def run(data: Path) -> list[Figure]:
    """Measure with a recording that has poses. Raises InputError without."""
    sequence = open_rgbd_sequence(data, user_cache())
    figures = []
    for who, kills in (("worker", WORKER_KILLS), ("server", SERVER_KILLS)):
        outcome = asyncio.run(outcome_of(sequence, who, kills, seed=kills))
        times_s = sorted(outcome.recovery_s) or [math.nan]
        same = outcome.is_same_map and outcome.is_followed
        figures += [
            Figure(f"{who}: until answered again, median", statistics.median(times_s), "s"),
            Figure(f"{who}: until answered again, worst", times_s[-1], "s"),
            Figure(
                f"{who}: frames lost in {kills} kills",
                outcome.lost,
                "frames",
                target=0,
                holds=not outcome.lost,
            ),
            Figure(f"{who}: everyone's map is the same", same, "", target=1, holds=same),
        ]
    return figures


async def outcome_of(sequence: RgbdSequence, who: str, kills: int, seed: int) -> Outcome:
    """Stream with so many kills of a `worker` or the `server`, and without."""
    frames = list(islice(back_and_forth(sequence, WALK_FRAMES), kills * FRAMES_PER_KILL))
    with tempfile.TemporaryDirectory() as folder:
        server = MortalServer(Path(folder))
        await asyncio.to_thread(server.start)
        try:
            return await Disturbed(server, sequence, frames, random.Random(seed)).run(who, kills)
        finally:
            await asyncio.to_thread(server.stop)


class Disturbed:
    """One run: its sender, its subscriber and its killer."""

    def __init__(
        self,
        server: MortalServer,
        sequence: RgbdSequence,
        frames: list[ingest_pb2.Frame],
        rng: random.Random,
    ) -> None:
        self._server = server
        self._calibration = sequence.calibration.to_message()
        self._frames = frames
        self._rng = rng
        self._session = ""
        self._recorded_through = -1
        self._killed_s: float | None = None
        self._sent = -1
        """Index of the newest frame that was sent, ever."""
        self._sent_when_killed = -1
        self._outcome = Outcome(len(frames))

    async def run(self, who: str, kills: int) -> Outcome:
        """Stream calmly, then with kills, and compare."""
        async with self._joined() as (client, session):
            for frame in self._frames:
                await session.send(frame)
            expected = (await session.finish()).map_hash
            opened = await self._open(client)
            self._session = opened.id
            await opened.close()
        final_hash: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        following = asyncio.create_task(self._follow(final_hash))
        killing = asyncio.create_task(self._kill(who, kills))
        finished = await self._send_all(killing)
        final_hash.set_result(finished.map_hash)
        with suppress(TimeoutError):
            await asyncio.wait_for(following, GIVE_UP_S)
        self._outcome.fused = finished.fused
        self._outcome.is_same_map = finished.map_hash == expected
        self._outcome.is_followed = following.done() and not following.cancelled()
        return self._outcome

    async def _open(self, client: AsyncClient) -> AsyncSession:
        fusion = ingest_pb2.FusionSettings(voxel_size_m=VOXEL_M)
        calibration = None if self._session else self._calibration
        return await client.open(
            calibration, "killed", "lossless", "given", fusion, session=self._session
        )

    @asynccontextmanager
    async def _joined(self) -> AsyncIterator[tuple[AsyncClient, AsyncSession]]:
        async with connect(self._server.address) as client:
            yield client, await self._open(client)

    async def _send_all(self, killing: asyncio.Task[None]) -> ingest_pb2.Finished:
        """Send what is not recorded, again and again, until all is."""
        while True:
            try:
                async with self._joined() as (_, session):
                    return await self._send(session, killing)
            except (MapcastError, ExceptionGroup):  # the server is gone for a moment
                await asyncio.sleep(0.1)

    async def _send(
        self, session: AsyncSession, killing: asyncio.Task[None]
    ) -> ingest_pb2.Finished:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._take_results(session))
            for frame in self._frames:
                if frame.capture_ns > self._recorded_through:
                    await session.send(frame)
                    self._sent = max(self._sent, frame.index)
                    await asyncio.sleep(0.01)
            await killing
            return await session.finish()

    async def _take_results(self, session: AsyncSession) -> None:
        async for result in session.results():
            self._recorded_through = max(self._recorded_through, result.recorded_through)
            if self._killed_s is not None and result.index > self._sent_when_killed:
                self._outcome.recovery_s.append(time.monotonic() - self._killed_s)
                self._killed_s = None

    async def _kill(self, who: str, kills: int) -> None:
        """Kill at random moments; mostly when what was killed before has come back."""
        for _ in range(kills):
            await asyncio.sleep(self._rng.uniform(0.0, 0.6))
            if self._rng.random() < 0.8:
                await self._answered()
            self._killed_s = self._killed_s or time.monotonic()
            self._sent_when_killed = self._sent
            if who == "worker":
                self._server.kill_worker()
            else:
                await asyncio.to_thread(self._server.kill)
                await asyncio.to_thread(self._server.start)

    async def _answered(self) -> None:
        """Wait until frames are answered, or none is left to be."""
        give_up_s = time.monotonic() + GIVE_UP_S
        while self._killed_s is not None and time.monotonic() < give_up_s:
            if self._recorded_through >= self._frames[-1].capture_ns:
                return
            await asyncio.sleep(0.02)

    async def _follow(self, final_hash: asyncio.Future[int]) -> None:
        """Keep a map up to date, through all that happens, until it is the final one."""
        map_ = Map()
        while True:
            try:
                async with connect(self._server.address) as client:
                    options = FollowOptions(since=map_.complete_through, epoch=map_.epoch)
                    async for delta in client.follow(self._session, options):
                        map_.apply(delta)
                        is_final = final_hash.done() and map_.map_hash == final_hash.result()
                        if is_final and map_.is_exact:
                            return
            except ConnectionLost:
                await asyncio.sleep(0.1)
