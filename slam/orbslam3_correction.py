"""Corrections of ORB-SLAM3's map between two frames, and which frames they have reached."""

from collections import deque
from collections.abc import Mapping, Sequence

from slam.geometry import Mat4, distance, inverse

_CORRECTION_MIN = 0.005
"""Metres plus radians; a smaller jump of the map cannot be told from the camera's own motion."""

_RECENT_FRAMES = 100
"""ORB-SLAM3 files a keyframe some frames after it was taken, seldom more than ten."""


class RecentPoses:
    """The poses of the frames since tracking began or was lost, in the map as it was polled."""

    def __init__(self) -> None:
        self._poses: deque[tuple[int, Mat4]] = deque(maxlen=_RECENT_FRAMES)

    def forget(self) -> None:
        """Begin anew: tracking was lost, or the map is another."""
        self._poses.clear()

    def correction(
        self, time_us: int, before: Mapping[int, Mat4], after: Mapping[int, Mat4]
    ) -> Mat4 | None:
        """after_from_before of the map at an instant, from two polls of its keyframes."""
        return correction_at(time_us, dict(self._poses) | dict(before), after)

    def add(self, time_us: int, tracker_from_camera: Mat4, correction: Mat4 | None) -> Mat4:
        """Take the next frame's pose; the map was corrected during it, or not. Returns the pose."""
        if correction is not None and self._poses:
            poses = [pose for _, pose in self._poses]
            tracker_from_camera = carried(tracker_from_camera, predicted(poses), correction)
            for row, (time_before_us, pose) in enumerate(self._poses):
                self._poses[row] = (time_before_us, correction @ pose)
        self._poses.append((time_us, tracker_from_camera))
        return tracker_from_camera


def correction_at(
    time_us: int, before: Mapping[int, Mat4], after: Mapping[int, Mat4]
) -> Mat4 | None:
    """after_from_before of the map at an instant's reference keyframe; None if it hardly moved.

    The reference is the latest keyframe not later than the instant. `before` has the keyframes of
    an earlier poll, and recent frames: a keyframe is filed later than it was tracked.
    """
    reference = max((key for key in after if key <= time_us), default=None)
    if reference is None or reference not in before:
        return None
    if distance(before[reference], after[reference]) <= _CORRECTION_MIN:
        return None
    return after[reference] @ inverse(before[reference])


def predicted(poses: Sequence[Mat4]) -> Mat4:
    """The next pose of a camera that moves on as it did between the last two."""
    if len(poses) < 2:
        return poses[-1]
    return poses[-1] @ inverse(poses[-2]) @ poses[-1]


def carried(tracker_from_camera: Mat4, expected: Mat4, after_from_before: Mat4) -> Mat4:
    """A frame's pose in the corrected map, when it may have been tracked just before or after.

    ORB-SLAM3's mapping thread corrects the map between two of our calls, and nothing says on
    which side of the frame; `expected`, in the map before, decides.
    """
    before = distance(expected, tracker_from_camera)
    after = distance(after_from_before @ expected, tracker_from_camera)
    return after_from_before @ tracker_from_camera if before < after else tracker_from_camera
