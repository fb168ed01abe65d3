"""When a worker publishes, and that its parts are the whole."""

import struct

import numpy as np

from gpu.backend import DeviceMemory
from mapcast_client.rows import MeshRow, MeshRows
from mapcast_client.v1 import ingest_pb2
from stream.mesh_columns import hashes_of, rows_of
from stream.mesh_publisher import ROWS_IN_PART, MeshPublisher
from stream.worker_pb2 import FromWorker


class SteppingMap:
    """Stands where a `LiveMap` does: says which of its rows were asked for."""

    block_count, is_full = 7, False
    moved_views, frozen_views, pending_views = 5, 2, 3
    device_memory, spilled_blocks = DeviceMemory(4096, 8192), 7

    def __init__(self, rows: MeshRows) -> None:
        self.rows, self.calls = rows, []

    def changed(self) -> MeshRows:
        """What changed enough."""
        self.calls.append("changed")
        return self.rows

    def flush(self) -> MeshRows:
        """What changed at all."""
        self.calls.append("flush")
        return self.rows


def rows(count: int) -> MeshRows:
    """Rows of 3 + (i % 2) vertices."""
    return MeshRows.join(
        [
            MeshRow(
                (i, -i, 2),
                bytes([i % 249]) * 3 * (3 + i % 2),
                bytes([i % 256]) * 3 * (3 + i % 2),
                struct.pack("<3H", 0, 1, 2),
            )
            for i in range(count)
        ]
    )


def test_parts_joined_are_the_rows_and_only_the_last_tells_the_frame() -> None:
    sent: list[FromWorker] = []
    map_ = SteppingMap(rows(2 * ROWS_IN_PART + 3))
    publisher = MeshPublisher(sent.append, rate_hz=1000)
    publisher.fused(map_, 3, ingest_pb2.Frame(index=5, capture_ns=50))
    updates = [message.mesh for message in sent]
    assert [update.is_last for update in updates] == [False, False, True]
    assert {update.epoch for update in updates} == {3}
    assert [update.frame_index for update in updates] == [0, 0, 5]
    joined = [row for update in updates for row in rows_of(update).split()]
    assert joined == list(map_.rows.split())
    hashes = [value for update in updates for value in hashes_of(update).tolist()]
    assert hashes == [row.content_hash() for row in joined]
    assert publisher.take_mesh_ms() > 0
    assert publisher.take_mesh_ms() == 0


def test_a_flush_comes_once_and_only_after_something_was_fused() -> None:
    sent: list[FromWorker] = []
    map_ = SteppingMap(MeshRows.empty())
    publisher = MeshPublisher(sent.append, rate_hz=1000)
    publisher.flush(map_, 0)
    assert map_.calls == []
    publisher.fused(map_, 0, ingest_pb2.Frame(index=1))
    publisher.flush_if_idle(map_, 0)  # not idle yet
    publisher.flush(map_, 0)
    publisher.flush(map_, 0)
    assert map_.calls == ["changed", "flush"]


def test_a_restart_announces_an_empty_map() -> None:
    sent: list[FromWorker] = []
    MeshPublisher(sent.append, 0).restart(4, SteppingMap(MeshRows.empty()))
    (message,) = sent
    assert (message.mesh.epoch, message.mesh.device_bytes) == (4, 4096)
    assert message.mesh.device_limit_bytes == 8192
    assert message.mesh.is_last
    assert np.frombuffer(message.mesh.blocks, "<i4").size == 0
