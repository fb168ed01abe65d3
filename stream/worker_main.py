"""A worker's process: `python -m stream.worker_main FD VOCABULARY BACKEND MEMORY_SHARE`."""

import os
import socket
import sys
from pathlib import Path

from fusion.warm_up import warm_up
from gpu.discovery import make_backend
from mapcast_client.errors import MapcastError
from stream import ipc, worker_pb2
from stream.refinements import refining_choice
from stream.worker import Worker


def main() -> None:
    """Entry point of the process."""
    os.dup2(2, 1)  # what ORB-SLAM3 prints belongs in the log, which is standard error
    pipe_fd, vocabulary, choice, memory_share = sys.argv[1:]
    with socket.socket(fileno=int(pipe_fd)) as pipe:
        serve(pipe, Path(vocabulary), choice, float(memory_share))


def serve(pipe: socket.socket, vocabulary: Path, choice: str, memory_share: float) -> None:
    """Serve a session on the device that a choice names, or say why that cannot be."""
    try:
        backend = make_backend(choice, memory_share)
        warm_up(backend)
    except MapcastError as error:
        refused = worker_pb2.Refused(reason=str(error))
        pipe.sendall(ipc.pack(worker_pb2.FromWorker(refused=refused)))
        return
    Worker(pipe, vocabulary, backend, refining_choice(choice, backend)).run()


if __name__ == "__main__":
    main()
