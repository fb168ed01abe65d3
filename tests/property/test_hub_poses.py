"""Any interleaving of frames, corrections, losses and reconnects ends with the server's path."""

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from mapcast_client.delta import (
    DeltaHead,
    Status,
    decode,
    encode_keyframes,
    encode_status,
    encode_trajectory,
)
from mapcast_client.map import Map
from mapcast_client.pose_rows import PoseVector
from stream.hub import Cursor, Hub, PoseBatch

LAYERS = ("keyframes", "trajectory")
SUBSCRIBERS = st.integers(0, 2)
LIMITS = st.integers(1, 4)
INSTANTS = st.integers(0, 9)
"""Few, so that rows replace each other."""
METRES = st.integers(-3, 3)


def at(x_m: float) -> PoseVector:
    return (float(x_m), 0.0, 0.0, 0.0, 0.0, 0.0, 1.0)


class Subscriber:
    """A follower that may lose its connection together with messages in flight."""

    def __init__(self, hub: Hub) -> None:
        self.hub = hub
        self.map = Map(LAYERS)
        self.in_flight: list[bytes] = []
        self.cursor: Cursor = hub.join()

    def head(self, complete_through: int) -> DeltaHead:
        return DeltaHead("s", self.hub.epoch, self.hub.revision, complete_through, 0.01, 0)

    def take(self, limit: int) -> int:
        """Both layers as the server sends them: up to `limit` rows of each; how many came."""
        keyframes = self.hub.take_keyframes(self.cursor, limit)
        poses = self.hub.take_poses(self.cursor, limit)
        if keyframes is not None:
            head = self.head(keyframes.complete_through)
            self.in_flight.append(encode_keyframes(keyframes.rows, head, "none"))
        if poses is not None:
            head = self.head(poses.complete_through)
            self.in_flight.append(encode_trajectory(poses.rows, head, "none"))
        return _count(keyframes) + _count(poses)

    def tell_status(self) -> None:
        complete_through = self.hub.complete_through(self.cursor, LAYERS)
        self.in_flight.append(encode_status(Status("active"), self.head(complete_through), "none"))

    def receive(self) -> None:
        if self.in_flight:
            self.map.apply(decode(self.in_flight.pop(0)))

    def reconnect(self) -> None:
        self.hub.leave(self.cursor)
        self.in_flight.clear()
        self.cursor = self.hub.join(self.map.complete_through, self.map.epoch)


def _count(batch: object) -> int:
    return len(batch.rows) if isinstance(batch, PoseBatch) else 0


