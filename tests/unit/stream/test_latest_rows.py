"""Only the latest row of a key is given, and superseded ones do not stay."""

from mapcast_client.pose_rows import IDENTITY, KeyframeRow
from stream.latest_rows import LatestRows


def row(capture_ns: int, revision: int) -> KeyframeRow:
    return KeyframeRow(capture_ns, IDENTITY, 1.0, revision)


def test_a_reader_gets_the_latest_of_what_changed_in_the_order_of_change() -> None:
    rows: LatestRows[KeyframeRow] = LatestRows()
    for revision, capture_ns in enumerate([10, 20, 30, 10], start=1):
        rows.put(row(capture_ns, revision))
    assert rows.after(0, 10) == ([row(20, 2), row(30, 3), row(10, 4)], None)
    assert rows.after(2, 10) == ([row(30, 3), row(10, 4)], None)
    assert rows.after(0, 2) == ([row(20, 2), row(30, 3)], row(10, 4))
    assert rows.after(4, 10) == ([], None)
    assert rows.get(10) == row(10, 4)
    assert rows.get(40) is None


def test_memory_is_that_of_the_live_rows_however_often_they_change() -> None:
    rows: LatestRows[KeyframeRow] = LatestRows()
    for revision in range(1, 20_001):
        rows.put(row(revision % 100, revision))
    assert len(rows) == 100
    assert rows.stored < 300
    assert [each.revision for each in rows] == list(range(19_901, 20_001))
