"""What is installed from the wheels works, away from the checkout."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def run(*command: str | Path, cwd: Path, environment: dict[str, str]) -> str:
    """Run a command to its end; its output."""
    done = subprocess.run(
        command, cwd=cwd, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with both distributions, built and unpacked by pip."""
    wheels, site = tmp_path_factory.mktemp("wheels"), tmp_path_factory.mktemp("site")
    environment = dict(os.environ)
    for source in (ROOT / "clients" / "python", ROOT):
        build = (sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", wheels)
        run(*build, source, cwd=ROOT, environment=environment)
    pip = (sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", site)
    run(*pip, *sorted(wheels.glob("*.whl")), cwd=wheels, environment=environment)
    return site


def test_the_command_runs_from_the_wheel_with_vocabulary_and_viewer(
    installed: Path, tmp_path: Path
) -> None:
    environment = os.environ | {"PYTHONPATH": str(installed), "XDG_CACHE_HOME": str(tmp_path)}
    where = "import stream.server, mapcast_client; print(stream.__file__, mapcast_client.__file__)"
    files = run(sys.executable, "-c", where, cwd=tmp_path, environment=environment).split()
    assert all(file.startswith(str(installed)) for file in files), files
    entry = (sys.executable, "-m", "clients.cli.main")
    report = run(*entry, "doctor", cwd=tmp_path, environment=environment | {"COLUMNS": "300"})
    (viewer,) = (line for line in report.splitlines() if "web viewer" in line)
    (vocabulary,) = (line for line in report.splitlines() if "vocabulary" in line)
    assert str(installed) in viewer
    assert vocabulary.startswith("ok")


def test_only_the_packages_are_installed(installed: Path) -> None:
    names = {path.name for path in installed.iterdir() if "dist-info" not in path.name}
    packages = {"clients", "stream", "replay", "fusion", "slam", "gpu", "mapcast_client"}
    assert names - {"bin", "__pycache__"} == packages
    assert not (installed / "clients" / "python").exists()
    assert not (installed / "clients" / "web" / "src").exists()