class Interleavings(RuleBasedStateMachine):
    """One hub, three subscribers, everything in any order."""

    @initialize()
    def start(self) -> None:
        self.hub = Hub(epoch=1)
        self.subscribers = [Subscriber(self.hub) for _ in range(3)]

    @rule(capture_ns=INSTANTS, x_m=METRES, hang=st.none() | st.tuples(INSTANTS, METRES))
    def track(self, capture_ns: int, x_m: int, hang: tuple[int, int] | None) -> None:
        on = (hang[0], at(hang[1])) if hang else (None, at(0))
        self.hub.append_pose(capture_ns, capture_ns, at(x_m), "tracking", False, *on)

    @rule(keyframes=st.dictionaries(INSTANTS, METRES), scale=st.sampled_from([1.0, 0.5]))
    def correct(self, keyframes: dict[int, int], scale: float) -> None:
        for capture_ns, x_m in keyframes.items():
            self.hub.put_keyframe(capture_ns, at(x_m), scale)

    @rule(capture_ns=INSTANTS, keyframe_ns=INSTANTS, x_m=METRES)
    def rehang(self, capture_ns: int, keyframe_ns: int, x_m: int) -> None:
        self.hub.rehang(capture_ns, keyframe_ns, at(x_m))

    @rule(scale=st.sampled_from([0.0, 2.0]))
    def replace_the_map(self, scale: float) -> None:
        self.hub.restart(self.hub.epoch + 1, scale)

    @rule(who=SUBSCRIBERS, limit=LIMITS)
    def send(self, who: int, limit: int) -> None:
        self.subscribers[who].take(limit)

    @rule(who=SUBSCRIBERS)
    def send_status(self, who: int) -> None:
        self.subscribers[who].tell_status()

    @rule(who=SUBSCRIBERS)
    def receive(self, who: int) -> None:
        self.subscribers[who].receive()

    @rule(who=SUBSCRIBERS)
    def lose_the_connection(self, who: int) -> None:
        self.subscribers[who].reconnect()

    @rule(who=SUBSCRIBERS)
    def start_over_from_nothing(self, who: int) -> None:
        self.subscribers[who].map = Map(LAYERS)
        self.subscribers[who].reconnect()

    @invariant()
    def frames_of_keyframes_are_keyframes(self) -> None:
        for row in self.hub.poses:
            assert row.keyframe or self.hub.keyframes.get(row.capture_ns) is None

    def teardown(self) -> None:
        """Whatever happened: once everything pending is sent, every path is the hub's."""
        self.hub.put_keyframe(77, at(7), 1.0)  # so that even an emptied epoch is announced
        for subscriber in self.subscribers:
            while subscriber.take(3):
                pass
            subscriber.tell_status()
            while subscriber.in_flight:
                subscriber.receive()
            assert subscriber.map.trajectory == self.hub.path()
            assert subscriber.map.keyframes == sorted(self.hub.keyframes, key=_instant)
            assert subscriber.map.complete_through == self.hub.revision


def _instant(row: object) -> int:
    return row.capture_ns


TestInterleavings = Interleavings.TestCase
TestInterleavings.settings = settings(max_examples=150, stateful_step_count=40, deadline=None)


def test_a_correction_costs_a_row_for_each_keyframe_and_a_slow_reader_gets_only_the_last() -> None:
    hub = Hub(epoch=1)
    for frame in range(1000):
        hub.append_pose(
            frame, frame, at(frame), "tracking", False, frame // 10 * 10, at(frame % 10)
        )
    cursor = hub.join(since=hub.revision, epoch=1)
    for shift_m in (0.5, 1.0, 2.0):
        for keyframe_ns in range(0, 1000, 10):
            hub.put_keyframe(keyframe_ns, at(keyframe_ns + shift_m), 1.0)
    batch = hub.take_keyframes(cursor)
    assert batch is not None
    assert len(batch.rows) == 100
    assert batch.complete_through == hub.revision
    assert {row.world_from_keyframe[0] - row.capture_ns for row in batch.rows} == {2.0}
    told = hub.take_poses(cursor)
    assert told is not None
    assert len(told.rows) == 100  # those that turned out to be keyframes
    assert hub.path()[537].world_from_camera == pytest.approx(at(539))


def test_poses_that_are_known_are_nobodys_news() -> None:
    hub = Hub(epoch=1)
    hub.append_pose(0, 5, at(1), "tracking", False, 5, at(0))
    hub.put_keyframe(5, at(1), 1.0)
    revision = hub.revision
    hub.put_keyframe(5, at(1), 1.0)
    hub.rehang(5, 5, at(0))
    hub.rehang(6, 5, at(0))
    assert hub.revision == revision


def test_memory_of_the_path_is_that_of_frames_and_keyframes_however_often_they_move() -> None:
    hub = Hub(epoch=1)
    for frame in range(100):
        hub.append_pose(frame, frame, at(frame), "tracking", False, 0, at(frame))
    for round_ in range(200):
        for frame in range(100):
            hub.rehang(frame, 0, at(frame + round_ + 1))
        for keyframe in range(0, 100, 10):
            hub.put_keyframe(keyframe, at(round_), 1.0)
    assert (len(hub.poses), len(hub.keyframes)) == (100, 10)
    assert hub.poses.stored <= 300
    assert hub.keyframes.stored <= 100
