"""Many WebSocket subscribers in a process of their own: `python -m clients.cli.bench.readers`.

Arguments: server URL, session, number of readers, messages per second. They read and forget, one
line of JSON at the end (when standard input closes): how many messages and bytes they got.
"""

import asyncio
import json
import sys

from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed


async def read_all(url: str, session: str, count: int, rate_hz: float) -> dict[str, int]:
    """Read until standard input closes."""
    totals = {"messages": 0, "bytes": 0}
    address = (
        f"{url.replace('http', 'ws', 1)}/v1/sessions/{session}/subscribe"
        f"?layers=mesh&max_messages_per_s={rate_hz}"
    )

    async def read() -> None:
        async with connect(address, compression=None, max_size=None, max_queue=2) as socket:
            try:
                async for message in socket:
                    totals["messages"] += 1
                    totals["bytes"] += len(message)
            except ConnectionClosed:
                pass

    readers = [asyncio.create_task(read()) for _ in range(count)]
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
    for reader in readers:
        reader.cancel()
    await asyncio.gather(*readers, return_exceptions=True)
    return totals


if __name__ == "__main__":
    _, url_, session_, count_, rate_ = sys.argv
    print(json.dumps(asyncio.run(read_all(url_, session_, int(count_), float(rate_)))))
