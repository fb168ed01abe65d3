"""`mapcast eval depth` on a real recording: the figures that docs/depth.md states."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

FRAMES = 200


@pytest.mark.data
def test_motion_stereo_beats_the_network_and_the_fill_covers_what_it_leaves(
    red_kitchen: Path, data: Path, tmp_path: Path
) -> None:
    result = tmp_path / "depth.json"
    command = [sys.executable, "-m", "clients.cli.main", "eval", "depth", red_kitchen]
    options = ["--model", data / "models" / "meter_nyu_xxs.onnx", "--limit", FRAMES]
    done = subprocess.run(
        [*map(str, command + options), "--json", str(result)],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "motion_stereo" in done.stdout
    found = json.loads(result.read_text())
    assert found["depths"] >= 8
    shared, alone = found["shared"], found["alone"]
    assert shared["motion_stereo"]["abs_rel"] <= 0.6 * shared["network"]["abs_rel"]
    assert alone["fused"]["coverage"] >= 0.8
    assert alone["fused"]["abs_rel"] < alone["network"]["abs_rel"]
