"""The worker processes of a server."""

import psutil


def workers(server_pid: int | None = None) -> set[int]:
    """Process ids of the living workers of a server process; None: of this one."""
    found = set()
    for child in psutil.Process(server_pid).children(recursive=True):
        try:
            if "stream.worker_main" in child.cmdline():
                found.add(child.pid)
        except (psutil.NoSuchProcess, psutil.ZombieProcess):
            continue  # it ended while we looked
    return found
