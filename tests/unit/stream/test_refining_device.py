"""Where a session's refinement matches: where the session itself is."""

import socket
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from gpu.backend import DeviceInfo
from mapcast_client.v1 import ingest_pb2
from slam.camera import Calibration, Camera
from slam.refine import Refiner, RefineSettings
from stream import ipc, map_builder, worker_main
from stream.refinements import refining_choice
from stream.worker_pb2 import Open, ToWorker

CAMERA = Camera(32, 24, 30.0, 30.0, 15.5, 11.5)
DEVICE: Any = SimpleNamespace(info=DeviceInfo("webgpu", "Some GPU", "Vulkan", 0, False))
SOFTWARE: Any = SimpleNamespace(info=DeviceInfo("opencl", "A CPU", "PoCL", 0, True))


@pytest.mark.parametrize(
    ("choice", "backend", "expected"),
    [
        ("auto", None, "cpu"),
        ("cpu", None, "cpu"),
        ("auto", DEVICE, "webgpu"),
        (" AUTO ", DEVICE, "webgpu"),
        ("webgpu", DEVICE, "webgpu"),
        ("webgpu:1", DEVICE, "webgpu:1"),
        ("opencl", SOFTWARE, "cpu"),
    ],
)
def test_what_was_chosen_is_told_so_that_nobody_chooses_again(
    choice: str, backend: Any, expected: str
) -> None:
    assert refining_choice(choice, backend) == expected


def test_a_worker_tells_its_refinement(monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[str] = []

    class Noted(Refiner):
        def __init__(self, camera: Camera, settings: RefineSettings) -> None:
            super().__init__(camera, settings)
            told.append(settings.backend)

    monkeypatch.setattr(map_builder, "Refiner", Noted)
    monkeypatch.setattr(map_builder, "why_unavailable", lambda: "")
    monkeypatch.setattr(worker_main, "make_backend", lambda *_: DEVICE)
    monkeypatch.setattr(worker_main, "warm_up", lambda _: None)
    settings = ingest_pb2.OpenSession(
        sensor=ingest_pb2.SENSOR_RGBD,
        pose_source=ingest_pb2.POSE_SOURCE_GIVEN,
        calibration=Calibration(CAMERA).to_message(),
        refine=ingest_pb2.RefineSettings(),
    )
    ours, theirs = socket.socketpair()
    with ours, theirs:
        ours.sendall(ipc.pack(ToWorker(open=Open(settings=settings))))
        ours.shutdown(socket.SHUT_WR)
        worker_main.serve(theirs, Path("no-vocabulary"), "webgpu:1", 0.5)
    assert told == ["webgpu:1"]
