"""What all tests share: where the real data is, and the sequences to stream."""

import os
import resource
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def data() -> Path:
    """The folder of real sequences."""
    folder = os.environ.get("MAPCAST_DATA")
    if not folder:
        pytest.skip("MAPCAST_DATA is not set: no real sequences on this machine")
    return Path(folder)


@pytest.fixture(scope="session")
def red_kitchen(data: Path) -> Path:
    """700 real RGB-D frames with ground truth."""
    return data / "7scenes-redkitchen"


@contextmanager
def _files_end_at(size_bytes: int) -> Iterator[None]:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size_bytes, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.fixture(name="files_end_at")
def files_end_at_fixture() -> Callable[[int], AbstractContextManager[None]]:
    """A full disk: no file of this process and its children can grow beyond a size."""
    return _files_end_at
