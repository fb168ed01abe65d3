"""A server in a process of its own that can be killed and started again at the same ports."""

import os
import signal
import socket
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import psutil

from mapcast_client.errors import DependencyError

START_TIMEOUT_S = 60.0


class MortalServer:
    """`mapcast serve`, with its recordings and maps in a folder."""

    def __init__(self, folder: Path) -> None:
        """Nothing runs yet."""
        self._folder = folder
        self._http_port, self._grpc_port = _free_port(), _free_port()
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def address(self) -> str:
        """Its gRPC port, the same in all its lives."""
        return f"127.0.0.1:{self._grpc_port}"

    @property
    def log(self) -> str:
        """What it said, in all its lives."""
        return (self._folder / "log").read_text(errors="replace")

    def start(self) -> None:
        """Start it, and wait until both ports listen. Raises DependencyError."""
        options = [
            *("--http-port", str(self._http_port), "--grpc-port", str(self._grpc_port)),
            *("--recordings", str(self._folder / "recordings"), "--no-refine"),
        ]
        with (self._folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "clients.cli.main", "serve", *options],
                env={**os.environ, "MAPCAST_MAPS": str(self._folder / "maps")},
                stdout=log,
                stderr=log,
            )
        give_up_s = time.monotonic() + START_TIMEOUT_S
        for port in (self._http_port, self._grpc_port):
            while not _listens(port):
                if self._process.poll() is not None or time.monotonic() > give_up_s:
                    raise DependencyError(f"the server did not start: {self.log[-2000:]}")
                time.sleep(0.05)

    def kill(self) -> None:
        """Kill −9 the server; its workers notice by themselves."""
        self._end(signal.SIGKILL)

    def stop(self) -> None:
        """Have it end as an operator would."""
        self._end(signal.SIGTERM)

    def kill_worker(self) -> None:
        """Kill −9 its oldest worker: a session's; the spare one was started later."""
        assert self._process is not None
        workers = []
        for child in psutil.Process(self._process.pid).children():
            with suppress(psutil.NoSuchProcess, psutil.ZombieProcess):  # it ended meanwhile
                if "stream.worker_main" in child.cmdline():
                    workers.append(child)
        for worker in sorted(workers, key=psutil.Process.create_time)[:1]:
            worker.kill()

    def _end(self, how: signal.Signals) -> None:
        if self._process is not None:
            self._process.send_signal(how)
            self._process.wait(timeout=60)
            self._process = None


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _listens(port: int) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=1):
            return True
    except OSError:
        return False
