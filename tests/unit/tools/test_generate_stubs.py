"""The checked-in gRPC stubs are those of the schemas."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[3]


def test_the_stubs_are_those_of_the_schemas() -> None:
    command = [sys.executable, ROOT / "tools" / "generate_stubs.py", "--check"]
    check = subprocess.run(command, capture_output=True, text=True, check=False)
    assert check.returncode == 0, check.stderr
