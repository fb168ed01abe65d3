import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mapcast_client.mesh import TriangleMesh, number_distinct
from mapcast_client.rows import MeshRow, MeshRows

VERTICES = np.array([[0, 0, 0], [248, 0, 0], [0, 248, 0]], np.uint8).tobytes()
COLORS = bytes(9)
TRIANGLE = np.array([0, 1, 2], "<u2").tobytes()
FURTHEST = (1 << 19) - 1


def mesh_of(*blocks: tuple[int, int, int]) -> TriangleMesh:
    rows = [MeshRow(block, VERTICES, COLORS, TRIANGLE) for block in blocks]
    return TriangleMesh.from_rows(MeshRows.join(rows), 0.01)


def test_neighbours_share_the_vertex_at_which_they_meet() -> None:
    assert len(mesh_of((0, 0, 0), (1, 0, 0)).vertices_world) == 5


@pytest.mark.parametrize("away", [8455, 8456, 8457, 1 << 13, 1 << 14, 1 << 16, FURTHEST])
@pytest.mark.parametrize("direction", [(0, 0, 1), (0, 1, 1), (1, 1, 1), (-1, 0, 1)])
def test_blocks_that_are_far_apart_stay_apart(away: int, direction: tuple[int, int, int]) -> None:
    x, y, z = (away * step for step in direction)
    mesh = mesh_of((0, 0, 0), (x, y, z), (-x, -y, -z), (0, y and 1, 0))
    distinct = 4 * 3 - (1 if y else 3)
    assert len(mesh.vertices_world) == distinct
    corners = mesh.vertices_world[mesh.triangles].astype(np.float64)
    np.testing.assert_allclose(np.ptp(corners, axis=1)[:, :2], 0.08, atol=0.005)


@given(
    st.lists(
        st.tuples(*[st.integers(-(1 << 29), (1 << 29) - 1) | st.integers(-2, 2)] * 4), max_size=30
    )
)
def test_rows_are_numbered_as_sorting_them_whole_does(rows: list[tuple[int, ...]]) -> None:
    array = np.array(rows, np.int64).reshape(-1, 4)
    first, numbers = number_distinct(array)
    expected, at, inverse = np.unique(array, axis=0, return_index=True, return_inverse=True)
    np.testing.assert_array_equal(array[first], expected)
    np.testing.assert_array_equal(first, at)
    np.testing.assert_array_equal(numbers, inverse.ravel())
