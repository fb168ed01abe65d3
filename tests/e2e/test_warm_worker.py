"""One worker is kept warm, and a session takes it."""

import asyncio

from processes import workers

from mapcast_client import connect
from replay.sequence import Sequence
from stream.config import ServerConfig
from stream.server import serve


async def test_a_session_takes_the_warm_worker_and_a_server_leaves_none(room: Sequence) -> None:
    others = workers()
    async with serve(ServerConfig(http_port=0, grpc_port=0)) as server:
        async with asyncio.timeout(30):
            while not (warm := workers() - others):
                await asyncio.sleep(0.02)
        async with connect(server.grpc_address) as client:
            await client.open(room.calibration.to_message(), pose_source="given")
            assert workers() - others == warm
    assert workers() == others
