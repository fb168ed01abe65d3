"""The latest row of each key, in the order of change: a reader lacks all after some revision."""

from bisect import bisect_right
from collections.abc import Iterator
from typing import Generic, Protocol, TypeVar

_LEAST_ROOM = 64


class _Row(Protocol):
    @property
    def capture_ns(self) -> int: ...

    @property
    def revision(self) -> int: ...


Row = TypeVar("Row", bound=_Row)


class LatestRows(Generic[Row]):
    """Rows keyed by `capture_ns`, each with the revision at which it last changed.

    Memory: at most twice the live rows, however often they change.
    """

    def __init__(self) -> None:
        self._rows: list[Row] = []
        """By revision. A row that a later one has replaced stays until half of them are such."""
        self._at: dict[int, int] = {}

    def __len__(self) -> int:
        return len(self._at)

    def __iter__(self) -> Iterator[Row]:
        """The live rows, the one that changed first first."""
        return (row for at, row in enumerate(self._rows) if self._at[row.capture_ns] == at)

    @property
    def stored(self) -> int:
        """Rows in memory, those that were replaced included."""
        return len(self._rows)

    def get(self, capture_ns: int) -> Row | None:
        """The live row of an instant."""
        at = self._at.get(capture_ns)
        return None if at is None else self._rows[at]

    def put(self, row: Row) -> None:
        """Store a row whose revision is greater than any before."""
        assert not self._rows or row.revision > self._rows[-1].revision, "rows come by revision"
        self._at[row.capture_ns] = len(self._rows)
        self._rows.append(row)
        if len(self._rows) > 2 * len(self._at) + _LEAST_ROOM:
            self._rows = list(self)
            self._at = {row.capture_ns: at for at, row in enumerate(self._rows)}

    def after(self, revision: int, limit: int) -> tuple[list[Row], Row | None]:
        """Up to `limit` live rows that changed after `revision`, and the next one, if any."""
        found: list[Row] = []
        for at in range(bisect_right(self._rows, revision, key=_revision), len(self._rows)):
            row = self._rows[at]
            if self._at[row.capture_ns] != at:
                continue
            if len(found) == limit:
                return found, row
            found.append(row)
        return found, None


def _revision(row: _Row) -> int:
    return row.revision
