"""A session's worker on a device: which thread uses it, and what is said where it does not do."""

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from device_volumes import poses, view
from host_backend import HostBackend

from fusion.warm_up import warm_up
from gpu.backend import Backend, BackendError
from mapcast_client.v1 import ingest_pb2
from slam.camera import Calibration, Camera
from slam.geometry import pose_vector
from stream import ipc, worker_main
from stream.worker import Worker
from stream.worker_pb2 import FromWorker, Open, ToWorker

CAMERA = Camera(160, 120, 140.0, 140.0, 79.5, 59.5)
SIZE = {"width_px": CAMERA.width_px, "height_px": CAMERA.height_px}
VERBS = ("alloc", "free", "upload", "download", "copy", "fill", "launch", "synchronise")
RESET = ToWorker(control=ingest_pb2.Control(action=ingest_pb2.Control.ACTION_RESET))
TIMEOUT_S = 60.0


class Watched:
    """A backend that notes who asks it, and how much was taken before each piece of memory."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend
        self.threads: set[int] = set()
        self.taken_bytes: list[int] = []

    def __getattr__(self, name: str) -> Any:
        if name in VERBS:
            self.threads.add(threading.get_ident())
        if name == "alloc":
            self.taken_bytes.append(self._backend.memory().used_bytes)
        return getattr(self._backend, name)


class Server:
    """The other end of a worker's pipe."""

    def __init__(self, pipe: socket.socket) -> None:
        self._pipe = pipe
        pipe.settimeout(TIMEOUT_S)

    def send(self, message: ToWorker) -> None:
        self._pipe.sendall(ipc.pack(message))

    def next(self, kind: str) -> Any:
        """The next message of a kind."""
        while True:
            size = int.from_bytes(self._pipe.recv(4, socket.MSG_WAITALL), "little")
            message = FromWorker.FromString(self._pipe.recv(size, socket.MSG_WAITALL))
            if message.WhichOneof("message") == kind:
                return getattr(message, kind)


@contextmanager
def worker_on(backend: Any) -> Iterator[Server]:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        worker = Worker(theirs, Path("no-vocabulary"), backend)
        thread = threading.Thread(target=worker.run)
        thread.start()
        try:
            yield Server(ours)
        finally:
            ours.shutdown(socket.SHUT_WR)
            thread.join()


def opening() -> ToWorker:
    settings = ingest_pb2.OpenSession(
        sensor=ingest_pb2.SENSOR_RGBD,
        pose_source=ingest_pb2.POSE_SOURCE_GIVEN,
        calibration=Calibration(CAMERA).to_message(),
        fusion=ingest_pb2.FusionSettings(voxel_size_m=1 / 32, max_blocks=4096),
    )
    return ToWorker(open=Open(settings=settings))


def frame(index: int) -> ToWorker:
    pose = poses()[index % 3]
    depth_m, color = view(pose, index)
    tx, ty, tz, qx, qy, qz, qw = pose_vector(pose)
    message = ingest_pb2.Frame(
        index=index,
        capture_ns=1 + index,
        color=ingest_pb2.Image(
            encoding=ingest_pb2.IMAGE_ENCODING_RGB8, data=color.tobytes(), **SIZE
        ),
        depth=ingest_pb2.Image(
            encoding=ingest_pb2.IMAGE_ENCODING_DEPTH_F32, data=depth_m.tobytes(), **SIZE
        ),
        world_from_camera=ingest_pb2.Pose(tx=tx, ty=ty, tz=tz, qx=qx, qy=qy, qz=qz, qw=qw),
    )
    return ToWorker(frame=message)


def test_one_thread_uses_the_device_and_a_reset_takes_no_memory_twice(
    limited_backend: Callable[[int], Backend],
):
    backend = Watched(limited_backend(1 << 34))
    with worker_on(backend) as server:
        server.send(opening())
        server.next("opened")
        for index in range(8):
            server.send(frame(index))
            if index == 3:
                server.send(RESET)
        results = [server.next("result") for _ in range(8)]
    assert [each.status for each in results] == [ingest_pb2.FrameResult.STATUS_FUSED] * 8
    assert [each.epoch for each in results] == 4 * [0] + 4 * [1]
    assert len(backend.threads) == 1
    assert backend.taken_bytes.count(0) == 2


def test_a_device_without_room_is_why_frames_are_rejected(host_folder: Path):
    backend = HostBackend(host_folder, 1 << 20)
    with worker_on(backend) as server:
        server.send(opening())
        server.next("opened")
        for index in range(2):
            server.send(frame(index))
            result = server.next("result")
            assert result.status == ingest_pb2.FrameResult.STATUS_REJECTED
            assert f"frame {index}: no room for a map on the device: " in result.reason
            assert "bytes of 1048576" in result.reason
    assert backend.memory().used_bytes == 0


def test_warming_up_gives_all_memory_back(host_folder: Path):
    backend = Watched(HostBackend(host_folder))
    warm_up(backend)
    assert backend.taken_bytes.count(0) == 2
    assert backend.memory().used_bytes == 0


class Broken(HostBackend):
    def launch(self, kernel: str, groups: int, **arguments: Any) -> None:
        raise BackendError(f"cannot compile {kernel}")


def test_a_device_that_cannot_be_warmed_up_is_refused(
    host_folder: Path, monkeypatch: pytest.MonkeyPatch
):
    backend = Broken(host_folder)
    monkeypatch.setattr(worker_main, "make_backend", lambda *_: backend)
    ours, theirs = socket.socketpair()
    with ours, theirs:
        worker_main.serve(theirs, Path("no-vocabulary"), "opencl", 0.5)
        assert "cannot compile" in Server(ours).next("refused").reason
    assert backend.memory().used_bytes == 0
