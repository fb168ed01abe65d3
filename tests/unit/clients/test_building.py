"""The made-up building that the viewer's bench shows."""

import numpy as np

from clients.cli.bench.building import TRIANGLES_OF_BLOCK, Building
from mapcast_client import MeshDelta
from mapcast_client.delta import DeltaHead, decode, encode_mesh
from mapcast_client.rows import MeshRows


def test_it_has_the_triangles_asked_for_each_block_once() -> None:
    rows = Building(100_000).rows()
    joined = MeshRows.join(rows)
    triangles = int(joined.triangle_counts.sum())
    assert 100_000 <= triangles < 100_000 + TRIANGLES_OF_BLOCK
    assert len({row.block for row in rows}) == len(rows)
    assert joined.vertices.max() <= 248


def test_its_rows_are_messages_that_clients_accept() -> None:
    building = Building(20_000)
    rows = building.changes(50)
    head = DeltaHead("building", 1, 1, 1, 0.01, 0)
    delta = decode(encode_mesh(rows, np.ones(len(rows), np.uint64), head))
    assert isinstance(delta, MeshDelta)
    assert delta.rows.triangle_counts.tolist() == [TRIANGLES_OF_BLOCK] * 50


def test_changes_are_blocks_of_it_in_another_state() -> None:
    building = Building(20_000)
    before = {row.block: row for row in building.rows()}
    changed = building.changes(50)
    assert all(before[row.block] != row for row in changed)
