import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from slam.anchored import AnchoredTracker, Lesson, anchor_of
from slam.frame import Frame
from slam.geometry import inverse, rigid
from slam.tracker import TrackedFrame, TrackingState

COLOR = np.zeros((4, 4, 3), np.uint8)
PATH = [
    rigid(Rotation.from_rotvec([0, 0.05 * i, 0.01]).as_matrix(), np.array([0.1 * i, 0.02 * i, 0]))
    for i in range(12)
]
ANCHOR = rigid(Rotation.from_rotvec([0.3, -1.0, 2.0]).as_matrix(), np.array([4.0, -2.0, 1.0]))


def scaled(pose, scale):
    return rigid(pose[:3, :3], scale * pose[:3, 3])


def frame(index):
    return Frame(index, index * 100, COLOR)


class ScriptedTracker:
    """Says where PATH was, in its own coordinates; a young map is discarded at `discards`."""

    def __init__(self, scale: float = 1.0, discards: int | None = None) -> None:
        self._scale = scale
        self._discards = discards
        self._number = 0
        self.closed = False

    world_from_tracker = np.eye(4)

    def add_imu(self, samples):
        raise AssertionError("there are none")

    def track(self, frame):
        if frame.index == self._discards:
            self._number, self._discards = 1, None
        tracker_from_camera = scaled(inverse(ANCHOR) @ PATH[frame.index], 1 / self._scale)
        keyframes = {0: scaled(inverse(ANCHOR) @ PATH[0], 1 / self._scale)}
        points = np.array([[0.0, 0.0, 2.0]], np.float32) / np.float32(self._scale)
        return TrackedFrame(
            TrackingState.TRACKING,
            tracker_from_camera,
            keyframes=keyframes,
            points_tracker=points,
            map_number=self._number,
        )

    def close(self):
        self.closed = True


def lessons(count):
    return [Lesson(frame(index), PATH[index]) for index in range(count)]


@pytest.mark.parametrize("scale", [1.0, 2.5])
def test_it_tracks_in_the_world_it_was_taught(scale):
    tracker = AnchoredTracker(lambda: ScriptedTracker(scale), is_metric=scale == 1)
    assert tracker.teach(lessons(8))
    tracked = tracker.track(frame(9))
    np.testing.assert_allclose(tracked.tracker_from_camera, PATH[9], atol=1e-9)
    np.testing.assert_allclose(tracked.keyframes[0], PATH[0], atol=1e-9)
    point_world = (ANCHOR @ [0, 0, 2, 1])[:3]
    np.testing.assert_allclose(tracked.points_tracker[0], point_world, atol=1e-5)
    np.testing.assert_array_equal(tracker.world_from_tracker, np.eye(4))
    assert tracker.track(frame(10)).map_number == 0


def test_lessons_without_a_pose_are_shown_and_not_counted():
    tracker = AnchoredTracker(ScriptedTracker)
    unknown = [Lesson(frame(index)) for index in range(8)]
    assert not tracker.teach(unknown)
    tracked = tracker.track(frame(9))
    assert tracked.state is TrackingState.RESET
    assert tracked.tracker_from_camera is None
    assert not tracked.keyframes


def test_another_tracker_is_taught_when_the_map_inside_is_discarded():
    opened: list[ScriptedTracker] = []

    def open_tracker() -> ScriptedTracker:
        opened.append(ScriptedTracker(discards=None if opened else 9))
        return opened[-1]

    tracker = AnchoredTracker(open_tracker)
    tracker.teach(lessons(8))
    tracked = tracker.track(frame(9))
    assert [one.closed for one in opened] == [True, False]
    np.testing.assert_allclose(tracked.tracker_from_camera, PATH[9], atol=1e-9)
    assert tracked.map_number == 0


def test_a_map_that_the_lessons_were_not_in_tells_no_pose():
    tracker = AnchoredTracker(lambda: ScriptedTracker(discards=9))  # each of them, where taught
    tracker.teach(lessons(8))
    tracked = tracker.track(frame(9))
    assert tracked.state is TrackingState.RESET
    assert tracked.tracker_from_camera is None


def noisy(pose, rng) -> np.ndarray:
    turn = Rotation.from_rotvec(rng.normal(0, 0.01, 3)).as_matrix()
    return pose @ rigid(turn, rng.normal(0, 0.02, 3))


def anchor_error_m(count, rng):
    pairs = [(PATH[i % 12], inverse(ANCHOR) @ noisy(PATH[i % 12], rng)) for i in range(count)]
    anchor = anchor_of(pairs, is_metric=True)
    assert anchor is not None
    return np.linalg.norm(anchor.world_from_tracker[:3, 3] - ANCHOR[:3, 3])


def test_the_anchor_is_an_average():
    rng = np.random.default_rng(3)
    few = np.median([anchor_error_m(3, rng) for _ in range(20)])
    many = np.median([anchor_error_m(48, rng) for _ in range(20)])
    assert many < few / 2


def test_a_monocular_camera_at_rest_tells_no_scale():
    at_rest = [(PATH[0], PATH[0])] * 10
    assert anchor_of(at_rest, is_metric=False) is None
    anchor = anchor_of(at_rest, is_metric=True)
    assert anchor is not None
    np.testing.assert_allclose(anchor.world_from_tracker, np.eye(4), atol=1e-9)
