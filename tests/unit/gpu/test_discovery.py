from collections.abc import Mapping
from pathlib import Path

import pytest

from gpu import probes
from gpu.backend import Backend, BackendError, DeviceInfo
from gpu.discovery import GPU_BACKENDS, choose, find, make_backend
from gpu.memory_limit import MemoryLimit
from gpu.probes import ASSUMED_MEMORY_BYTES, PROBES, Device, Probe, newest_software_first

GB = 10**9


def device(
    backend: str,
    name: str,
    *,
    driver: str = "1.0",
    total: int = 0,
    free: int = 0,
    software: bool = False,
) -> Device:
    """One that is listed, but cannot be opened."""

    def closed(limit: MemoryLimit) -> Backend:
        raise BackendError(f"{name} does not open")

    return Device(DeviceInfo(backend, name, driver, total, software), lambda: free, closed)


def absent(reason: str) -> Probe:
    def probe() -> list[Device]:
        raise BackendError(reason)

    return probe


def machine(**devices: list[Device]) -> Mapping[str, Probe]:
    """One with these devices; the other backends are not installed."""

    def listed(backend: str) -> Probe:
        return lambda: devices[backend]

    return {
        backend: listed(backend) if backend in devices else absent(f"no {backend} package")
        for backend in GPU_BACKENDS
    }


GEFORCE = device("cuda", "NVIDIA GeForce RTX 4090", driver="CUDA 12.8")
SECOND_GEFORCE = device("cuda", "NVIDIA GeForce RTX 3060", driver="CUDA 12.8")
RADEON = device("opencl", "gfx1100", driver="AMD Accelerated Parallel Processing 3635.0")
POCL = device("opencl", "pthread-Xeon", driver="PoCL 3.1", software=True)
ARC = device("webgpu", "Intel Arc A770", driver="Vulkan Mesa 25.0")
LAVAPIPE = device("webgpu", "llvmpipe", driver="Vulkan Mesa 22.3.6", software=True)

NONE = machine()
SOFTWARE = machine(opencl=[POCL], webgpu=[LAVAPIPE])
ONE = machine(opencl=[POCL], webgpu=[LAVAPIPE, ARC])
SEVERAL = machine(cuda=[GEFORCE, SECOND_GEFORCE], opencl=[POCL, RADEON], webgpu=[ARC, LAVAPIPE])


@pytest.mark.parametrize(
    ("choice", "there", "expected"),
    [
        ("auto", NONE, None),
        ("auto", SOFTWARE, None),
        ("auto", ONE, ARC),
        ("auto", SEVERAL, GEFORCE),
        ("auto", machine(cuda=[], opencl=[POCL, RADEON], webgpu=[ARC]), RADEON),
        ("cpu", SEVERAL, None),
        ("cuda", SEVERAL, GEFORCE),
        ("cuda:1", SEVERAL, SECOND_GEFORCE),
        ("CUDA:rtx 3060", SEVERAL, SECOND_GEFORCE),
        ("opencl", SEVERAL, RADEON),
        ("cuda:4090", SEVERAL, GEFORCE),
        ("cuda:rtx3060", SEVERAL, SECOND_GEFORCE),
        ("cuda: 1", SEVERAL, SECOND_GEFORCE),
        ("opencl:1", SEVERAL, POCL),
        ("opencl:pocl", SEVERAL, POCL),
        ("opencl", SOFTWARE, POCL),
        ("webgpu", ONE, ARC),
        ("webgpu:llvmpipe", ONE, LAVAPIPE),
    ],
)
def test_a_choice_names_a_device(
    choice: str, there: Mapping[str, Probe], expected: Device | None
) -> None:
    assert choose(choice, there) is expected


@pytest.mark.parametrize(
    ("choice", "there", "complaint"),
    [
        ("cuda", NONE, "cuda is not there: no cuda package"),
        ("cuda", machine(cuda=[]), "cuda is not there: no device"),
        ("opencl:2", SEVERAL, "opencl:2 .*opencl:0 is gfx1100; opencl:1 is pthread-Xeon"),
        ("webgpu:geforce", ONE, "webgpu:0 is Intel Arc A770; webgpu:1 is llvmpipe"),
        ("metal", SEVERAL, "'metal' is no backend: must be one of auto, cpu, cuda, opencl"),
        ("cpu:1", SEVERAL, "'cpu:1' is no backend"),
        ("cuda:2", SEVERAL, "cuda:2 is not there: cuda:0 is"),
        ("cuda:409", SEVERAL, "cuda:409 is not there: cuda:0 is"),
        ("opencl:", SEVERAL, "'opencl:' is no backend: must be one of .*, or like opencl:0"),
        ("opencl: ", SEVERAL, "'opencl: ' is no backend"),
        ("auto:", SEVERAL, "'auto:' is no backend"),
        ("", SEVERAL, "'' is no backend"),
    ],
)
def test_what_is_not_there_is_refused_with_what_is(
    choice: str, there: Mapping[str, Probe], complaint: str
) -> None:
    with pytest.raises(BackendError, match=complaint):
        choose(choice, there)


