"""What `mapcast doctor` says of the devices that kernels can run on."""

import platform
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

import numba
from rich.console import Group, RenderableType
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from clients.cli.progress import console
from gpu.backend import BackendError
from gpu.discovery import AUTO, CPU, GPU_BACKENDS, MEMORY_SHARE, FoundDevices, choose, find
from gpu.memory_limit import MemoryLimit
from gpu.probes import Device, Probe
from gpu.self_test import copy_bytes_per_s
from gpu.self_test_view import CAMERA, GRID, fuse_s

TEST_S = 0.5
"""Of each of a device's two tests; compiling and checking take about as long again."""
SETTING = "MAPCAST_BACKEND"
"""Where a choice other than `auto` comes from."""
_LEGEND = {
    "memory": "what a session may take (a share of what is free) of what there is",
    "copies": "moves blocks on the device: bytes read and written",
    "fuses": f"a view of {CAMERA.width_px}×{CAMERA.height_px} pixels at "
    f"{1e2 * GRID.voxel_size_m:.0f} cm, its upload included",
}
"""What the device table's columns say."""


@dataclass(frozen=True, slots=True)
class InspectedDevice:
    """A device, and whether it works."""

    choice: str
    """How a user asks for it."""
    device: Device
    limit_bytes: int
    """What may be taken of its memory; 0 if that could not be found out."""
    is_assumed: bool = False
    """Whether nothing is known of its memory, so that the limit is a guess."""
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
            "is_limit_assumed": self.is_assumed,
            "copied_bytes_per_s": self.bytes_per_s or None,
            "fuse_s": self.fuse_s or None,
            "problem": self.problem or None,
        }


@dataclass(frozen=True, slots=True)
class DeviceReport:
    """All devices, why others are not there, and which one is used."""

    cpu_fuse_s: float
    """How long the CPU backend takes to fuse that view."""
    devices: list[InspectedDevice]
    reasons: Mapping[str, str]
    """By backend: why it has no device, or none that is used unasked."""
    auto: str
    """The choice that `auto` comes to."""
    chosen: str
    """The choice that is set: `auto`, if none is."""
    taken: str
    """What that comes to; empty: it is not there."""
    refusal: str
    """Why it is not there; else empty."""

    def to_json(self) -> dict[str, Any]:
        """Give what `--json` writes."""
        return {
            "cpu_fuse_s": self.cpu_fuse_s,
            "devices": [each.to_json() for each in self.devices],
            "reasons": dict(self.reasons),
            "auto": self.auto,
            "chosen": self.chosen,
            "taken": self.taken or None,
            "works": self.works,
            "problem": self.problem or None,
        }

    @property
    def is_set(self) -> bool:
        """Whether a choice other than `auto` is set."""
        return self.chosen != AUTO

    @property
    def problem(self) -> str:
        """Why the choice that is set cannot be used; else empty."""
        failed = (each.problem for each in self.devices if each.choice == self.taken)
        return self.refusal or next(failed, "")

    @property
    def works(self) -> str:
        """The first choice that works: a GPU, else the CPU."""
        good = (each for each in self.devices if not each.problem)
        return next((each.choice for each in good if not each.device.info.is_software), CPU)


def inspect_devices(
    probes: Mapping[str, Probe], chosen: str = AUTO, memory_share: float = MEMORY_SHARE
) -> DeviceReport:
    """Look for devices, test each, and see what a choice comes to."""
    with _announced("testing the CPU"):
        cpu_fuse_s = fuse_s(None, time.monotonic, TEST_S)
    found = [_found(backend, probes) for backend in GPU_BACKENDS]
    devices = [each for backend in found for each in _tested(backend, memory_share)]
    reasons = {each.backend: each.reason for each in found if each.reason}
    known = {each.backend: partial(_listed, each) for each in found}
    chosen = AUTO if chosen.strip().lower() == AUTO else chosen
    taken, refusal = "", ""
    try:
        taken = _come_to(chosen, known, devices)
    except BackendError as error:
        refusal = str(error)
    auto = _come_to(AUTO, known, devices)
    return DeviceReport(cpu_fuse_s, devices, reasons, auto, chosen, taken, refusal)


def _come_to(choice: str, known: Mapping[str, Probe], devices: list[InspectedDevice]) -> str:
    """The device of a choice, by its number. Raises BackendError if it is not there."""
    device = choose(choice, known)
    return next((each.choice for each in devices if each.device is device), CPU)


