"""A path that never jumps: the frames' motions, one after the other (ROS REP-105's odom)."""

import numpy as np
from numpy.typing import NDArray

from slam.geometry import Mat4
from slam.pose_graph_frames import FrameTable
from slam.pose_graph_keyframes import KeyframeTable
from slam.similarity import inverses, scaled

Hang = tuple[int, Mat4]
"""A keyframe's row, and keyframe_from_camera."""


class ContinuousPath:
    """odom_from_camera: begins where the first frame is in the world, and drifts from there.

    Each frame's motion since the one before is taken as all is known when it comes. What a
    correction moves, moves both ends of it.
    """

    def __init__(self, poses: NDArray[np.float64] | None = None) -> None:
        """Go on from the `state` of another path."""
        self._odom_from_camera: Mat4 | None = (
            None if poses is None or not len(poses) else poses[0].copy()
        )
        self._by_tracker: Hang | None = None

    @property
    def odom_from_camera(self) -> Mat4:
        """Where the last frame is on it."""
        assert self._odom_from_camera is not None, "there is no frame yet"
        return self._odom_from_camera

    def state(self) -> NDArray[np.float64]:
        """(1, 4, 4) where it ends; (0, 4, 4) if it has not begun."""
        if self._odom_from_camera is None:
            return np.empty((0, 4, 4))
        return self._odom_from_camera[None].copy()

    def go_on(
        self, keyframes: KeyframeTable, frames: FrameTable, by_tracker: Hang | None, hung: Hang
    ) -> None:
        """Add the next frame, which is not in `frames` yet.

        `hung`: what it hangs on; `by_tracker`: what it would hang on if the tracker alone said.
        """
        before, self._by_tracker = self._by_tracker, by_tracker
        if self._odom_from_camera is None:
            self._odom_from_camera = _in_world(keyframes, hung)
        elif before is None or by_tracker is None or not _comparable(keyframes, before, by_tracker):
            last = frames.rows[-1]
            world_from_last = _in_world(
                keyframes, (int(last["keyframe"]), last["keyframe_from_camera"])
            )
            motion = inverses(world_from_last) @ _in_world(keyframes, hung)
            self._odom_from_camera = self._odom_from_camera @ motion
        else:
            motion = inverses(_in_segment(keyframes, before)) @ _in_segment(keyframes, by_tracker)
            scale = float(keyframes.rows["scale"][by_tracker[0]])
            self._odom_from_camera = self._odom_from_camera @ scaled(motion, scale)


def _comparable(keyframes: KeyframeTable, a: Hang, b: Hang) -> bool:
    segments = keyframes.rows["segment"]
    return bool(segments[a[0]] == segments[b[0]])


def _in_world(keyframes: KeyframeTable, hang: Hang) -> Mat4:
    return np.asarray(keyframes.hung(np.array([hang[0]]), hang[1][None])[0])


def _in_segment(keyframes: KeyframeTable, hang: Hang) -> Mat4:
    """In the tracker's coordinates, which know no correction but its own."""
    return np.asarray(keyframes.segment_from_keyframe(hang[0]) @ hang[1])
