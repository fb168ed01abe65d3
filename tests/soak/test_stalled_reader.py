"""A reader that stops reading for a minute costs the server next to nothing, and catches up."""

import asyncio
from itertools import islice

from clients.cli.bench.latency import pace
from clients.cli.bench.posed import back_and_forth
from clients.cli.bench.readers import reading
from clients.cli.bench.served import served
from clients.cli.bench.stalled import StalledReader
from mapcast_client import connect
from mapcast_client.v1 import ingest_pb2
from replay.opening import open_sequence

WALK_FRAMES = 40
RATE_HZ = 30.0
WARM_UP_S, STALL_S = 20, 60
GROWTH_LIMIT_MB = 6.0


async def test_a_stalled_reader_costs_nothing_that_grows_and_ends_with_the_servers_map() -> None:
    room = open_sequence(f"rendered:frames={WALK_FRAMES}")
    frames = back_and_forth(room, WALK_FRAMES)
    fusion = ingest_pb2.FusionSettings(voxel_size_m=0.02)
    with served() as server:
        async with connect(server.grpc_address) as client:
            session = await client.open(
                room.calibration.to_message(), "stall", "live", "given", fusion
            )
            # Past the first rounds, with a reader that keeps up, the map and the heap of the
            # encoder no longer grow by themselves.
            with reading(server.http_url, session.id, 1, 10.0):
                await pace(session, islice(frames, int(WARM_UP_S * RATE_HZ)), RATE_HZ)
            with StalledReader(server.http_url, session.id) as reader:
                before_bytes = server.process.memory_info().rss
                paced = await pace(session, islice(frames, int(STALL_S * RATE_HZ)), RATE_HZ)
                grown_mb = (server.process.memory_info().rss - before_bytes) / 1e6
                finished = await session.finish()
                assert await asyncio.to_thread(reader.catches_up, finished.map_hash)
    assert len(paced.fused) > STALL_S * RATE_HZ / 2, "the server was hardly busy"
    assert finished.map_hash != 0
    assert grown_mb < GROWTH_LIMIT_MB
