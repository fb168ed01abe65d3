"""The table of rows: what it takes for news, its sums, and that it grows."""

import gc

import numpy as np

from mapcast_client.rows import MeshRow, MeshRows, SeparateRows
from stream.block_table import INITIAL_BLOCKS, BlockTable

EDGE = (1 << 31) - 1


def row(block: tuple[int, int, int], triangles: int = 1, shade: int = 0) -> MeshRow:
    corners = bytes([shade]) * 3 * (triangles + 2)
    return MeshRow(block, corners, corners, bytes(6 * triangles))


def tombstone(block: tuple[int, int, int]) -> MeshRow:
    return MeshRow(block, b"", b"", b"")


def replace(table: BlockTable, rows: list[MeshRow], revision: int) -> list[int]:
    separate = SeparateRows.of(rows)
    columns = MeshRows.join(separate)
    return table.replace(columns, separate.content_hashes(), revision).tolist()


def test_only_rows_that_say_something_new_are_stored() -> None:
    table = BlockTable()
    known = [row((0, 0, 0)), row((1, 0, 0)), row((-1, -1, -1))]
    assert replace(table, known, 1) == [0, 1, 2]
    changed = row((1, 0, 0), triangles=4)
    news = [known[2], changed, tombstone((7, 7, 7)), row((2, 0, 0)), known[0]]
    assert replace(table, news, 2) == [1, 3]
    assert table.revisions[:4].tolist() == [1, 2, 1, 2]
    assert list(table.rows(np.arange(4))) == [known[0], changed, known[2], row((2, 0, 0))]
    assert table.sizes_bytes[1] == changed.size_bytes
    assert len(table) == 4


def test_the_sums_are_over_the_rows_that_are_stored() -> None:
    table = BlockTable()
    replace(table, [row((i, 0, 0), 1 + i) for i in range(5)], 1)
    replace(table, [row((1, 0, 0), 9), tombstone((2, 0, 0)), row((3, 0, 0), 1)], 2)
    live = list(table.rows(table.live()))
    assert table.map_hash == sum(row.content_hash() for row in live) % (1 << 64)
    assert (table.live_blocks, table.triangles) == (4, 1 + 9 + 1 + 5)
    replace(table, [tombstone(row.block) for row in live], 3)
    assert (table.map_hash, table.live_blocks, table.triangles) == (0, 0, 0)


def test_blocks_at_the_ends_of_the_grid_are_told_apart() -> None:
    table = BlockTable()
    blocks = [(EDGE, 0, 0), (-EDGE - 1, 0, 0), (0, EDGE, -1), (0, -1, EDGE), (0, 0, 0)]
    assert replace(table, [row(block) for block in blocks], 1) == [0, 1, 2, 3, 4]
    order = np.array([blocks[3], (1, 1, 1), blocks[0]], np.int32)
    assert table.slots_of(order).tolist() == [3, -1, 0]
    assert table.live_except(blocks[1:]).tolist() == [[EDGE, 0, 0]]
    assert table.live_except(order).tolist() == [list(blocks[i]) for i in (1, 2, 4)]


def test_it_grows_and_keeps_what_it_has() -> None:
    table = BlockTable()
    rows = [row((i, -i, 0), 1, i % 256) for i in range(2 * INITIAL_BLOCKS + 1)]
    replace(table, rows[:10], 1)
    assert replace(table, rows, 2) == list(range(10, len(rows)))
    assert list(table.rows(np.arange(len(rows)))) == rows
    assert table.revisions[: len(rows)].tolist() == [1] * 10 + [2] * (len(rows) - 10)


def test_no_row_is_an_object_that_the_garbage_collector_looks_at() -> None:
    table = BlockTable()
    columns = SeparateRows.of([row((i, 0, 0)) for i in range(1000)])
    hashes = columns.content_hashes()
    joined = MeshRows.join(columns)
    gc.collect()
    before = len(gc.get_objects())
    table.replace(joined, hashes, 1)
    gc.collect()
    assert len(gc.get_objects()) < before + 100
