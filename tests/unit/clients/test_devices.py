from collections.abc import Callable, Mapping
from functools import cache, partial
from io import StringIO

import pytest
from rich.console import Console

from clients.cli import devices
from clients.cli.devices import SETTING, DeviceReport, inspect_devices, shown
from gpu.backend import Backend, BackendError, Buffer, DeviceInfo
from gpu.discovery import choose
from gpu.memory_limit import MemoryLimit
from gpu.opencl import OpenClBackend
from gpu.opencl import devices as opencl_devices
from gpu.probes import Device, Probe

GB = 10**9
MB = 10**6


class Forgetful(OpenClBackend):
    """Takes each launch for done."""

    def launch(self, kernel: str, groups: int, **arguments: Buffer | int | float) -> None:
        pass


def working(limit: MemoryLimit, kind: type[OpenClBackend] = OpenClBackend) -> Backend:
    """A real device under whatever name, with little memory to keep the tests short."""
    assert limit.memory.limit_bytes > 0
    return kind(opencl_devices()[-1], MemoryLimit(100 * MB))


def broken(limit: MemoryLimit) -> Backend:
    raise BackendError("NVIDIA H200: CUDA_ERROR_ECC_UNCORRECTABLE [717]")


def surprising(limit: MemoryLimit) -> Backend:
    raise KeyError("queue")


GEFORCE = DeviceInfo("cuda", "NVIDIA GeForce RTX 4090 Laptop GPU", "CUDA 12.8", 17 * GB, False)
H200 = DeviceInfo("cuda", "NVIDIA H200", "CUDA 12.8", 150 * GB, False)
RADEON = DeviceInfo(
    "opencl", "gfx1100", "AMD Accelerated Parallel Processing 3635.0 (HSA1.1,LC)", 24 * GB, False
)
POCL = DeviceInfo(
    "opencl", "pthread-AMD Ryzen 9 7950X 16-Core Processor", "PoCL 3.1", 60 * GB, True
)
ARC = DeviceInfo("webgpu", "Intel(R) Arc(TM) A770 Graphics", "Vulkan Mesa 25.0.7", 0, False)
LAVAPIPE = DeviceInfo(
    "webgpu", "llvmpipe (LLVM 15.0.6, 256 bits)", "Vulkan Mesa 22.3.6 (LLVM 15.0.6)", 0, True
)


def absent(backend: str) -> Probe:
    def probe() -> list[Device]:
        raise BackendError(f"{backend} is not installed: pip install 'mapcast[{backend}]'")

    return probe


def machine(**listed: list[Device]) -> Mapping[str, Probe]:
    def probe(backend: str) -> Probe:
        return lambda: listed[backend]

    return {
        backend: probe(backend) if backend in listed else absent(backend)
        for backend in ("cuda", "opencl", "webgpu")
    }