def test_every_absence_has_a_reason() -> None:
    assert [find(backend, ONE).reason for backend in GPU_BACKENDS] == [
        "no cuda package",
        "no GPU, only software: ask for it by name",
        "",
    ]
    assert find("cuda", machine(cuda=[])).reason == "no device"


def test_auto_looks_no_further_than_the_first_gpu() -> None:
    asked: list[str] = []

    def listed(backend: str, probe: Probe) -> Probe:
        return lambda: (asked.append(backend), probe())[1]

    choose("auto", {backend: listed(backend, probe) for backend, probe in SEVERAL.items()})
    assert asked == ["cuda"]


def test_a_device_that_was_asked_for_and_does_not_open_is_an_error() -> None:
    with pytest.raises(BackendError, match="4090 does not open"):
        make_backend("cuda", probes=SEVERAL)
    assert make_backend("auto", probes=NONE) is None


@pytest.mark.parametrize(
    ("total", "free", "expected"),
    [
        (24 * GB, 10 * GB, 5 * GB),
        (24 * GB, 0, 12 * GB),
        (6 * GB, 10 * GB, 3 * GB),
        (0, 10 * GB, 5 * GB),
        (0, 0, ASSUMED_MEMORY_BYTES // 2),
    ],
)
def test_the_limit_is_a_share_of_what_is_known_to_be_free(
    total: int, free: int, expected: int
) -> None:
    gpu = device("cuda", "GPU", total=total, free=free)
    assert gpu.limit_bytes(0.5) == expected
    assert gpu.known_bytes() == (2 * expected if total or free else 0)


def test_of_two_software_drivers_the_newer_comes_first() -> None:
    versions = ["PoCL 3.0-rc2", "PoCL 10.2", "PoCL 3.1"]
    old, newest, new = (device("opencl", "cpu", driver=each, software=True) for each in versions)
    assert newest_software_first([old, RADEON, newest, new]) == [RADEON, newest, new, old]


def test_a_package_that_is_missing_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(probes.importlib.util, "find_spec", lambda package: None)
    for backend in GPU_BACKENDS:
        found = find(backend, PROBES)
        assert not found.devices
        assert found.reason.endswith(f"is not installed: pip install 'mapcast[{backend}]'")


def test_no_adapter_is_a_reason_that_says_what_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    from gpu import webgpu

    monkeypatch.setattr(webgpu.wgpu.gpu, "enumerate_adapters_sync", list)
    assert find("webgpu").reason.startswith(
        ("no Vulkan driver with a device: ", "no Metal", "no Di")
    )


def test_a_package_that_is_broken_is_a_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "cupy.py").write_text("raise ImportError('libcuda.so.1: cannot open')\n")
    monkeypatch.syspath_prepend(tmp_path)
    reason = find("cuda", PROBES).reason
    assert "CuPy" in reason or "cupy" in reason
    assert "libcuda.so.1: cannot open" in reason


@pytest.mark.parametrize(
    ("choice", "name", "driver"),
    [
        ("opencl:pocl", "", "PoCL"),
        ("webgpu:llvmpipe", "llvmpipe", "Vulkan"),
    ],
)
def test_the_software_devices_of_this_machine_open_by_name(
    choice: str, name: str, driver: str
) -> None:
    backend = make_backend(choice, 0.25)
    assert backend is not None
    assert name in backend.info.name
    assert driver in backend.info.driver
    assert backend.info.is_software
    limit_bytes = backend.memory().limit_bytes
    assert 0 < limit_bytes <= 0.3 * probes.available_memory_bytes()


def test_auto_takes_no_software_device_of_this_machine() -> None:
    taken = choose("auto")
    assert taken is None or not taken.info.is_software
