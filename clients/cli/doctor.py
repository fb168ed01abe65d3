"""`mapcast doctor`: what is there, what is missing and why, and whether the main job can run."""

import importlib
import platform
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from importlib.metadata import version

import typer
from rich.markup import escape
from rich.table import Table

from clients.cli.connection import is_free, web_bundle
from clients.cli.devices import SETTING, inspect_devices, shown
from clients.cli.files import write_json
from clients.cli.options import JsonOption
from clients.cli.progress import console
from gpu.probes import PROBES
from mapcast_client.errors import MapcastError
from stream.config import ServerConfig

_OLDEST_PYTHON = (3, 11)
_SAFE_THREADING_LAYERS = ("omp", "tbb")
_CHROMIUM_NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")


@dataclass(frozen=True, slots=True)
class Finding:
    """What one check found."""

    what: str
    is_there: bool
    detail: str
    """A version or a place, or the reason why it is missing and what to do."""
    is_needed: bool = True
    """Whether the main job, replaying and serving on the CPU, cannot run without it."""


def doctor(json: JsonOption = None) -> None:
    """Check what mapcast needs and test each device; exit code 0 if it can replay and serve."""
    findings = [finding for check in CHECKS for finding in check()]
    _print(findings)
    config = ServerConfig.load()
    devices = inspect_devices(PROBES, config.backend, config.device_memory_share)
    console.print(shown(devices))
    if json is not None:
        found = [asdict(finding) for finding in findings]
        write_json(json, {"findings": found, **devices.to_json()})
    missing = [finding.what for finding in findings if finding.is_needed and not finding.is_there]
    if devices.is_set and devices.problem:
        missing.append(SETTING)
    if missing:
        console.print(f"\n[red]mapcast cannot run here: {', '.join(missing)}.[/]")
        raise typer.Exit(1)
    if devices.problem:
        how = f"with `--backend {devices.works}`, not with `auto`"
        console.print(f"\n[yellow]Recordings can be replayed and maps served {how}.[/]")
    else:
        console.print("\n[green]Recordings can be replayed and maps served.[/]")


def _print(findings: list[Finding]) -> None:
    table = Table(show_header=False, box=None, padding=(0, 2, 0, 0))
    table.add_column(no_wrap=True)
    table.add_column(style="cyan", no_wrap=True)
    table.add_column()
    for finding in findings:
        table.add_row(_mark(finding), finding.what, escape(finding.detail))
    console.print(table)
    console.print()


def _mark(finding: Finding) -> str:
    if finding.is_there:
        return "[green]ok[/]"
    return "[red]missing[/]" if finding.is_needed else "[dim]note[/]"


def check_python() -> Iterator[Finding]:
    """Python's version."""
    oldest = ".".join(map(str, _OLDEST_PYTHON))
    fits = sys.version_info[:2] >= _OLDEST_PYTHON
    yield Finding(
        "Python", fits, platform.python_version() + ("" if fits else f", needs {oldest} or later")
    )


def check_mapcast() -> Iterator[Finding]:
    """This program's version."""
    yield Finding("mapcast", True, version("mapcast"))


def check_threading_layer() -> Iterator[Finding]:
    """Numba's threads: its `workqueue` layer ends the process when two threads use it."""
    import numba

    reasons = []
    for layer in _SAFE_THREADING_LAYERS:
        try:
            importlib.import_module(f"numba.np.ufunc.{layer}pool")
        except ImportError as error:
            reasons.append(f"{layer}: {error}")
        else:
            detail = f"numba {numba.__version__}, {layer}, {numba.get_num_threads()} threads"
            yield Finding("threading layer", True, detail)
            return
    yield Finding("threading layer", False, "; ".join(reasons) + ". Install libgomp1")


def check_orbslam3() -> Iterator[Finding]:
    """The tracker's library, which needs libraries of the system."""
    try:
        importlib.import_module("pyorbslam3")
    except ImportError as error:
        yield Finding("ORB-SLAM3", False, f"{error}. Run `make deps`")
    else:
        yield Finding("ORB-SLAM3", True, f"pyorbslam3 {version('pyorbslam3')}")


def check_vocabulary() -> Iterator[Finding]:
    """The configured vocabulary, or the shipped one, unpacked."""
    from slam.vocabulary import default_vocabulary, info

    try:
        config = ServerConfig.load()
        path = config.vocabulary or default_vocabulary(config.cache)
        found = info(path)
    except MapcastError as error:
        yield Finding("ORB vocabulary", False, str(error))
    else:
        yield Finding("ORB vocabulary", True, f"{found.words:,} words, {path}")


def check_refinement() -> Iterator[Finding]:
    """COLMAP, which refines keyframes in the background."""
    from slam.refine import why_unavailable

    reason = why_unavailable()
    detail = reason or f"pycolmap {version('pycolmap')}"
    yield Finding("refinement", not reason, detail, is_needed=False)


def check_web_bundle() -> Iterator[Finding]:
    """The viewer that the server shows at `/`."""
    bundle = web_bundle()
    detail = "no viewer at /: run `make web`" if bundle is None else str(bundle)
    yield Finding("web viewer", bundle is not None, detail, is_needed=False)


def check_ports() -> Iterator[Finding]:
    """The server's usual ports; replays take others where these are taken."""
    config = ServerConfig.load()
    for what, port in (("HTTP port", config.http_port), ("gRPC port", config.grpc_port)):
        free = is_free(config.host, port)
        detail = f"{config.host}:{port} " + ("is free" if free else "is taken: a server runs here?")
        yield Finding(what, free, detail, is_needed=False)


def check_scratch() -> Iterator[Finding]:
    """Room for temporary files."""
    free_mb = shutil.disk_usage(tempfile.gettempdir()).free / 1e6
    detail = f"{free_mb:,.0f} MB free in {tempfile.gettempdir()}"
    yield Finding("scratch space", free_mb > 200, detail)


def check_chromium() -> Iterator[Finding]:
    """A browser for the page tests."""
    found = next(filter(None, map(shutil.which, _CHROMIUM_NAMES)), None)
    detail = found or "not found: only the tests of the page need it (`make deps`)"
    yield Finding("Chromium", found is not None, detail, is_needed=False)


CHECKS: tuple[Callable[[], Iterator[Finding]], ...] = (
    check_python,
    check_mapcast,
    check_threading_layer,
    check_orbslam3,
    check_vocabulary,
    check_refinement,
    check_scratch,
    check_web_bundle,
    check_ports,
    check_chromium,
)
