"""Rows side by side, apart and one by one say the same."""

import numpy as np
import pytest

from mapcast_client.rows import MeshRow, MeshRows, SeparateRows


def made_up_rows(count: int) -> list[MeshRow]:
    """Every third is a tombstone."""
    rng = np.random.default_rng(1)
    rows = []
    for i in range(count):
        triangles, vertices = (0, 0) if i % 3 == 2 else rng.integers(1, 40, 2)
        lengths = 3 * vertices, 3 * vertices, 6 * triangles
        rows.append(MeshRow((i - 5, -i, 1 << 20), *map(rng.bytes, lengths)))
    return rows


@pytest.mark.parametrize("count", [0, 1, 2, 50])
def test_splitting_is_the_inverse_of_joining(count: int) -> None:
    rows = made_up_rows(count)
    assert list(MeshRows.join(rows).split()) == rows
    assert list(MeshRows.join(SeparateRows.of(rows)).separate()) == rows
    assert list(SeparateRows.of(iter(rows))) == rows


@pytest.mark.parametrize("count", [0, 1, 50])
def test_hashes_of_columns_are_those_of_each_row(count: int) -> None:
    rows = made_up_rows(count)
    hashes = SeparateRows.of(rows).content_hashes()
    assert hashes.dtype == np.uint64
    assert hashes.tolist() == [row.content_hash() for row in rows]


def test_some_rows_are_separated_alone() -> None:
    rows = made_up_rows(50)
    which = np.arange(50) % 7 < 2
    some = MeshRows.join(rows).separate(which)
    assert list(some) == [row for row, is_in in zip(rows, which, strict=True) if is_in]
    assert len(some) == np.count_nonzero(which)


def test_tombstones_are_rows_without_anything() -> None:
    blocks = np.array([[1, -2, 3], [4, 5, 6]], np.int32)
    expected = [MeshRow((1, -2, 3), b"", b"", b""), MeshRow((4, 5, 6), b"", b"", b"")]
    assert list(MeshRows.tombstones(blocks).split()) == expected
