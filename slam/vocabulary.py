"""ORB vocabularies, which let ORB-SLAM3 recognise places: DBoW2's text format."""

import hashlib
import lzma
import shutil
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from mapcast_client.errors import DependencyError, InputError
from slam.vocabulary_file import (
    BRANCHING_MAX,
    DEPTH_MAX,
    VocabularyInfo,
    info,
    replacing,
    write_vocabulary,
)
from slam.vocabulary_tree import grow_tree

__all__ = ["VocabularyInfo", "default_vocabulary", "info", "train"]

_PACKED = Path(__file__).parent / "data" / "orb_vocabulary.txt.xz"
_IMAGE_SUFFIXES = frozenset({".bmp", ".jpeg", ".jpg", ".pgm", ".png", ".ppm", ".tif", ".tiff"})
_FEATURES_SHARE = 0.4
"""Of the training time."""


def default_vocabulary(cache: Path) -> Path:
    """The vocabulary that comes with mapcast, unpacked into the folder `cache` once.

    Any number of processes may ask at the same time. Raises DependencyError if the folder cannot
    be written.
    """
    digest = hashlib.sha256(_PACKED.read_bytes()).hexdigest()[:12]
    unpacked = cache / f"orb_vocabulary-{digest}.txt"
    if not unpacked.exists():
        try:
            cache.mkdir(parents=True, exist_ok=True)
            with lzma.open(_PACKED) as packed, replacing(unpacked) as file:
                shutil.copyfileobj(packed, file)
        except OSError as error:
            raise DependencyError(
                f"cannot unpack the ORB vocabulary to {unpacked}: {error.strerror or error}; "
                "make the folder writable, choose another cache folder or configure a vocabulary"
            ) from error
    return unpacked


def train(
    images: Path,
    output: Path,
    branching: int = 7,
    depth: int = 6,
    seed: int = 0,
    progress: Callable[[float], None] = lambda fraction: None,
) -> VocabularyInfo:
    """Train a vocabulary on a folder of images and write it.

    Half a minute for 500 photos. ORB-SLAM3 wants depth 6: it groups features by their node four
    levels above the words. `progress` is called with a fraction that grows to 1. Raises
    InputError if the folder has no images, one that cannot be read, or too few.
    """
    _require_range("branching", branching, BRANCHING_MAX)
    _require_range("depth", depth, DEPTH_MAX)
    if not output.parent.is_dir():
        raise InputError(f"{output.parent}, the folder of {output.name}, does not exist")
    descriptors, image_numbers = _features(
        _image_files(images), lambda fraction: progress(_FEATURES_SHARE * fraction)
    )
    tree = grow_tree(
        descriptors,
        image_numbers,
        branching,
        depth,
        np.random.default_rng(seed),
        lambda fraction: progress(_FEATURES_SHARE + (1 - _FEATURES_SHARE) * fraction),
    )
    words = int(tree.is_word.sum())
    useless = words - np.count_nonzero(tree.weights)
    if 2 * useless > words:
        raise InputError(
            f"{images}: of {words} words, {useless} are in every image: they tell no places apart, "
            "and ORB-SLAM3 drops their features; train on more images, or more different ones"
        )
    write_vocabulary(tree, output)
    return VocabularyInfo(branching, depth, len(tree.parents), words)


def _require_range(name: str, value: int, limit: int) -> None:
    if not 2 <= value <= limit:
        raise InputError(f"vocabulary {name} is {value}, must be 2 to {limit}")


def _image_files(folder: Path) -> list[Path]:
    if not folder.is_dir():
        raise InputError(f"{folder} is not a folder of images")
    files = sorted(file for file in folder.iterdir() if file.suffix.lower() in _IMAGE_SUFFIXES)
    if not files:
        raise InputError(f"{folder} has no images ({', '.join(sorted(_IMAGE_SUFFIXES))})")
    return files


def _features(
    files: list[Path], progress: Callable[[float], None]
) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """(M, 32) ORB descriptors of all images and (M,) the number of the image of each."""
    orb = cv2.ORB.create(nfeatures=1500, scaleFactor=1.2, nlevels=8, fastThreshold=10)
    descriptors, counts = [], []
    for number, file in enumerate(files, 1):
        image = cv2.imread(str(file), cv2.IMREAD_GRAYSCALE)
        if image is None:
            raise InputError(f"{file} cannot be read as an image")
        _, found = orb.detectAndCompute(image, None)
        if found is not None and len(found):
            descriptors.append(found)
            counts.append(len(found))
        progress(number / len(files))
    if not descriptors:
        raise InputError(f"none of the {len(files)} images in {files[0].parent} has ORB features")
    return np.concatenate(descriptors), np.repeat(np.arange(len(counts)), counts)
