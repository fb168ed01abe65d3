import json
import subprocess
import sys
from pathlib import Path


def test_orbslam3_tracks_every_frame(tmp_path: Path) -> None:
    script, result = Path(__file__).with_name("track_rendered.py"), tmp_path / "result.json"
    done = subprocess.run(
        [sys.executable, str(script), str(tmp_path), "90", str(result)],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    run = json.loads(result.read_text())
    assert set(run["states"]) == {"tracking"}
    assert len(run["states"]) == 90
    assert min(run["inliers"][1:]) > 60
    assert run["ate_m"] < 0.03
