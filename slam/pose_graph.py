"""Who owns world poses: the keyframes' poses, and every frame's pose relative to a keyframe."""

from bisect import bisect_left, bisect_right
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

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

    def __init__(self, world_from_tracker: Mat4, metres_per_unit: float = 1.0) -> None:
        """Map tracker coordinates, scaled by `metres_per_unit`, into the world.

        Every keyframe has this scale.
        """
        self._world_from_tracker = world_from_tracker
        self._metres_per_unit = metres_per_unit
        self._keyframes: Mapping[int, Mat4] = {}
        self._keyframe_times_ns: list[int] = []
        self._removed: dict[int, tuple[int, Mat4]] = {}
        self._times_ns: list[int] = []
        self._references_ns: list[int] = []
        self._reference_from_camera: list[Mat4] = []

    def update(self, keyframes: Mapping[int, Mat4]) -> None:
        """Replace all keyframe poses: capture_ns → tracker_from_keyframe.

        A keyframe that is new takes over its own frame and those since, which had to hang on an
        earlier one. A keyframe that is gone hangs on an earlier one from now on, and takes the
        frames that hang on it along.
        """
        if keyframes is self._keyframes or not keyframes:
            return
        # The latest first: where its frame is, an earlier new one could not tell yet.
        for new_ns in sorted(keyframes.keys() - self._keyframes.keys(), reverse=True):
            self._take_over_frames(new_ns)
        staying_ns = sorted(self._keyframes.keys() & keyframes.keys())
        for removed_ns in self._keyframes.keys() - keyframes.keys():
            self._hang_removed(removed_ns, staying_ns)
        self._keyframes = keyframes
        self._keyframe_times_ns = sorted(keyframes)

    def place(self, capture_ns: int, tracked: TrackedFrame) -> Mat4:
        """Say where a tracked frame, which has a pose, is in the world, without adding it."""
        self.update(tracked.keyframes)
        reference_ns, reference_from_camera = self._hang(capture_ns, tracked)
        return self._world_from(self._keyframes[reference_ns] @ reference_from_camera)

    def add(self, index: int, capture_ns: int, tracked: TrackedFrame) -> None:
        """Hang a tracked frame, which has a pose, on the keyframes it came with.

        Frames come in the order of time.
        """
        assert not self._times_ns or capture_ns > self._times_ns[-1], f"frame {index} is not later"
        self.update(tracked.keyframes)
        reference_ns, reference_from_camera = self._hang(capture_ns, tracked)
        self._times_ns.append(capture_ns)
        self._references_ns.append(reference_ns)
        self._reference_from_camera.append(reference_from_camera)

    def world_from_camera(self, capture_ns: int) -> Mat4:
        """The pose of the frame of an instant as it stands now. Raises InputError if unknown."""
        row = bisect_left(self._times_ns, capture_ns)
        if row == len(self._times_ns) or self._times_ns[row] != capture_ns:
            raise InputError(f"no frame of capture_ns {capture_ns} has a pose")
        return self._world_from(self._tracker_from_row(row))

    def rescale(self, metres_per_unit: float) -> None:
        """Scale the world about the tracker's origin, all frames with it."""
        self._metres_per_unit = metres_per_unit

    def points_world(self, points_tracker: NDArray[np.float32]) -> NDArray[np.float32]:
        """(N, 3) points in the world."""
        points_m = points_tracker * self._metres_per_unit
        points_world = points_m @ self._world_from_tracker[:3, :3].T
        return (points_world + self._world_from_tracker[:3, 3]).astype(np.float32)

    def trajectory(self) -> Trajectory:
        """The path of all frames added, as it stands now."""
        references = {
            reference_ns: self._tracker_from_keyframe(reference_ns)
            for reference_ns in set(self._references_ns)
        }
        poses = [
            self._world_from(references[reference_ns] @ reference_from_camera)
            for reference_ns, reference_from_camera in zip(
                self._references_ns, self._reference_from_camera, strict=True
            )
        ]
        return Trajectory(
            np.array(self._times_ns, np.int64), np.array(poses, np.float64).reshape(-1, 4, 4)
        )

    def _world_from(self, tracker_from_source: Mat4) -> Mat4:
        scaled = tracker_from_source.copy()
        scaled[:3, 3] *= self._metres_per_unit
        return self._world_from_tracker @ scaled

    def _take_over_frames(self, keyframe_ns: int) -> None:
        """Hang a new keyframe's own frame, and those since, on it as they were tracked."""
        first = bisect_left(self._times_ns, keyframe_ns)
        if self._times_ns[first : first + 1] != [keyframe_ns]:
            return
        keyframe_from_tracker = inverse(self._tracker_from_row(first))
        for row in range(first, len(self._times_ns)):
            if self._references_ns[row] >= keyframe_ns:
                break
            self._reference_from_camera[row] = keyframe_from_tracker @ self._tracker_from_row(row)
            self._references_ns[row] = keyframe_ns

    def _tracker_from_row(self, row: int) -> Mat4:
        reference = self._tracker_from_keyframe(self._references_ns[row])
        return reference @ self._reference_from_camera[row]

    def _hang(self, capture_ns: int, tracked: TrackedFrame) -> tuple[int, Mat4]:
        """The reference keyframe of a frame, and reference_from_camera."""
        assert tracked.tracker_from_camera is not None, "the frame has no pose"
        reference_ns = _latest(self._keyframe_times_ns, capture_ns)
        if reference_ns == capture_ns:
            return reference_ns, np.eye(4)
        return reference_ns, inverse(self._keyframes[reference_ns]) @ tracked.tracker_from_camera

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
