"""Grows a vocabulary tree over binary features; arrays in, arrays out.

Nistér & Stewénius 2006, with the k-majority clustering of Grana et al. 2013: a cluster's centre
has each bit that most of its members have.
"""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

DESCRIPTOR_BYTES = 32
GROUPING_LEVELS = 4
"""ORB-SLAM3 groups features by their node so many levels above the words, where there is one."""

_ITERATIONS = 8

Indices = NDArray[np.intp]


@dataclass(frozen=True, slots=True)
class VocabularyTree:
    """N nodes, parents before children; node 0, the root, is not stored: row i is node i + 1."""

    branching: int
    depth: int
    parents: NDArray[np.int64]
    """(N,) node numbers."""
    is_word: NDArray[np.bool_]
    """(N,) leaves."""
    descriptors: NDArray[np.uint8]
    """(N, 32)"""
    weights: NDArray[np.float64]
    """(N,) inverse document frequency of words, 0 elsewhere."""


def grow_tree(
    descriptors: NDArray[np.uint8],
    image_numbers: NDArray[np.int64],
    branching: int,
    depth: int,
    rng: np.random.Generator,
    progress: Callable[[float], None],
) -> VocabularyTree:
    """Cluster (M, 32) descriptors, each seen in an image (M,), into a tree.

    `progress` is told the fraction of descriptors that have reached their word.
    """
    images = len(np.unique(image_numbers))
    parents, is_word, centres, weights = [], [], [], []
    words_reached = 0
    todo: deque[tuple[int, int, Indices]] = deque([(0, 0, np.arange(len(descriptors)))])
    while todo:
        parent, level, members = todo.popleft()
        for group, centre in _clusters(descriptors, members, branching, rng):
            single = len(group) == 1 and level + 1 >= depth - GROUPING_LEVELS
            word = single or level + 1 == depth
            parents.append(parent)
            is_word.append(word)
            centres.append(centre)
            if word:
                seen_in = len(np.unique(image_numbers[group]))
                weights.append(np.log(images / seen_in))
                words_reached += len(group)
            else:
                weights.append(0.0)
                todo.append((len(parents), level + 1, group))
        progress(words_reached / len(descriptors))
    return VocabularyTree(
        branching,
        depth,
        np.array(parents, np.int64),
        np.array(is_word),
        np.array(centres, np.uint8),
        np.array(weights, np.float64),
    )


def _clusters(
    descriptors: NDArray[np.uint8], members: Indices, branching: int, rng: np.random.Generator
) -> list[tuple[Indices, NDArray[np.uint8]]]:
    """At most `branching` groups of the members and their centres; none is empty."""
    if len(members) <= branching:
        return [(members[i : i + 1], descriptors[member]) for i, member in enumerate(members)]
    words = descriptors[members].view(np.uint64)
    centres = words[rng.choice(len(words), branching, replace=False)]
    nearest = _nearest(words, centres)
    for _ in range(_ITERATIONS):
        for j in np.unique(nearest):
            centres[j] = _majority(words[nearest == j])
        before, nearest = nearest, _nearest(words, centres)
        if np.array_equal(before, nearest):
            break
    return [(members[nearest == j], centres[j].view(np.uint8)) for j in np.unique(nearest)]


def _nearest(words: NDArray[np.uint64], centres: NDArray[np.uint64]) -> Indices:
    """(M,) index of the centre at the least Hamming distance; the first of several."""
    distances = np.empty((len(centres), len(words)), np.uint16)
    for j, centre in enumerate(centres):
        np.bitwise_count(words ^ centre).sum(axis=1, dtype=np.uint16, out=distances[j])
    nearest: Indices = distances.argmin(axis=0)
    return nearest


def _majority(words: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """(4,) the bits that more than half of the (M, 4) words have."""
    counts = np.unpackbits(words.view(np.uint8), axis=1).sum(axis=0, dtype=np.uint32)
    return np.packbits(2 * counts > len(words)).view(np.uint64)
