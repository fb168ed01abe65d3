"""A worker tells moves that can be seen at a steady rate, and every last one in a pause."""

import numpy as np
import pytest

from mapcast_client.v1 import ingest_pb2
from slam.geometry import Mat4, rigid
from slam.pose_graph import PoseGraph
from slam.tracker import TrackedFrame, TrackingState
from stream import worker_pb2
from stream.corrections import CorrectionPublisher

SLOWEST_HZ = 1e-9
"""After the first, no other is due."""
FASTEST_HZ = 1e9


def at(x_m: float) -> Mat4:
    return rigid(np.eye(3), np.array([x_m, 0.0, 0.0]))


@pytest.fixture
def graph() -> PoseGraph:
    return PoseGraph(np.eye(4))


class Told:
    """What a publisher said."""

    def __init__(self) -> None:
        self.messages: list[ingest_pb2.Corrections] = []

    def send(self, message: worker_pb2.FromWorker) -> None:
        self.messages.append(message.corrections)

    def take(self) -> list[tuple[int, float]]:
        """Each keyframe told since the last call, and its x."""
        rows = [row for message in self.messages for row in message.keyframes]
        self.messages.clear()
        return [(row.capture_ns, round(row.world_from_keyframe.tx, 6)) for row in rows]


def track(graph: PoseGraph, capture_ns: int, keyframes: dict[int, float]) -> None:
    poses = {instant: at(x_m) for instant, x_m in keyframes.items()}
    tracked = TrackedFrame(TrackingState.TRACKING, at(capture_ns), keyframes=poses)
    graph.add(capture_ns, capture_ns, tracked)


def test_moves_too_small_to_be_seen_are_told_in_a_pause(graph: PoseGraph) -> None:
    told = Told()
    publisher = CorrectionPublisher(told.send, FASTEST_HZ)
    track(graph, 1, {1: 0.0})
    publisher.tracked(graph, 3)
    assert told.take() == [(1, 0.0)]
    track(graph, 2, {1: 0.0004})
    publisher.tracked(graph, 3)
    assert told.take() == []
    publisher.flush(graph, 3)
    assert told.take() == [(1, 0.0004)]
    publisher.flush(graph, 3)
    assert told.messages == []


def test_between_two_tells_only_the_last_of_many_moves_is_told(graph: PoseGraph) -> None:
    told = Told()
    publisher = CorrectionPublisher(told.send, SLOWEST_HZ)
    for capture_ns in range(1, 10):
        track(graph, capture_ns, {1: 0.1 * capture_ns})
        publisher.tracked(graph, 3)
    assert told.take() == [(1, 0.1)]
    publisher.flush(graph, 3)
    assert told.take() == [(1, 0.9)]


def test_no_pause_while_frames_come(graph: PoseGraph, monkeypatch: pytest.MonkeyPatch) -> None:
    told = Told()
    now_s = 100.0
    monkeypatch.setattr("stream.corrections.time.perf_counter", lambda: now_s)
    publisher = CorrectionPublisher(told.send, 20.0)
    track(graph, 1, {1: 0.0})
    publisher.tracked(graph, 3)
    track(graph, 2, {1: 0.5})
    publisher.flush_if_idle(graph, 3)
    assert told.take() == [(1, 0.0)]
    now_s = 101.0
    publisher.flush_if_idle(graph, 3)
    assert told.take() == [(1, 0.5)]
    track(graph, 3, {1: 0.75})  # as refinement moves it, many times a second
    publisher.flush_if_idle(graph, 3)
    assert told.take() == []
    now_s = 101.06
    publisher.flush_if_idle(graph, 3)
    assert told.take() == [(1, 0.75)]


def test_frames_that_hang_on_a_later_keyframe_are_told_once(graph: PoseGraph) -> None:
    told = Told()
    publisher = CorrectionPublisher(told.send, FASTEST_HZ)
    track(graph, 1, {1: 1.0})
    track(graph, 2, {1: 1.0})
    publisher.tracked(graph, 3)
    told.messages.clear()
    track(graph, 3, {1: 1.0, 2: 2.0})  # a late word: the second frame was a keyframe
    publisher.tracked(graph, 3)
    (message,) = told.messages
    assert message.epoch == 3
    assert [(row.capture_ns, row.keyframe_ns) for row in message.frames] == [(2, 2)]
    publisher.flush(graph, 3)
    assert not any(message.frames for message in told.messages[1:])


def test_a_new_epoch_begins_with_nothing_told(graph: PoseGraph) -> None:
    told = Told()
    publisher = CorrectionPublisher(told.send, FASTEST_HZ)
    track(graph, 1, {1: 0.25})
    publisher.flush(graph, 3)
    publisher.restart()
    publisher.flush(graph, 4)
    assert [message.epoch for message in told.messages] == [3, 4]
    assert told.take() == [(1, 0.25), (1, 0.25)]
