"""The file of an ORB vocabulary: DBoW2's text format, checked before ORB-SLAM3 sees it."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import numpy as np
from numpy.typing import NDArray

from mapcast_client.errors import InputError
from slam.vocabulary_tree import DESCRIPTOR_BYTES, VocabularyTree

BRANCHING_MAX, DEPTH_MAX = 20, 10
"""Limits of DBoW2's loader."""

_NODE_FIELDS = 2 + DESCRIPTOR_BYTES + 1
_PARENT_DIGITS_MAX = 9
_CHUNK_BYTES = 1 << 18
_NODE_CHARACTERS = np.isin(np.arange(256), np.frombuffer(b"0123456789 .+-e\n", np.uint8))


@dataclass(frozen=True, slots=True)
class VocabularyInfo:
    """What a vocabulary consists of."""

    branching: int
    """k: children per node."""
    depth: int
    """L: levels below the root."""
    nodes: int
    """Without the root."""
    words: int
    """Leaves."""


def info(path: Path) -> VocabularyInfo:
    """Check a vocabulary file and tell what it consists of.

    DBoW2's loader checks nothing: a broken file ends the process or leaves features without a
    word. Takes 0.1 s for the shipped vocabulary. Raises InputError with the line of the first
    error.
    """
    try:
        with path.open("rb") as file:
            branching, depth = _header(file.readline(256), path)
            parents, is_word = _nodes(file, path)
    except OSError as error:
        raise InputError(f"cannot read the vocabulary {path}: {error.strerror}") from None
    has_children = np.zeros(len(parents) + 1, np.bool_)
    has_children[parents] = True
    wrong = np.flatnonzero(has_children[1:] == is_word)
    if len(parents) == 0 or len(wrong):
        line = int(wrong[0]) + 2 if len(wrong) else 1
        raise InputError(
            f"vocabulary {path}, line {line}: inner nodes must have children and words none; "
            f"of {len(wrong)} nodes that is not true: the file is truncated or mixed up"
        )
    return VocabularyInfo(branching, depth, len(parents), int(is_word.sum()))


def write_vocabulary(tree: VocabularyTree, output: Path) -> None:
    """Write DBoW2's text format, without a newline at the end: its loader would add a node."""
    with replacing(output) as file:
        file.write(f"{tree.branching} {tree.depth} 0 0".encode())
        for parent, is_word, descriptor, weight in zip(
            tree.parents, tree.is_word, tree.descriptors, tree.weights, strict=True
        ):
            values = " ".join(map(str, descriptor.tolist()))
            file.write(f"\n{parent} {is_word:d} {values} {weight:.6g}".encode())


@contextmanager
def replacing(target: Path) -> Iterator[IO[bytes]]:
    """A new file that takes the target's place when it is complete."""
    fd, name = tempfile.mkstemp(prefix=f".{target.name}.", dir=target.parent)
    try:
        with os.fdopen(fd, "wb") as file:
            yield file
        os.chmod(name, 0o644)
        os.replace(name, target)
    except BaseException:
        os.unlink(name)
        raise


def _header(line: bytes, path: Path) -> tuple[int, int]:
    """(branching, depth) of `k L scoring weighting`."""
    fields = line.split()
    if len(fields) == 4 and all(field.isdigit() for field in fields):
        branching, depth, scoring, weighting = map(int, fields)
        in_range = 2 <= branching <= BRANCHING_MAX and 1 <= depth <= DEPTH_MAX
        if in_range and scoring <= 5 and weighting <= 3:
            return branching, depth
    raise InputError(
        f"vocabulary {path}, line 1: {line[:24]!r} is not the header of a DBoW2 text vocabulary: "
        f"branching (2 to {BRANCHING_MAX}), depth (1 to {DEPTH_MAX}), scoring, weighting"
    )


def _nodes(file: IO[bytes], path: Path) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """(N,) parents and (N,) whether it is a word, of all node lines."""
    parents: list[NDArray[np.int64]] = [np.zeros(0, np.int64)]
    is_word: list[NDArray[np.bool_]] = [np.zeros(0, np.bool_)]
    nodes = 0
    while chunk := file.read(_CHUNK_BYTES):
        chunk += file.readline()
        chunk_parents, chunk_is_word = _chunk_nodes(chunk.removesuffix(b"\n"), nodes, path)
        parents.append(chunk_parents)
        is_word.append(chunk_is_word)
        nodes += len(chunk_parents)
    return np.concatenate(parents), np.concatenate(is_word)


def _chunk_nodes(
    lines: bytes, nodes_before: int, path: Path
) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Parents and word flags of whole lines of `parent is_word 32×byte weight`."""
    text = np.frombuffer(lines + b"\n ", np.uint8)[:-1]
    is_gap = text <= ord(" ")
    gaps = np.flatnonzero(is_gap)
    starts = np.concatenate([[0], np.flatnonzero(text == ord("\n"))[:-1] + 1])
    parent_ends = gaps[np.searchsorted(gaps, starts)]
    flags = text.take(parent_ends + 1, mode="clip")
    parents, are_numbers = _leading_numbers(text, starts, parent_ends)

    ends_field = np.diff(is_gap, prepend=True) & is_gap
    has_fields = np.add.reduceat(ends_field, starts, dtype=np.int64) == _NODE_FIELDS
    has_characters = np.logical_and.reduceat(_NODE_CHARACTERS[text], starts)
    has_flag = ((flags == ord("0")) | (flags == ord("1"))) & is_gap.take(
        parent_ends + 2, mode="clip"
    )
    has_parent = are_numbers & (parents <= nodes_before + np.arange(len(starts)))
    wrong = np.flatnonzero(~(has_fields & has_characters & has_flag & has_parent))
    if len(wrong):
        line = lines[starts[wrong[0]] :].split(b"\n", 1)[0]
        raise InputError(
            f"vocabulary {path}, line {nodes_before + int(wrong[0]) + 2}: {line[:40]!r}… is not a "
            f"node: an earlier node as parent, 0 or 1, {DESCRIPTOR_BYTES} bytes and a weight"
        )
    return parents, flags == ord("1")


def _leading_numbers(
    text: NDArray[np.uint8], starts: NDArray[np.intp], ends: NDArray[np.intp]
) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """The decimal numbers text[start:end], and which of them are numbers."""
    numbers = np.zeros(len(starts), np.int64)
    digits = ends - starts
    are_numbers = (digits >= 1) & (digits <= _PARENT_DIGITS_MAX)
    for place in range(_PARENT_DIGITS_MAX):
        inside = place < digits
        digit = text.take(starts + place, mode="clip").astype(np.int64) - ord("0")
        are_numbers &= ~inside | ((digit >= 0) & (digit <= 9))
        numbers = np.where(inside, 10 * numbers + digit, numbers)
    return numbers, are_numbers