def device(info: DeviceInfo, opens: Callable[[MemoryLimit], Backend] = working) -> Device:
    return Device(info, lambda: info.memory_bytes // 2, opens)


NONE = machine()
SOFTWARE = machine(opencl=[device(POCL)], webgpu=[device(LAVAPIPE)])
ONE = machine(cuda=[device(GEFORCE)])
SEVERAL = machine(
    cuda=[device(H200, broken), device(GEFORCE)],
    opencl=[device(RADEON), device(POCL, partial(working, kind=Forgetful))],
    webgpu=[device(LAVAPIPE, surprising)],
)
FAILING = machine(cuda=[device(H200, broken)], opencl=[device(POCL)])
UNTOLD = machine(webgpu=[device(ARC)])
MACHINES = {
    "none": NONE,
    "software": SOFTWARE,
    "one": ONE,
    "several": SEVERAL,
    "failing": FAILING,
    "untold": UNTOLD,
}


@cache
def inspected(machine_name: str, chosen: str = "auto") -> DeviceReport:
    """What is found of a simulated machine; each is looked at once for all tests."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(devices, "TEST_S", 0.01)
        return inspect_devices(MACHINES[machine_name], chosen)


def lines(report: DeviceReport, width: int = 200) -> list[str]:
    screen = Console(width=width, color_system=None)
    with screen.capture() as captured:
        screen.print(shown(report))
    return [line.rstrip() for line in captured.get().splitlines()]


def test_a_machine_without_devices_says_what_to_install() -> None:
    report = inspected("none")
    text = "\n".join(lines(report))
    assert report.auto == "cpu"
    assert "ok  cpu " in text
    assert "note  cuda    cuda is not installed: pip install 'mapcast[cuda]'" in text
    assert "`auto` is cpu here." in text


def test_software_is_tested_but_not_taken() -> None:
    report = inspected("software")
    assert report.auto == "cpu"
    assert [each.choice for each in report.devices] == ["opencl:0", "webgpu:0"]
    assert all(each.bytes_per_s > 1 * MB and not each.problem for each in report.devices)
    assert report.reasons["opencl"] == "no GPU, only software: ask for it by name"


def test_the_one_gpu_is_taken() -> None:
    report = inspected("one")
    assert report.auto == "cuda:0"
    (row,) = (line for line in lines(report) if "4090" in line)
    assert row.startswith("ok")
    assert "7 of 17 GB" in row
    assert "GB/s" in row
    assert row.endswith(" ms")


def test_of_several_each_is_tested_and_what_fails_is_told() -> None:
    report = inspected("several")
    by_choice = {each.choice: each for each in report.devices}
    assert list(by_choice) == ["cuda:0", "cuda:1", "opencl:0", "opencl:1", "webgpu:0"]
    assert [choice for choice, each in by_choice.items() if not each.problem] == [
        "cuda:1",
        "opencl:0",
    ]
    assert "ECC" in by_choice["cuda:0"].problem
    assert "blocks came back wrong" in by_choice["opencl:1"].problem
    assert by_choice["webgpu:0"].problem == "KeyError: 'queue'"
    text = "\n".join(lines(report))
    assert "fails  cuda:0    NVIDIA H200: CUDA_ERROR_ECC_UNCORRECTABLE [717]" in text
    assert "`auto` is cuda:0, which fails: `--backend cuda:1` works." in text


def test_where_the_only_gpu_fails_the_cpu_is_advised() -> None:
    assert inspected("failing").works == "cpu"
    assert (
        lines(inspected("failing"))[-1] == "`auto` is cuda:0, which fails: `--backend cpu` works."
    )


@pytest.mark.parametrize(
    ("machine_name", "chosen", "taken", "told"),
    [
        ("none", "cpu", "cpu", f"{SETTING}=cpu is cpu here."),
        ("none", " AUTO ", "cpu", "`auto` is cpu here."),
        ("software", "opencl", "opencl:0", f"{SETTING}=opencl is opencl:0 here."),
        ("several", "cuda:4090", "cuda:1", f"{SETTING}=cuda:4090 is cuda:1 here."),
        ("failing", "cuda", "cuda:0", "cuda is cuda:0, which fails: `--backend cpu` works."),
        ("several", "webgpu", "webgpu:0", "webgpu:0, which fails: `--backend cuda:1` works."),
        ("one", "opencl", "", f"{SETTING}: opencl is not there: opencl is not installed: pip"),
        ("one", "opencl", "", "`--backend cuda:0` works."),
        ("software", "nonsense", "", f"{SETTING}: 'nonsense' is no backend: must be one of auto"),
    ],
)
def test_a_choice_that_is_set_is_told_with_what_it_comes_to(
    machine_name: str, chosen: str, taken: str, told: str
) -> None:
    report = inspected(machine_name, chosen)
    assert report.taken == taken
    assert told in lines(report)[-1]
    assert bool(report.problem) == ("works." in lines(report)[-1])


def test_drivers_are_asked_for_their_devices_once() -> None:
    asked: list[str] = []

    def probe(backend: str) -> list[Device]:
        asked.append(backend)
        return []

    inspect_devices({each: partial(probe, each) for each in MACHINES["one"]}, "cuda")
    assert asked == ["cuda", "opencl", "webgpu"]


def test_memory_that_no_driver_told_is_called_assumed() -> None:
    (row,) = (line for line in lines(inspected("untold")) if "Arc" in line)
    assert "3 GB, assumed" in row
    assert inspected("untold").to_json()["devices"][0]["is_limit_assumed"]
    assert "assumed" not in "\n".join(lines(inspected("one")))


def test_the_columns_are_explained() -> None:
    text = "\n".join(lines(inspected("none"), 80))
    assert "memory  what a session may take (a share of what is free)" in text
    assert "fuses   a view of 640×480 pixels at 2 cm" in text


@pytest.mark.parametrize("machine_name", MACHINES)
def test_auto_is_what_a_session_would_get(machine_name: str) -> None:
    report, taken = inspected(machine_name), choose("auto", MACHINES[machine_name])
    expected = next((each.choice for each in report.devices if each.device is taken), "cpu")
    assert report.auto == expected


@pytest.mark.parametrize("width", [80, 120])
@pytest.mark.parametrize("machine_name", MACHINES)
def test_nothing_is_cut_off_on_a_narrow_screen(machine_name: str, width: int) -> None:
    report = inspected(machine_name)
    text = lines(report, width)
    assert max(map(len, text)) <= width
    assert "…" not in "\n".join(text)
    assert {word for each in report.devices for word in each.device.info.name.split()} <= set(
        " ".join(text).split()
    )


def test_what_is_looked_for_is_on_the_screen_before_a_driver_is_asked(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    screen = StringIO()
    monkeypatch.setattr(devices, "console", Console(file=screen, force_terminal=True))
    monkeypatch.setattr(devices, "TEST_S", 0.01)
    shown_so_far: dict[str, str] = {}

    def asked(backend: str) -> list[Device]:
        shown_so_far[backend] = screen.getvalue()
        return []

    backends = ("cuda", "opencl", "webgpu")
    inspect_devices({backend: partial(asked, backend) for backend in backends})
    assert all(f"looking for {backend} …" in shown_so_far[backend] for backend in backends)


def test_where_the_output_is_no_screen_it_is_on_standard_error_before_a_driver_is_asked(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(devices, "console", Console(file=StringIO()))
    monkeypatch.setattr(devices, "TEST_S", 0.01)
    said: dict[str, str] = {}

    def asked(backend: str) -> list[Device]:
        said[backend] = capfd.readouterr().err
        return []

    inspect_devices({backend: partial(asked, backend) for backend in MACHINES["one"]})
    assert said["cuda"] == "testing the CPU …\nlooking for cuda …\n"
    assert said["webgpu"] == "looking for webgpu …\n"


def test_json_has_what_the_table_shows() -> None:
    found = inspected("several").to_json()
    assert found["auto"] == found["taken"] == "cuda:0"
    assert found["works"] == "cuda:1"
    assert "ECC" in found["problem"]
    good = found["devices"][1]
    assert good["limit_bytes"] == int(0.8 * (17 * GB // 2))
    assert good["copied_bytes_per_s"] > 0
    assert good["fuse_s"] > 0
    assert good["problem"] is None
    assert found["cpu_fuse_s"] > 0
    assert found["devices"][0]["copied_bytes_per_s"] is None
