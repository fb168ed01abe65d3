"""Writing what a command leaves behind."""

import json
from pathlib import Path
from typing import Any

from mapcast_client.errors import InputError


def write_bytes(path: Path, data: bytes) -> None:
    """Write a file and the folders above it. Raises InputError when that cannot be."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    except OSError as error:
        raise InputError(f"cannot write {path}: {error.strerror}") from None


def write_json(path: Path, value: Any) -> None:
    """Write a value as indented JSON. Raises InputError when that cannot be."""
    write_bytes(path, (json.dumps(value, indent=2, allow_nan=False) + "\n").encode())
