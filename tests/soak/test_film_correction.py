"""The film of a correction: it can be made, and what it shows changes as it should."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

SCRIPT = Path(__file__).resolve().parents[2] / "tools" / "film_correction.py"

pytestmark = pytest.mark.browser


def test_the_film_shows_the_map_before_and_after_its_correction(tmp_path: Path) -> None:
    coarse = ["--every", "15", "--voxel-m", "0.04"]
    subprocess.run([sys.executable, SCRIPT, tmp_path, *coarse], check=True, timeout=600)
    pictures = sorted(tmp_path.glob("*.png"))
    kinds = [path.stem.partition("-")[2] for path in pictures]
    assert [kind for i, kind in enumerate(kinds) if kinds[i - 1] != kind] == [
        "walk", "before", "bend", "follow", "after",
    ]  # fmt: skip
    shown = {kind: picture(path) for kind, path in zip(kinds, pictures, strict=True)}
    assert share_that_differs(shown["before"], shown["after"]) > 0.05
    assert (tmp_path / "film.webp").stat().st_size > 100_000


def picture(path: Path) -> np.ndarray:
    """(H, W, 3) of the map, without the overlays at its edges."""
    return np.asarray(Image.open(path).convert("RGB")).astype(np.int16)[80:-80, :-300]


def share_that_differs(one: np.ndarray, other: np.ndarray) -> float:
    """Of the pixels, those of clearly another colour."""
    return float((np.abs(one - other) > 24).any(axis=2).mean())
