"""A camera page in Chromium whose pictures bear numbers, and when each of them was taken."""

import re
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import numpy as np

from mapcast_client.v1 import ingest_pb2

FLAGS = (
    "--use-fake-device-for-media-stream",
    "--use-fake-ui-for-media-stream",
    "--allow-loopback-in-peer-connection",
    "--disable-renderer-backgrounding",
    "--disable-background-timer-throttling",
    "--disable-backgrounding-occluded-windows",
)
"""For the Chromium that it runs in."""
TIMEOUT_MS = 60_000
CLOCK_SAMPLES = 20
SIZE = {"width": 360, "height": 640}
BLOCK_PX, BITS = 16, 16
"""Of `numbered_camera.js`."""
_SCRIPT = Path(__file__).with_suffix(".js")
_PICTURES = re.compile(r"/bench-pictures/\d+$")
_MAP_BESIDE = re.compile(r"/\?session=")


class NumberedCamera:
    """A page that streams; see `filming`."""

    def __init__(self, page: Any) -> None:
        self._page = page

    async def shutters_ms(self) -> list[float]:
        """When each picture was taken, by its number: milliseconds of `time.time`.

        The page's clock is compared with ours by the quickest of some answers.
        """
        offsets_ms = []
        for _ in range(CLOCK_SAMPLES):
            before_ns = time.time_ns()
            page_ms = await self._page.evaluate("numberedCamera.nowMs()")
            after_ns = time.time_ns()
            offsets_ms.append((after_ns - before_ns, page_ms - (before_ns + after_ns) / 2e6))
        _, offset_ms = min(offsets_ms)
        page_times_ms = await self._page.evaluate("numberedCamera.shutterMs")
        return [page_ms - offset_ms for page_ms in page_times_ms]


@asynccontextmanager
async def filming(
    browser: Any, server_url: str, session: str, pictures: Sequence[bytes]
) -> AsyncIterator[NumberedCamera]:
    """Stream pictures, forth and back, into a session by the server's own camera page.

    Without the map beside the picture, which a CPU would have to draw.
    """

    async def give_picture(route: Any, request: Any) -> None:
        index = int(request.url.rpartition("/")[2])
        if index < len(pictures):
            await route.fulfill(body=pictures[index])
        else:
            await route.fulfill(status=404)

    page = await browser.new_page(viewport=SIZE)
    await page.route(_PICTURES, give_picture)
    await page.route(_MAP_BESIDE, lambda route: route.abort())
    await page.add_init_script(path=_SCRIPT)
    await page.goto(f"{server_url}/camera.html?session={session}")
    await page.get_by_role("button", name="Start", exact=True).click()
    await page.wait_for_function("mapcastCamera.offset() !== null", timeout=TIMEOUT_MS)
    try:
        yield NumberedCamera(page)
    finally:
        await page.close()


def read_number(picture: ingest_pb2.Image) -> int | None:
    """The number on an I420 picture; None: it is not legible."""
    count = BITS + 2
    rows = np.frombuffer(picture.data, np.uint8, BLOCK_PX * picture.width_px)
    blocks = rows.reshape(BLOCK_PX, -1)[4:-4, : count * BLOCK_PX]
    levels = blocks.reshape(len(blocks), count, BLOCK_PX)[..., 4:-4].mean(axis=(0, 2))
    *bits, white, black = levels > 128
    if not white or black:
        return None
    return sum(int(bit) << i for i, bit in enumerate(bits))
