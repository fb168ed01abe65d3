"""Many subscribers and sessions come and go; the server is left as it was."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass

import httpx
import psutil

from mapcast_client import AsyncClient, Delta, FollowOptions, Map, connect
from mapcast_client.v1 import ingest_pb2
from mapcast_client.websocket import follow_websocket
from replay.opening import open_sequence
from replay.sequence import Sequence
from stream.config import ServerConfig
from stream.server import RunningServer, serve

SUBSCRIBERS = 200
AT_ONCE = 50
SESSIONS = 50
SETTLE_S, QUIET_S, POLL_S = 60.0, 3.0, 0.1


@dataclass(frozen=True)
class Held:
    """What this process holds, the server in it."""

    descriptors: int
    tasks: int
    children: int

    @classmethod
    def now(cls) -> "Held":
        process = psutil.Process()
        return cls(process.num_fds(), len(asyncio.all_tasks()), len(process.children()))


async def at_rest() -> Held:
    """What is held once the next worker is warm and nothing changes, or after a minute."""
    held, same = Held.now(), 0
    give_up_s = asyncio.get_running_loop().time() + SETTLE_S
    while same < QUIET_S / POLL_S and asyncio.get_running_loop().time() < give_up_s:
        await asyncio.sleep(POLL_S)
        before, held = held, Held.now()
        same = same + 1 if held == before and held.children == 1 else 0
    return held


async def finished_session(
    client: AsyncClient, room: Sequence, frames: list[ingest_pb2.Frame]
) -> tuple[str, int]:
    """A session's id and its map's hash."""
    fusion = ingest_pb2.FusionSettings(voxel_size_m=0.04)
    async with await client.open(
        room.calibration.to_message(), "soak", "lossless", fusion=fusion
    ) as session:
        for frame in frames:
            await session.send(frame)
        finished = await session.finish()
    assert finished.fused == len(frames)
    return session.id, finished.map_hash


async def delete(server: RunningServer, session: str) -> None:
    async with httpx.AsyncClient(base_url=server.http_url, trust_env=False) as http:
        (await http.delete(f"/v1/sessions/{session}")).raise_for_status()


async def subscribe(deltas: AsyncGenerator[Delta], map_hash: int) -> None:
    map_ = Map(["mesh"])
    async with aclosing(deltas):
        async for delta in deltas:
            map_.apply(delta)
            if map_.map_hash == map_hash:
                return


async def test_two_hundred_subscribers_leave_nothing_behind() -> None:
    room = open_sequence("rendered:frames=8")
    options = FollowOptions(layers=["mesh"])
    async with (
        serve(ServerConfig(http_port=0, grpc_port=0)) as server,
        connect(server.grpc_address) as client,
    ):
        session, map_hash = await finished_session(client, room, list(room.frames()))
        await subscribe(client.follow(session, options), map_hash)
        before = await at_rest()
        for _ in range(SUBSCRIBERS // AT_ONCE):
            async with asyncio.timeout(60), asyncio.TaskGroup() as group:
                for index in range(AT_ONCE):
                    deltas = (
                        client.follow(session, options)
                        if index % 2
                        else follow_websocket(server.http_url, session, options)
                    )
                    group.create_task(subscribe(deltas, map_hash))
        assert await at_rest() == before


async def test_fifty_sessions_leave_nothing_behind() -> None:
    room = open_sequence("rendered:frames=2")
    frames = list(room.frames())
    async with (
        serve(ServerConfig(http_port=0, grpc_port=0)) as server,
        connect(server.grpc_address) as client,
    ):
        session, first_hash = await finished_session(client, room, frames)
        await delete(server, session)
        before = await at_rest()
        for _ in range(SESSIONS):
            session, map_hash = await finished_session(client, room, frames)
            assert map_hash == first_hash
            await delete(server, session)
        assert await at_rest() == before
        assert await client.sessions() == []