def _listed(found: FoundDevices) -> list[Device]:
    """Give a driver's answer once more, without asking it again."""
    if not found.devices:
        raise BackendError(found.reason)
    return list(found.devices)


@contextmanager
def _announced(doing: str) -> Iterator[None]:
    """Say what is about to be done: a driver may hang, or end the process."""
    if not console.is_terminal or console.is_dumb_terminal:
        print(f"{doing} …", file=sys.stderr, flush=True)
    with console.status(f"{doing} …") as status:
        status.update(spinner="dots")  # drawn now: a driver that hangs may let no thread draw it
        yield


def _found(backend: str, probes: Mapping[str, Probe]) -> FoundDevices:
    with _announced(f"looking for {backend}"):
        return find(backend, probes)


def _tested(found: FoundDevices, memory_share: float) -> Iterator[InspectedDevice]:
    for number, device in enumerate(found.devices):
        choice = f"{found.backend}:{number}"
        with _announced(f"testing {choice}"):
            yield _test(choice, device, memory_share)


def _test(choice: str, device: Device, memory_share: float) -> InspectedDevice:
    limit_bytes, is_assumed = 0, False
    try:
        limit_bytes = device.limit_bytes(memory_share)
        is_assumed = not device.known_bytes()
        backend = device.open(MemoryLimit(limit_bytes))
        bytes_per_s = copy_bytes_per_s(backend, time.monotonic, TEST_S)
        a_view_s = fuse_s(backend, time.monotonic, TEST_S)
    except BackendError as error:
        problem = str(error)
    except Exception as error:  # each driver has its own ways of being broken
        problem = f"{type(error).__name__}: {error}"
    else:
        return InspectedDevice(choice, device, limit_bytes, is_assumed, bytes_per_s, a_view_s)
    return InspectedDevice(choice, device, limit_bytes, is_assumed, problem=problem)


def shown(report: DeviceReport) -> RenderableType:
    """A table of the devices; below it what is wrong, and why others are not there."""
    return Group(
        _device_table(report),
        Text(),
        _legend(),
        Text(),
        _remark_table(report),
        Text(),
        _choice(report),
    )


def _device_table(report: DeviceReport) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="bold")
    table.add_column("", no_wrap=True)
    table.add_column("backend", style="cyan", no_wrap=True)
    table.add_column("device and driver", overflow="fold")
    table.add_column("memory", justify="right", no_wrap=True)
    table.add_column("copies", justify="right", no_wrap=True)
    table.add_column("fuses", justify="right", no_wrap=True)
    threads = f"{numba.get_num_threads()} threads on {platform.machine()}"
    table.add_row(
        "[green]ok[/]",
        CPU,
        f"{threads} · numba {numba.__version__}",
        "all",
        "",
        _milliseconds(report.cpu_fuse_s),
    )
    for each in report.devices:
        info = each.device.info
        table.add_row(
            "[red]fails[/]" if each.problem else "[green]ok[/]",
            each.choice,
            escape(f"{info.name} · {info.driver}"),
            _memory(each),
            f"{each.bytes_per_s / 1e9:,.1f} GB/s" if each.bytes_per_s else "",
            _milliseconds(each.fuse_s) if each.fuse_s else "",
        )
    return table


def _legend() -> Table:
    table = Table(show_header=False, box=None, padding=(0, 2, 0, 0), style="dim")
    for column, meaning in _LEGEND.items():
        table.add_row(column, meaning)
    return table


def _milliseconds(duration_s: float) -> str:
    return f"{1e3 * duration_s:.1f} ms"


def _memory(inspected: InspectedDevice) -> str:
    """What may be taken, of all that there is as far as that is known."""
    if not inspected.limit_bytes:
        return ""
    memory_bytes = inspected.device.info.memory_bytes
    of_all = f" of {memory_bytes / 1e9:.0f}" if memory_bytes else ""
    assumed = ", assumed" if inspected.is_assumed else ""
    return f"{inspected.limit_bytes / 1e9:.0f}{of_all} GB{assumed}"


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
    advice = f"`--backend {report.works}` works."
    if report.refusal:
        return Text(f"{SETTING}: {report.refusal}. {advice}", "red")
    name = f"{SETTING}={report.chosen}" if report.is_set else f"`{AUTO}`"
    if report.problem:
        return Text(f"{name} is {report.taken}, which fails: {advice}", "red")
    return Text(f"{name} is {report.taken} here.", "green")
