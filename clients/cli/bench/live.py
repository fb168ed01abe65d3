"""Live cameras through real Chromium on this machine: CPU, latency, stalls, and motion stereo.

Browsers, server and workers share the machine's cores. Where only receiving is measured, the
sessions are paused, so that no worker competes.
"""

import asyncio
from importlib.util import find_spec
from pathlib import Path

from clients.cli.bench import publishing, screen, stereo
from clients.cli.bench.chromium import chromium
from clients.cli.bench.figure import Figure
from clients.cli.bench.numbered_camera import FLAGS
from clients.cli.bench.served import served
from clients.cli.connection import web_bundle
from mapcast_client.errors import DependencyError
from replay.opening import open_rgbd_sequence
from replay.sequence import RgbdSequence
from stream.config import ServerConfig, user_cache
from stream.server import serve

PICTURES = 200
"""Of the recording, forth and back."""


def run(data: Path) -> list[Figure]:
    """Measure with the first frames of `data`, an RGB-D recording with poses.

    Raises DependencyError without the pages' bundle, aiortc, Playwright or Chromium.
    """
    bundle = web_bundle()
    if bundle is None:
        raise DependencyError("the pages are not built: python tools/build_web.py")
    if find_spec("aiortc") is None:
        raise DependencyError("no aiortc: pip install 'mapcast[webrtc]'")
    sequence = open_rgbd_sequence(data, user_cache())
    return [
        *stereo.measure(sequence),
        *asyncio.run(_load(sequence)),
        *asyncio.run(_latency(sequence, bundle)),
    ]


async def _load(sequence: RgbdSequence) -> list[Figure]:
    """With a server in a process of its own, whose CPU can be told from ours."""
    pictures = _pictures(sequence)
    figures = []
    with served() as server:
        async with chromium(*FLAGS) as browser:
            for count in publishing.MAX_CORES:
                figures += await publishing.load(server, browser, pictures, count)
    return figures


async def _latency(sequence: RgbdSequence, bundle: Path) -> list[Figure]:
    """With a server in this process, at which can be listened."""
    pictures = _pictures(sequence)
    config = ServerConfig(
        http_port=0, grpc_port=0, cache=user_cache(), web_dir=bundle, keep_warm_worker=False
    )
    async with serve(config) as server:
        async with chromium(*FLAGS) as browser:
            figures = await publishing.stalls(server, browser, pictures)
            figures += await publishing.poses(server, browser, pictures)
            async with chromium() as watching:
                figures += await screen.monocular(server, browser, watching, pictures)
        async with chromium() as watching:
            figures += await screen.sent(server, watching, sequence)
    return figures


def _pictures(sequence: RgbdSequence) -> list[bytes]:
    return [frame.color.data for frame in sequence.frames(PICTURES)]
