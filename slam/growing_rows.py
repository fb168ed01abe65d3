"""Tables that grow row by row."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mapcast_client.errors import InputError

_FIRST_ROWS = 64


class GrowingRows:
    """A structured array to append to; room doubles as needed."""

    def __init__(self, dtype: np.dtype[np.void]) -> None:
        self._room: NDArray[np.void] = np.zeros(_FIRST_ROWS, dtype)
        self._count = 0

    def __len__(self) -> int:
        return self._count

    @property
    def rows(self) -> NDArray[np.void]:
        """The rows in use; writing to them writes to the table. Not to be kept: tables grow."""
        return self._room[: self._count]

    def append(self, values: Mapping[str, Any]) -> int:
        """Append a row with these fields, the others zero. Returns its number."""
        if self._count == len(self._room):
            self._room = np.concatenate([self._room, np.zeros_like(self._room)])
        for name, value in values.items():
            self._room[name][self._count] = value
        self._count += 1
        return self._count - 1

    def columns(self) -> dict[str, NDArray[Any]]:
        """A copy of each field of the rows, by name."""
        names = self._room.dtype.names or ()
        return {name: np.ascontiguousarray(self.rows[name]).copy() for name in names}

    @classmethod
    def from_columns(
        cls, dtype: np.dtype[np.void], columns: Mapping[str, NDArray[Any]]
    ) -> "GrowingRows":
        """Invert `columns`. Raises InputError if one is missing or of another shape or kind."""
        table = cls(dtype)
        names = dtype.names or ()
        missing = [name for name in names if name not in columns]
        if missing:
            raise InputError(f"a table lacks its columns {missing}")
        count = len(columns[names[0]])
        table._room = np.zeros(max(count, _FIRST_ROWS), dtype)
        table._count = count
        for name in names:
            column, place = columns[name], table.rows[name]
            if column.shape != place.shape or column.dtype != place.dtype:
                raise InputError(
                    f"column {name} is {column.dtype}{column.shape}, "
                    f"must be {place.dtype}{place.shape}"
                )
            place[...] = column
        return table
