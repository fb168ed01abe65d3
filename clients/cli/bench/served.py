"""A real server in a process of its own, for benches to stream to."""

import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil

from mapcast_client.errors import DependencyError

START_TIMEOUT_S = 120.0


@dataclass(frozen=True, slots=True)
class Served:
    """Where it listens, and its process (the workers are its children)."""

    http_url: str
    grpc_address: str
    process: psutil.Process

    def cpu_s(self) -> float:
        """CPU seconds of the server process so far, without its workers."""
        times = self.process.cpu_times()
        return float(times.user + times.system)


@contextmanager
def served(recordings: Path | None = None, module: str = "clients.cli.main") -> Iterator[Served]:
    """Run `mapcast serve` on free ports for the duration of the block, without refinement.

    `recordings`: the folder it records in; None: it does not. `module`: what the command is.
    """
    recording = ["--no-record"] if recordings is None else ["--recordings", str(recordings)]
    http_port, grpc_port = _free_port(), _free_port()
    ports = ["--http-port", str(http_port), "--grpc-port", str(grpc_port)]
    options = [*ports, *recording, "--no-refine"]
    with tempfile.TemporaryFile() as output:
        process = subprocess.Popen(
            [sys.executable, "-m", module, "serve", *options],
            stdout=output,
            stderr=output,
        )
        try:
            _wait_for(http_port, process)
            yield Served(
                f"http://127.0.0.1:{http_port}",
                f"127.0.0.1:{grpc_port}",
                psutil.Process(process.pid),
            )
        finally:
            process.terminate()
            process.wait(timeout=30)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _wait_for(port: int, process: "subprocess.Popen[bytes]") -> None:
    give_up_s = time.monotonic() + START_TIMEOUT_S
    while time.monotonic() < give_up_s:
        if process.poll() is not None:
            raise DependencyError(f"the server ended at once with code {process.returncode}")
        try:
            with socket.create_connection(("127.0.0.1", port), timeout=1):
                return
        except OSError:
            time.sleep(0.05)
    raise DependencyError(f"the server did not listen within {START_TIMEOUT_S:.0f} s")
