import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from clients.cli import doctor
from clients.cli.doctor import CHECKS, Finding
from clients.cli.main import app
from gpu.backend import BackendError
from gpu.discovery import GPU_BACKENDS
from gpu.probes import Device

runner = CliRunner()


@pytest.fixture(autouse=True)
def _no_devices(monkeypatch: pytest.MonkeyPatch) -> None:
    """Their tests are elsewhere, and take seconds."""

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


def test_findings_and_devices_are_written(tmp_path: Path) -> None:
    result = runner.invoke(app, ["doctor", "--json", str(tmp_path / "found.json")])
    assert result.exit_code == 0, result.output
    assert "`auto` is cpu here." in result.output
    found = json.loads((tmp_path / "found.json").read_text())
    assert found["auto"] == "cpu"
    assert found["reasons"]["cuda"] == "none is looked for"
    assert "Python" in {each["what"] for each in found["findings"]}
