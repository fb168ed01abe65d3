"""Files of compressed arrays, each with a record by which a reader knows it whole and unchanged."""

import hashlib
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO, Self, TypedDict

import numpy as np
import zstandard
from numpy.typing import NDArray

from mapcast_client.errors import InputError

Arrays = Mapping[str, NDArray[Any]]

_LEVEL = 1
_CHUNK_BYTES = 1 << 20


class ArrayRecord(TypedDict):
    """What an array is."""

    name: str
    dtype: str
    shape: list[int]


class FileRecord(TypedDict):
    """What a file must be, to the byte."""

    size_bytes: int
    sha256: str
    arrays: list[ArrayRecord]
    """In the order of their bytes; empty: a file of another kind."""


class _Hashed:
    """A file whose bytes are counted and hashed as they pass, in either direction."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._hash = hashlib.sha256()
        self._size_bytes = 0

    def write(self, data: bytes) -> int:
        self._note(data)
        return self._file.write(data)

    def read(self, size_bytes: int) -> bytes:
        data = self._file.read(size_bytes)
        self._note(data)
        return data

    def _note(self, data: bytes) -> None:
        self._hash.update(data)
        self._size_bytes += len(data)

    def record(self, arrays: Arrays) -> FileRecord:
        rows = [
            ArrayRecord(name=name, dtype=array.dtype.str, shape=list(array.shape))
            for name, array in arrays.items()
        ]
        return FileRecord(size_bytes=self._size_bytes, sha256=self._hash.hexdigest(), arrays=rows)

    def passed(self, record: FileRecord) -> Self:
        """Raise ValueError unless all that the record tells of has passed, and nothing else."""
        if self._size_bytes != record["size_bytes"]:
            raise ValueError(f"has {self._size_bytes} bytes, must have {record['size_bytes']}")
        if self._hash.hexdigest() != record["sha256"]:
            raise ValueError("its SHA-256 is another than when it was written")
        return self


def write_arrays(path: Path, arrays: Arrays) -> FileRecord:
    """Write arrays into a new file, down to the disk."""
    with path.open("xb") as file:
        hashed = _Hashed(file)
        # zstandard's types ask for a whole IO; it writes, and reads, and no more.
        with zstandard.ZstdCompressor(_LEVEL).stream_writer(hashed, closefd=False) as compressed:  # type: ignore[arg-type]
            for array in arrays.values():
                for chunk in _chunks(np.ascontiguousarray(array)):
                    compressed.write(chunk)
        _sync(file)
    return hashed.record(arrays)


def read_arrays(path: Path, record: FileRecord) -> dict[str, NDArray[Any]]:
    """The arrays of a file. Raises InputError, naming the file, if it is not as it was written."""
    arrays = {
        row["name"]: np.empty(row["shape"], np.dtype(row["dtype"])) for row in record["arrays"]
    }
    try:
        with path.open("rb") as file:
            hashed = _Hashed(file)
            with zstandard.ZstdDecompressor().stream_reader(hashed, closefd=False) as plain:  # type: ignore[arg-type]
                for array in arrays.values():
                    for chunk in _chunks(array):
                        _fill(plain, chunk)
            while hashed.read(_CHUNK_BYTES):
                pass
        hashed.passed(record)
    except (OSError, ValueError, EOFError, zstandard.ZstdError) as error:
        raise InputError(f"{path}: {error}") from None
    return arrays


def sync_folder(folder: Path) -> None:
    """Have the disk know the names in a folder."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _chunks(array: NDArray[Any]) -> Iterator[memoryview]:
    """A contiguous array's bytes, a megabyte at a time."""
    flat = array.reshape(-1).view(np.uint8)
    for start in range(0, len(flat), _CHUNK_BYTES):
        # An array is a buffer; typeshed does not know before Python 3.12.
        yield memoryview(flat[start : start + _CHUNK_BYTES])  # type: ignore[arg-type]


def _fill(plain: zstandard.ZstdDecompressionReader, chunk: memoryview) -> None:
    filled = 0
    while filled < len(chunk):
        count = plain.readinto(chunk[filled:])
        if not count:
            raise EOFError("ends too early")
        filled += count


def _sync(file: BinaryIO) -> None:
    file.flush()
    os.fsync(file.fileno())
