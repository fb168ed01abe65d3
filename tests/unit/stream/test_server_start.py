"""A server that cannot start says so, and leaves nothing behind."""

import asyncio
from pathlib import Path

import psutil
import pytest
import uvicorn

from stream import worker_process
from stream.config import ServerConfig
from stream.errors import ServerError, WorkerDied
from stream.server import serve
from stream.worker_process import Equipment, WorkerPool


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


@pytest.mark.parametrize(("keep_warm", "proves"), [(True, True), (False, True), (True, False)])
async def test_a_worker_that_hangs_is_waited_for_once(
    keep_warm: bool, proves: bool, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parent), prepend=":")
    monkeypatch.setattr(worker_process, "WORKER_MODULE", "hanging_worker")
    monkeypatch.setattr(worker_process, "START_TIMEOUT_S", 3.0)
    starts = tmp_path / "starts"
    pool = WorkerPool(Equipment(starts, "opencl", 0.5), keep_warm)
    pool.warm()
    with pytest.raises(WorkerDied, match="not ready within 3 s; a device's driver may be why"):
        await (pool.prove() if proves else pool.take())
    await pool.close()
    assert starts.read_text() == "start\n"
