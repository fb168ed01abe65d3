"""Generate the Python stubs from proto/. With --check, fail when the checked-in ones differ."""

import sys
import tempfile
from pathlib import Path

from grpc_tools import protoc

ROOT = Path(__file__).resolve().parent.parent
# (schema folder, the import path its stubs get, where they live)
TARGETS = [
    ("proto/mapcast/v1", "mapcast_client/v1", "clients/python"),
    ("proto/mapcast/worker", "stream", "."),
]


def generate(output: Path) -> list[Path]:
    """Write all stubs below `output`; return their paths relative to it."""
    paths = [f"-I{virtual}={ROOT / schemas}" for schemas, virtual, _ in TARGETS]
    written = []
    for schemas, virtual, home in TARGETS:
        (output / home).mkdir(parents=True, exist_ok=True)
        for schema in sorted((ROOT / schemas).glob("*.proto")):
            has_service = "\nservice " in schema.read_text()
            outputs = [f"--python_out={output / home}", f"--pyi_out={output / home}"]
            if has_service:
                outputs.append(f"--grpc_python_out={output / home}")
            if protoc.main(["protoc", *paths, *outputs, f"{virtual}/{schema.name}"]) != 0:
                raise SystemExit(f"{schema}: protoc failed")
            stem = Path(home) / virtual / schema.stem
            suffixes = ["_pb2.py", "_pb2.pyi"] + (["_pb2_grpc.py"] if has_service else [])
            written += [stem.with_name(stem.name + suffix) for suffix in suffixes]
    return written


def main() -> None:
    if "--check" not in sys.argv[1:]:
        for path in generate(ROOT):
            print(path)
        return
    with tempfile.TemporaryDirectory() as fresh:
        stale = [
            path
            for path in generate(Path(fresh))
            if not (ROOT / path).is_file()
            or (ROOT / path).read_text() != (Path(fresh) / path).read_text()
        ]
    if stale:
        raise SystemExit(f"stale stubs (run `make stubs`): {', '.join(map(str, stale))}")


if __name__ == "__main__":
    main()
