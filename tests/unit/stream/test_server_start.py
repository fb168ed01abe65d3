"""A server that cannot start says so, and leaves nothing behind."""

import asyncio

import psutil
import pytest
import uvicorn

from stream.config import ServerConfig
from stream.errors import ServerError
from stream.server import serve


async def test_when_http_cannot_start_it_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    async def startup(self: uvicorn.Server, sockets: object = None) -> None:
        raise OSError("no more files")

    monkeypatch.setattr(uvicorn.Server, "startup", startup)
    config = ServerConfig(http_port=0, grpc_port=0)
    before = psutil.Process().children()
    with pytest.raises(ServerError, match="HTTP server did not start: no more files"):
        async with asyncio.timeout(60), serve(config):
            pytest.fail("it does not serve")
    assert psutil.Process().children() == before, "its spare worker"
