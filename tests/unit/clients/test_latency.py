import asyncio

import pytest

from clients.cli.bench.latency import Arrivals, Paced
from mapcast_client.errors import MapcastError


async def arrivals(*messages: tuple[int, float]) -> Arrivals:
    arrived = Arrivals()
    for newest, at_s in messages:
        await arrived.add(newest, at_s)
    return arrived


async def test_a_frame_arrives_with_the_first_map_that_contains_it() -> None:
    paced = Paced(sent_s={0: 0.0, 1: 1.0, 2: 2.0, 3: 3.0, 4: 4.0}, fused=[0, 1, 3], dropped=2)
    arrived = await arrivals((0, 0.5), (2, 2.25), (2, 9.0), (4, 4.125))
    assert arrived.latencies_ms(paced.fused, paced) == [500, 1125, 1250]
    assert arrived.latencies_ms([3], paced) == [1125]


async def test_an_arrival_is_waited_for() -> None:
    arrived = Arrivals()
    async with asyncio.TaskGroup() as both:
        both.create_task(arrived.reach(7, timeout_s=10))
        await asyncio.sleep(0)
        await arrived.add(6, 0.0)
        await arrived.add(8, 0.0)
    assert arrived.newest == [6, 8]


async def test_a_fused_frame_that_never_arrives_is_an_error() -> None:
    arrived = await arrivals((6, 0.0))
    with pytest.raises(MapcastError, match=r"frame 7 was fused, but .* only to frame 6"):
        await arrived.reach(7, timeout_s=0.01)
