"""Any interleaving of changes, sends, losses and reconnects ends with the server's map."""

import struct

import numpy as np
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from mapcast_client.delta import DeltaHead, MeshDelta, decode, encode_mesh
from mapcast_client.map import Map
from mapcast_client.rows import MeshRow
from stream.hub import Cursor, Hub, MeshBatch

BLOCKS = st.tuples(*[st.integers(-2, 1)] * 3)
SUBSCRIBERS = st.integers(0, 2)


def row(block: tuple[int, int, int], triangles: int, shade: int) -> MeshRow:
    """A fan of triangles, or a tombstone."""
    if triangles == 0:
        return MeshRow(block, b"", b"", b"")
    corners = bytes(3 * (triangles + 2))
    fan = b"".join(struct.pack("<3H", 0, i + 1, i + 2) for i in range(triangles))
    return MeshRow(block, corners, bytes([shade]) * len(corners), fan)


ROWS = st.lists(st.builds(row, BLOCKS, st.integers(0, 3), st.integers(0, 255)), max_size=6)


class Subscriber:
    """A follower that may lose its connection together with messages in flight."""

    def __init__(self, hub: Hub) -> None:
        self.hub = hub
        self.map = Map(["mesh"])
        self.in_flight: list[bytes] = []
        self.cursor: Cursor = hub.join()

    def encode(self, batch: MeshBatch) -> bytes:
        head = DeltaHead(
            session="s",
            epoch=batch.epoch,
            revision=batch.revision,
            complete_through=batch.complete_through,
            voxel_size_m=0.01,
            map_hash=self.hub.map_hash,
        )
        rows, revisions = self.hub.rows(batch.slots), self.hub.revisions(batch.slots)
        return encode_mesh(rows, revisions, head, "none")

    def take(self, budget_bytes: int) -> bool:
        batch = self.hub.take(self.cursor, budget_bytes)
        if batch is not None:
            self.in_flight.append(self.encode(batch))
        return batch is not None

    def receive(self) -> None:
        if self.in_flight:
            self.map.apply(decode(self.in_flight.pop(0)))

    def reconnect(self) -> None:
        self.hub.leave(self.cursor)
        self.in_flight.clear()
        self.cursor = self.hub.join(self.map.complete_through, self.map.epoch)


class Interleavings(RuleBasedStateMachine):
    """One hub, three subscribers, everything in any order."""

    @initialize()
    def start(self) -> None:
        self.hub = Hub(epoch=1)
        self.subscribers = [Subscriber(self.hub) for _ in range(3)]

    @rule(rows=ROWS)
    def publish(self, rows: list[MeshRow]) -> None:
        self.hub.publish({row.block: row for row in rows}.values())

    @rule(who=SUBSCRIBERS, budget_bytes=st.integers(1, 300))
    def send(self, who: int, budget_bytes: int) -> None:
        self.subscribers[who].take(budget_bytes)

    @rule(who=SUBSCRIBERS)
    def receive(self, who: int) -> None:
        self.subscribers[who].receive()

    @rule(who=SUBSCRIBERS)
    def lose_the_connection(self, who: int) -> None:
        self.subscribers[who].reconnect()

    @rule(who=SUBSCRIBERS)
    def start_over_from_nothing(self, who: int) -> None:
        self.subscribers[who].map = Map(["mesh"])
        self.subscribers[who].reconnect()

    @rule()
    def replace_the_whole_map(self) -> None:
        self.hub.restart(self.hub.epoch + 1)

    @invariant()
    def the_hash_is_the_sum_over_live_rows(self) -> None:
        expected = sum(row.content_hash() for row in self.hub.rows()) % (1 << 64)
        assert self.hub.map_hash == expected
        assert self.hub.live_blocks == len(self.hub.rows())

    @rule(rows=ROWS)
    def publish_the_whole_map_again(self, rows: list[MeshRow]) -> None:
        whole = {row.block: row for row in rows}
        self.hub.publish(whole.values())
        self.hub.keep_only(whole)
        assert {row.block for row in self.hub.rows()} <= whole.keys()

    def teardown(self) -> None:
        """Whatever happened: once everything pending is sent, every map is the hub's."""
        self.hub.publish([row((5, 5, 5), 1, 7)])  # so that even an emptied epoch is announced
        for subscriber in self.subscribers:
            while subscriber.take(200):
                pass
            while subscriber.in_flight:
                subscriber.receive()
            assert subscriber.map.map_hash == self.hub.map_hash
            assert subscriber.map.complete_through >= self.hub.revision
            assert subscriber.map.epoch == self.hub.epoch


TestInterleavings = Interleavings.TestCase
TestInterleavings.settings = settings(max_examples=150, stateful_step_count=40, deadline=None)


def test_rows_that_say_what_is_known_are_nobodys_news() -> None:
    hub = Hub(epoch=1)
    rows = [row((0, 0, 0), 2, 1), row((1, 0, 0), 1, 1)]
    hub.publish(rows)
    cursor = hub.join(since=hub.revision, epoch=1)
    revision, map_hash = hub.revision, hub.map_hash
    hub.publish([*rows, row((9, 9, 9), 0, 0)])
    assert (hub.revision, hub.map_hash) == (revision, map_hash)
    assert hub.take(cursor, 1 << 20) is None
    hub.publish([rows[0], row((1, 0, 0), 1, 2)])
    batch = hub.take(cursor, 1 << 20)
    assert batch is not None
    assert [r.block for r in hub.rows(batch.slots)] == [(1, 0, 0)]


def test_a_whole_map_leaves_nothing_of_what_it_does_not_name() -> None:
    hub = Hub(epoch=1)
    kept, gone = row((0, 0, 0), 2, 1), row((1, 0, 0), 1, 1)
    hub.publish([kept, gone])
    subscriber = Subscriber(hub)
    subscriber.take(1 << 20)
    hub.publish([kept])
    hub.keep_only({kept.block})
    assert hub.rows() == [kept]
    batch = hub.take(subscriber.cursor, 1 << 20)
    assert batch is not None
    assert hub.rows(batch.slots) == [row(gone.block, 0, 0)]


def test_a_batch_of_a_joiner_has_no_tombstones() -> None:
    hub = Hub(epoch=1)
    hub.publish([row((0, 0, 0), 2, 1), row((1, 0, 0), 1, 1)])
    hub.publish([row((1, 0, 0), 0, 0)])
    batch = hub.take(hub.join(), 1 << 20)
    assert batch is not None
    assert [r.block for r in hub.rows(batch.slots)] == [(0, 0, 0)]


def test_nearest_blocks_come_first() -> None:
    hub = Hub(epoch=1)
    hub.publish([row((i, 0, 0), 1, 1) for i in range(10)])
    batch = hub.take(hub.join(), 1, viewpoint_vox=np.array([60.0, 0.0, 0.0]))
    assert batch is not None
    assert [r.block for r in hub.rows(batch.slots)] == [(7, 0, 0)]
    assert batch.complete_through == hub.revision - 1


def test_decoded_batches_carry_the_revision_of_each_row() -> None:
    hub = Hub(epoch=1)
    subscriber = Subscriber(hub)
    hub.publish([row((0, 0, 0), 1, 1)])
    hub.publish([row((1, 0, 0), 1, 1)])
    subscriber.take(1 << 20)
    delta = decode(subscriber.in_flight[0])
    assert isinstance(delta, MeshDelta)
    assert delta.revisions.tolist() == [1, 2]
