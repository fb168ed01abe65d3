"""What `mapcast bench live` measures with: numbered pictures through the real camera page."""

import asyncio

import pytest
from browsing import chromium, pages_config

from clients.cli.bench.numbered_camera import FLAGS, filming
from clients.cli.bench.packet_loss import losing_packets
from clients.cli.bench.publishing import MONOCULAR
from clients.cli.bench.tap import Tap, delays_ms
from mapcast_client.v1 import ingest_pb2
from stream.server import serve

pytestmark = pytest.mark.browser

PICTURES = 40
TIMEOUT_S = 60
CLOCK_ERROR_MS = 20


async def test_pictures_arrive_with_their_numbers_and_after_their_shutters(
    posed_frames: list[ingest_pb2.Frame],
) -> None:
    jpegs = [frame.color.data for frame in posed_frames]
    async with serve(pages_config()) as server, chromium(*FLAGS) as browser:
        session = await server.registry.open(MONOCULAR)
        tap = Tap(session)
        async with filming(browser, server.http_url, session.id, jpegs) as camera:
            session.pause()
            with losing_packets(0.02):
                async with asyncio.timeout(TIMEOUT_S):
                    while len(tap.decoded_ms) < PICTURES:
                        await asyncio.sleep(0.1)
            shutters_ms = await camera.shutters_ms()
            assert session.status().dropped > 0, "it is paused"
    numbers = list(tap.decoded_ms)
    assert numbers == sorted(numbers)
    assert not tap.posed_ms
    delays = delays_ms(tap.decoded_ms, shutters_ms)
    assert len(delays) >= PICTURES
    assert -CLOCK_ERROR_MS < delays[0] < 1e3 * TIMEOUT_S
