"""What `mapcast doctor` says of the devices that kernels can run on."""

import platform
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numba
from rich.console import Group, RenderableType
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from clients.cli.progress import console
from gpu.backend import BackendError
from gpu.discovery import CPU, GPU_BACKENDS, MEMORY_SHARE, FoundDevices, find
from gpu.memory_limit import MemoryLimit
from gpu.probes import Device, Probe
from gpu.self_test import copy_bytes_per_s
from gpu.self_test_view import fuse_s

TEST_S = 0.5
"""Of each of a device's two tests; compiling and checking take about as long again."""


@dataclass(frozen=True, slots=True)
class InspectedDevice:
    """A device, and whether it works."""

    choice: str
    """How a user asks for it."""
    device: Device
    limit_bytes: int
    """What may be taken of its memory; 0 if that could not be found out."""
    bytes_per_s: float = 0
    """What it copies; 0: it does not work."""
    fuse_s: float = 0
    """How long it takes to fuse a view of 640×480 pixels at 2 cm; 0: it does not work."""
    problem: str = ""

    def to_json(self) -> dict[str, Any]:
        """Give what `--json` writes."""
        info = self.device.info
        return {
            "choice": self.choice,
            "name": info.name,
            "driver": info.driver,
            "is_software": info.is_software,
            "memory_bytes": info.memory_bytes or None,
            "limit_bytes": self.limit_bytes or None,
            "copied_bytes_per_s": self.bytes_per_s or None,
            "fuse_s": self.fuse_s or None,
            "problem": self.problem or None,
        }


@dataclass(frozen=True, slots=True)
class DeviceReport:
    """All devices, why others are not there, and which one is used unasked."""

    cpu_fuse_s: float
    """How long the CPU backend takes to fuse that view."""
    devices: list[InspectedDevice]
    reasons: Mapping[str, str]
    """By backend: why it has no device, or none that is used unasked."""
    auto: str
    """The choice that `auto` comes to."""

    def to_json(self) -> dict[str, Any]:
        """Give what `--json` writes."""
        return {
            "cpu_fuse_s": self.cpu_fuse_s,
            "devices": [each.to_json() for each in self.devices],
            "reasons": dict(self.reasons),
            "auto": self.auto,
        }

    @property
    def problem(self) -> str:
        """What is wrong with the device that is used unasked."""
        return next((each.problem for each in self.devices if each.choice == self.auto), "")


def inspect_devices(probes: Mapping[str, Probe]) -> DeviceReport:
    """Look for devices, and test each."""
    with console.status("testing the CPU …"):
        cpu_fuse_s = fuse_s(None, time.monotonic, TEST_S)
    found = [_found(backend, probes) for backend in GPU_BACKENDS]
    devices = [each for backend in found for each in _tested(backend)]
    gpus = (each.choice for each in devices if not each.device.info.is_software)
    reasons = {each.backend: each.reason for each in found if each.reason}
    return DeviceReport(cpu_fuse_s, devices, reasons, next(gpus, CPU))


def _found(backend: str, probes: Mapping[str, Probe]) -> FoundDevices:
    with console.status(f"looking for {backend} …") as status:
        status.update(spinner="dots")  # drawn now: a driver that hangs may let no thread draw it
        return find(backend, probes)


def _tested(found: FoundDevices) -> Iterator[InspectedDevice]:
    for number, device in enumerate(found.devices):
        choice = f"{found.backend}:{number}"
        with console.status(f"testing {choice} …"):
            yield _test(choice, device)


def _test(choice: str, device: Device) -> InspectedDevice:
    limit_bytes = 0
    try:
        limit_bytes = device.limit_bytes(MEMORY_SHARE)
        backend = device.open(MemoryLimit(limit_bytes))
        bytes_per_s = copy_bytes_per_s(backend, time.monotonic, TEST_S)
        a_view_s = fuse_s(backend, time.monotonic, TEST_S)
    except BackendError as error:
        problem = str(error)
    except Exception as error:  # each driver has its own ways of being broken
        problem = f"{type(error).__name__}: {error}"
    else:
        return InspectedDevice(choice, device, limit_bytes, bytes_per_s, a_view_s)
    return InspectedDevice(choice, device, limit_bytes, problem=problem)


def shown(report: DeviceReport) -> RenderableType:
    """A table of the devices; below it what is wrong, and why others are not there."""
    return Group(_device_table(report), Text(), _remark_table(report), Text(), _choice(report))


def _device_table(report: DeviceReport) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="bold")
    table.add_column("", no_wrap=True)
    table.add_column("backend", style="cyan", no_wrap=True)
    table.add_column("device", overflow="fold")
    table.add_column("driver", overflow="fold")
    table.add_column("memory", justify="right", no_wrap=True)
    table.add_column("copies", justify="right", no_wrap=True)
    table.add_column("fuses", justify="right", no_wrap=True)
    threads = f"{numba.get_num_threads()} threads on {platform.machine()}"
    table.add_row(
        "[green]ok[/]",
        CPU,
        threads,
        f"numba {numba.__version__}",
        "all",
        "",
        _milliseconds(report.cpu_fuse_s),
    )
    for each in report.devices:
        info = each.device.info
        table.add_row(
            "[red]fails[/]" if each.problem else "[green]ok[/]",
            each.choice,
            escape(info.name),
            escape(info.driver),
            _memory(each.limit_bytes, info.memory_bytes),
            f"{each.bytes_per_s / 1e9:,.1f} GB/s" if each.bytes_per_s else "",
            _milliseconds(each.fuse_s) if each.fuse_s else "",
        )
    return table


def _milliseconds(duration_s: float) -> str:
    return f"{1e3 * duration_s:.1f} ms"


def _memory(limit_bytes: int, memory_bytes: int) -> str:
    """What may be taken, of all that there is as far as that is known."""
    if not limit_bytes:
        return ""
    of_all = f" of {memory_bytes / 1e9:.0f}" if memory_bytes else ""
    return f"{limit_bytes / 1e9:.0f}{of_all} GB"


def _remark_table(report: DeviceReport) -> Table:
    table = Table(show_header=False, box=None, padding=(0, 2, 0, 0))
    table.add_column(no_wrap=True)
    table.add_column(style="cyan", no_wrap=True)
    table.add_column()
    for each in report.devices:
        if each.problem:
            table.add_row("[red]fails[/]", each.choice, escape(each.problem))
    for backend, reason in report.reasons.items():
        table.add_row("[dim]note[/]", backend, escape(reason))
    return table


def _choice(report: DeviceReport) -> Text:
    if report.problem:
        return Text(f"`auto` is {report.auto}, which fails: ask for another one.", "red")
    return Text(f"`auto` is {report.auto} here.", "green")
