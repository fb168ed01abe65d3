"""What all tests share: where the real data is, and the sequences to stream."""

import os
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
