"""WebSocket subscribers in a process of their own, which read and forget.

`python -m clients.cli.bench.readers URL SESSION COUNT RATE` reads until its standard input closes
and then prints what it got as one line of JSON.
"""

import asyncio
import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import pyarrow as pa
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed


@contextmanager
def reading(url: str, session: str, count: int, rate_hz: float) -> Iterator[dict[str, int]]:
    """Have `count` subscribers for the block; afterwards the yielded totals are filled."""
    arguments = [url, session, str(count), str(rate_hz)]
    process = subprocess.Popen(
        [sys.executable, "-m", "clients.cli.bench.readers", *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    totals: dict[str, int] = {}
    try:
        yield totals
    finally:
        output, _ = process.communicate(input="")
        totals.update(json.loads(output))


async def _read_all(url: str, session: str, count: int, rate_hz: float) -> dict[str, int]:
    totals = {"messages": 0, "updates": 0, "bytes": 0}
    frames = set()
    address = (
        f"{url.replace('http', 'ws', 1)}/v1/sessions/{session}/subscribe"
        f"?layers=mesh&max_messages_per_s={rate_hz}"
    )

    async def read(socket: Any) -> None:
        async for message in socket:
            totals["messages"] += 1
            totals["bytes"] += len(message)
            if count == 1:
                frames.add(pa.ipc.open_stream(message).schema.metadata[b"frame_index"])

    async def subscribe() -> None:
        async with connect(address, compression=None, max_size=None, max_queue=2) as socket:
            with suppress(ConnectionClosed):
                await read(socket)

    readers = [asyncio.create_task(subscribe()) for _ in range(count)]
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
    for reader in readers:
        reader.cancel()
    await asyncio.gather(*readers, return_exceptions=True)
    return totals | {"updates": len(frames)}


if __name__ == "__main__":
    _, url_, session_, count_, rate_ = sys.argv
    print(json.dumps(asyncio.run(_read_all(url_, session_, int(count_), float(rate_)))))
