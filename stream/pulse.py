"""Wake everyone who waits for "something changed"."""

import asyncio


class Pulse:
    """A broadcast without memory: whoever waits when it fires goes on."""

    def __init__(self) -> None:
        self._waiting: asyncio.Future[None] | None = None

    def fire(self) -> None:
        """Let everyone who waits now go on."""
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_result(None)
        self._waiting = None

    async def wait(self) -> None:
        """Wait for the next firing."""
        if self._waiting is None:
            self._waiting = asyncio.get_running_loop().create_future()
        await asyncio.shield(self._waiting)
