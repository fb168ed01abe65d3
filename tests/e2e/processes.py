"""What a test can see of the processes that its servers start."""

from contextlib import suppress

import psutil


def workers() -> set[int]:
    """The pids of the live worker processes of this process's servers."""
    found = set()
    for child in psutil.Process().children(recursive=True):
        with suppress(psutil.NoSuchProcess):  # gone meanwhile, or a zombie
            if "stream.worker" in child.cmdline():
                found.add(child.pid)
    return found
