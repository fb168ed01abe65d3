"""Who owns world poses: the keyframes' poses, and every frame's pose relative to a keyframe."""

from bisect import bisect_left, bisect_right
from collections.abc import Mapping

import numpy as np

from mapcast_client.errors import InputError
from slam.geometry import Mat4, inverse
from slam.tracker import TrackedFrame
from slam.trajectory import Trajectory

UPRIGHT: Mat4 = np.array([[1, 0, 0, 0], [0, 0, 1, 0], [0, -1, 0, 0], [0, 0, 0, 1]], np.float64)
"""world_from_tracker when the first camera stands upright.

Its optical axes (x right, y down, z forward) become the world's (x right, y forward, z up).
"""
UPRIGHT.flags.writeable = False


class PoseGraph:
    """Keyframe poses as the tracker last told them, and the frames that hang on them.

    A frame hangs on its reference keyframe, the latest one not later than it, by the relative
    pose of the moment when it was tracked. When the keyframe moves, the frame moves.
    """

    def __init__(self, world_from_tracker: Mat4) -> None:
        self._world_from_tracker = world_from_tracker
        self._keyframes: Mapping[int, Mat4] = {}
        self._keyframe_times_ns: list[int] = []
        self._removed: dict[int, tuple[int, Mat4]] = {}
        self._times_ns: list[int] = []
        self._references_ns: list[int] = []
        self._reference_from_camera: list[Mat4] = []

    def update(self, keyframes: Mapping[int, Mat4]) -> None:
        """Replace all keyframe poses: capture_ns → tracker_from_keyframe.

        A keyframe that is no longer among them hangs on its predecessor from now on, and takes
        the frames that hang on it along.
        """
        if keyframes is self._keyframes or not keyframes:
            return
        staying_ns = sorted(self._keyframes.keys() & keyframes.keys())
        for removed_ns in self._keyframes.keys() - keyframes.keys():
            self._hang_removed(removed_ns, staying_ns)
        self._keyframes = keyframes
        self._keyframe_times_ns = sorted(keyframes)

    def add(self, index: int, capture_ns: int, tracked: TrackedFrame) -> Mat4:
        """Hang a tracked frame, which has a pose, on the keyframes it came with.

        Returns world_from_camera. Frames come in the order of time.
        """
        assert tracked.tracker_from_camera is not None, f"frame {index} has no pose"
        assert not self._times_ns or capture_ns > self._times_ns[-1], f"frame {index} is not later"
        self.update(tracked.keyframes)
        reference_ns = _latest(self._keyframe_times_ns, capture_ns)
        self._times_ns.append(capture_ns)
        self._references_ns.append(reference_ns)
        self._reference_from_camera.append(
            inverse(self._keyframes[reference_ns]) @ tracked.tracker_from_camera
        )
        return self._world_from_tracker @ tracked.tracker_from_camera

    def world_from_camera(self, capture_ns: int) -> Mat4:
        """The pose of the frame of an instant as it stands now. Raises InputError if unknown."""
        row = bisect_left(self._times_ns, capture_ns)
        if row == len(self._times_ns) or self._times_ns[row] != capture_ns:
            raise InputError(f"no frame of capture_ns {capture_ns} has a pose")
        reference = self._tracker_from_keyframe(self._references_ns[row])
        return self._world_from_tracker @ reference @ self._reference_from_camera[row]

    def trajectory(self) -> Trajectory:
        """The path of all frames added, as it stands now."""
        references = {
            reference_ns: self._world_from_tracker @ self._tracker_from_keyframe(reference_ns)
            for reference_ns in set(self._references_ns)
        }
        poses = [
            references[reference_ns] @ reference_from_camera
            for reference_ns, reference_from_camera in zip(
                self._references_ns, self._reference_from_camera, strict=True
            )
        ]
        return Trajectory(
            np.array(self._times_ns, np.int64), np.array(poses, np.float64).reshape(-1, 4, 4)
        )

    def _hang_removed(self, removed_ns: int, staying_ns: list[int]) -> None:
        """Hang a culled keyframe on one that stays, by where both were while it was there."""
        assert staying_ns, "two keyframe sets of one map have keyframes in common"
        parent_ns = _latest(staying_ns, removed_ns)
        parent_from_removed = inverse(self._keyframes[parent_ns]) @ self._keyframes[removed_ns]
        self._removed[removed_ns] = (parent_ns, parent_from_removed)

    def _tracker_from_keyframe(self, keyframe_ns: int) -> Mat4:
        """Where a keyframe is, or was taken by those it hangs on."""
        root_from_keyframe = np.eye(4)
        while keyframe_ns not in self._keyframes:
            keyframe_ns, parent_from_keyframe = self._removed[keyframe_ns]
            root_from_keyframe = parent_from_keyframe @ root_from_keyframe
        return self._keyframes[keyframe_ns] @ root_from_keyframe


def _latest(times_ns: list[int], not_after_ns: int) -> int:
    """The latest of some sorted instants that is not after another; the first if all are."""
    return times_ns[max(bisect_right(times_ns, not_after_ns) - 1, 0)]
