import numpy as np
import pytest

from mapcast_client.errors import InputError
from slam.growing_rows import GrowingRows

ROW = np.dtype([("name", np.int64), ("place", np.float64, (2,))])


def test_rows_stay_as_a_table_grows() -> None:
    table = GrowingRows(ROW)
    for name in range(1000):
        assert table.append({"name": name, "place": (name, 2 * name)}) == name
    assert len(table) == 1000
    assert table.rows["name"].tolist() == list(range(1000))
    assert table.rows["place"][999].tolist() == [999, 1998]


def test_fields_that_are_left_out_are_zero() -> None:
    table = GrowingRows(ROW)
    table.append({"name": 4})
    assert table.rows["place"].tolist() == [[0, 0]]


@pytest.mark.parametrize("count", [0, 3, 200])
def test_a_table_comes_back_from_its_columns(count: int) -> None:
    table = GrowingRows(ROW)
    for name in range(count):
        table.append({"name": name, "place": (0.1, name)})
    back = GrowingRows.from_columns(ROW, table.columns())
    np.testing.assert_array_equal(back.rows, table.rows)
    back.append({"name": 7})
    assert len(back) == count + 1
    assert len(table) == count


@pytest.mark.parametrize(
    "columns",
    [
        {"name": np.zeros(2, np.int64)},
        {"name": np.zeros(2, np.int64), "place": np.zeros((3, 2))},
        {"name": np.zeros(2, np.int64), "place": np.zeros((2, 2), np.float32)},
    ],
)
def test_columns_of_another_table_are_refused(columns: dict[str, np.ndarray]) -> None:
    with pytest.raises(InputError, match="place"):
        GrowingRows.from_columns(ROW, columns)
