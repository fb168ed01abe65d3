import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from clients.cli import devices, doctor
from clients.cli.doctor import CHECKS, Finding
from clients.cli.main import app
from gpu.backend import Backend, BackendError, DeviceInfo
from gpu.discovery import GPU_BACKENDS
from gpu.memory_limit import MemoryLimit
from gpu.probes import Device

runner = CliRunner()


@pytest.fixture(autouse=True)
def _no_devices(monkeypatch: pytest.MonkeyPatch) -> None:
    """Their tests are elsewhere, and take seconds."""
    monkeypatch.setattr(devices, "TEST_S", 0.01)
    monkeypatch.delenv("MAPCAST_BACKEND", raising=False)

    def probe() -> list[Device]:
        raise BackendError("none is looked for")

    monkeypatch.setattr(doctor, "PROBES", dict.fromkeys(GPU_BACKENDS, probe))


def checks(*findings: Finding) -> tuple[object, ...]:
    def check() -> Iterator[Finding]:
        yield from findings

    return (check,)


@pytest.mark.parametrize(
    ("finding", "exit_code", "mark"),
    [
        (Finding("thing", True, "1.0"), 0, "ok"),
        (Finding("thing", False, "no [such] file"), 1, "missing"),
        (Finding("thing", False, "no [such] file", is_needed=False), 0, "note"),
    ],
)
def test_only_what_is_needed_decides(
    finding: Finding, exit_code: int, mark: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(doctor, "CHECKS", checks(finding))
    result = runner.invoke(app, ["doctor"])
    assert result.exit_code == exit_code
    assert mark in result.output
    assert finding.detail in result.output
    assert ("cannot run here: thing" in result.output) == (exit_code == 1)


def test_every_check_finds_something_to_say_here() -> None:
    findings = [finding for check in CHECKS for finding in check()]
    assert all(finding.what and finding.detail for finding in findings)
    assert {"Python", "mapcast", "ORB-SLAM3", "ORB vocabulary"} <= {
        finding.what for finding in findings
    }


@pytest.mark.parametrize(
    ("setting", "exit_code", "told"),
    [
        ("cpu", 0, "MAPCAST_BACKEND=cpu is cpu here."),
        (
            "cuda",
            1,
            "MAPCAST_BACKEND: cuda is not there: none is looked for. `--backend cpu` works.",
        ),
        ("nonsense", 1, "'nonsense' is no backend"),
        ("cuda:", 1, "'cuda:' is no backend"),
        ("[red]", 1, "'[red]' is no backend"),
    ],
)
def test_a_backend_that_is_set_and_not_there_is_a_problem(
    setting: str, exit_code: int, told: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MAPCAST_BACKEND", setting)
    monkeypatch.setattr(doctor, "CHECKS", ())
    result = runner.invoke(app, ["doctor"])
    shown = " ".join(result.output.split())
    assert result.exit_code == exit_code
    assert told in shown
    assert ("cannot run here: MAPCAST_BACKEND." in shown) == (exit_code == 1)
    assert ("Recordings can be replayed" in shown) == (exit_code == 0)


@pytest.mark.parametrize(("setting", "exit_code"), [("auto", 0), ("cuda", 1)])
def test_a_device_that_fails_is_a_problem_if_it_is_set_and_the_verdict_names_another(
    setting: str, exit_code: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(limit: MemoryLimit) -> Backend:
        raise BackendError("it does not open")

    gpu = Device(DeviceInfo("cuda", "NVIDIA H200", "CUDA 12.8", 0, False), lambda: 0, broken)
    monkeypatch.setattr(doctor, "PROBES", doctor.PROBES | {"cuda": lambda: [gpu]})
    monkeypatch.setattr(doctor, "CHECKS", ())
    monkeypatch.setenv("MAPCAST_BACKEND", setting)
    result = runner.invoke(app, ["doctor"])
    assert result.exit_code == exit_code
    shown = " ".join(result.output.split())
    assert "is cuda:0, which fails: `--backend cpu` works." in shown
    verdict = "maps served with `--backend cpu`, not with `auto`."
    assert (verdict in shown) == (exit_code == 0)


def test_findings_and_devices_are_written(tmp_path: Path) -> None:
    result = runner.invoke(app, ["doctor", "--json", str(tmp_path / "found.json")])
    assert result.exit_code == 0, result.output
    assert "`auto` is cpu here." in result.output
    found = json.loads((tmp_path / "found.json").read_text())
    assert found["auto"] == "cpu"
    assert found["reasons"]["cuda"] == "none is looked for"
    assert "Python" in {each["what"] for each in found["findings"]}
