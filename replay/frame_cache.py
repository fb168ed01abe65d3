"""Frames that took long to make, kept on disk: one file each, bounded in all, never trusted.

A file that is damaged, or was made by another version or for another processor, counts as absent:
compiled arithmetic rounds differently where a processor has fused multiply-add, say.
"""

import contextlib
import hashlib
import logging
import os
import shutil
import struct
import threading
from collections.abc import Iterable
from pathlib import Path

import llvmlite
import llvmlite.binding as llvm
import numba
import numpy as np
import pyarrow
import simplejpeg
import xxhash
from google.protobuf.message import DecodeError

from mapcast_client.v1 import ingest_pb2

LIMIT_BYTES = 1 << 30
"""4,000 frames of 640 × 480 with depth, about; what exceeds it is not kept."""

_HEADER = struct.Struct("<QI")
"""XXH64 of the compressed bytes, length of the plain ones."""

logger = logging.getLogger(__name__)


def key_of(sources: Iterable[Path], settings: str) -> str:
    """A name that changes with what makes the frames: settings, code, libraries, processor."""
    digest = hashlib.sha256(settings.encode())
    for path in sorted(sources):
        digest.update(path.read_bytes())
    for made_by in (llvmlite, numba, np, simplejpeg):
        digest.update(f"{made_by.__name__} {made_by.__version__}\n".encode())
    digest.update(f"{llvm.get_host_cpu_name()} {llvm.get_host_cpu_features().flatten()}".encode())
    return digest.hexdigest()[:20]


class FrameCache:
    """Encoded frames of one sequence by index. Safe to use from several threads and processes."""

    def __init__(self, folder: Path, key: str, limit_bytes: int = LIMIT_BYTES) -> None:
        """Use `folder/key`; other sequences' frames there go, oldest first, to keep the limit."""
        self._folder = folder / key
        self._limit_bytes = limit_bytes
        self._codec = pyarrow.Codec("zstd", compression_level=1)
        self._used_bytes = _size_bytes(self._folder)
        self._writable = True
        _make_room(folder, self._folder, limit_bytes - self._used_bytes)

    def load(self, index: int) -> ingest_pb2.Frame | None:
        """A frame, or None if it is not there or damaged."""
        try:
            data = self._path(index).read_bytes()
        except OSError:
            return None
        if len(data) < _HEADER.size:
            return None
        checksum, size = _HEADER.unpack_from(data)
        body = data[_HEADER.size :]
        if xxhash.xxh64_intdigest(body) != checksum:
            return None
        try:
            plain = self._codec.decompress(body, decompressed_size=size, asbytes=True)
            return ingest_pb2.Frame.FromString(plain)
        except (OSError, pyarrow.ArrowException, DecodeError):
            return None

    def store(self, index: int, frame: ingest_pb2.Frame) -> None:
        """Keep a frame, whole or not at all; a full or unwritable disk ends the keeping."""
        plain = frame.SerializeToString(deterministic=True)
        body = self._codec.compress(plain, asbytes=True)
        data = _HEADER.pack(xxhash.xxh64_intdigest(body), len(plain)) + body
        if not self._writable or self._used_bytes + len(data) > self._limit_bytes:
            return
        path = self._path(index)
        partial = path.with_suffix(f".{os.getpid()}-{threading.get_ident()}")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            partial.write_bytes(data)
            partial.replace(path)
        except OSError as error:
            logger.warning("frames are not cached any more: %s", error)
            self._writable = False
            with contextlib.suppress(OSError):
                partial.unlink()
            return
        self._used_bytes += len(data)

    def _path(self, index: int) -> Path:
        return self._folder / f"{index:06d}.frame"


def _size_bytes(folder: Path) -> int:
    """Bytes of a folder's files; 0 if there is none."""
    if not folder.is_dir():
        return 0
    with os.scandir(folder) as entries:
        return sum(entry.stat().st_size for entry in entries if entry.is_file())


def _make_room(folder: Path, own: Path, limit_bytes: int) -> None:
    """Remove the oldest of the other sequences until they take at most `limit_bytes`."""
    if not folder.is_dir():
        return
    others = [path for path in folder.iterdir() if path.is_dir() and path != own]
    others.sort(key=lambda path: path.stat().st_mtime)
    sizes = [_size_bytes(path) for path in others]
    excess = sum(sizes) - limit_bytes
    for path, size in zip(others, sizes, strict=True):
        if excess <= 0:
            return
        shutil.rmtree(path, ignore_errors=True)
        excess -= size
