"""A server without workers, and a session that waits for a publisher."""

from collections.abc import AsyncIterator

import pytest_asyncio
from listening_session import ListeningSession, WhipServer, whip_server


@pytest_asyncio.fixture
async def server() -> AsyncIterator[WhipServer]:
    """WHIP's routes on a socket."""
    async with whip_server() as running:
        yield running


@pytest_asyncio.fixture
async def session(server: WhipServer) -> ListeningSession:
    """A monocular session of it."""
    return await server.open()
