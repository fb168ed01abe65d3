"""Takes a tracker's polls of its keyframes into the tables of a pose graph."""

from bisect import bisect_right
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from slam.geometry import Mat4, inverse
from slam.pose_graph_correction import Correction
from slam.pose_graph_frames import FrameTable
from slam.pose_graph_keyframes import KeyframeTable
from slam.pose_graph_segments import Segment
from slam.similarity import hang, hung, scaled
from slam.tracker import TrackedFrame

_NO_KEYFRAMES: Mapping[int, Mat4] = {}


class Polls:
    """The keyframes that the present tracker has, and what its frames hang on."""

    def __init__(
        self,
        keyframes: KeyframeTable,
        frames: FrameTable,
        segments: Sequence[Segment],
        correction: Correction,
    ) -> None:
        """Go on in the last of `segments`."""
        self._keyframes, self._frames = keyframes, frames
        self._segments, self._correction = segments, correction
        self._latest_poll = _NO_KEYFRAMES
        self._note_live()

    def is_new(self, keyframes: Mapping[int, Mat4]) -> bool:
        """Whether a poll says anything that the one before did not."""
        return keyframes is not self._latest_poll and bool(keyframes)

    def take(self, keyframes: Mapping[int, Mat4], revision: int) -> None:
        """Replace all poses: capture_ns → tracker_from_keyframe. `revision`: of what changes."""
        self._latest_poll = keyframes
        instants, segment_from_keyframe = self._of_this_segment(keyframes)
        if not instants:
            return
        was_live = self._live
        revived = self._take_in(instants, revision)
        rows = self._keyframes.rows_of(instants)
        gone, has_stayed = np.setdiff1d(was_live, rows), np.isin(rows, was_live)
        for row in gone.tolist():
            self._cull(row, rows[has_stayed])
        segment_from_keyframes = self._keyframes.rows["segment_from_keyframe"]
        before = segment_from_keyframes[rows[has_stayed]]
        self._correction.note_loops(rows[has_stayed], before, segment_from_keyframe[has_stayed])
        segment_from_keyframes[rows] = segment_from_keyframe
        if self._correction.is_active:
            self._correction.follow([*gone.tolist(), *revived])
        else:
            world_from_tracker = self._segments[-1].world_from_tracker
            self._keyframes.place(rows, world_from_tracker @ segment_from_keyframe, 1.0)
        self._note_live()

    def hang(self, capture_ns: int, tracked: TrackedFrame) -> tuple[int, Mat4]:
        """The row of what a frame hangs on, and keyframe_from_camera, as the tracker says."""
        assert tracked.tracker_from_camera is not None, "the frame has no pose"
        segment, row = self._segments[-1], self.latest(capture_ns)
        segment_from_camera = scaled(tracked.tracker_from_camera, segment.metres_per_unit)
        if not self._live_ns:
            world_from_camera, _ = segment.place(self._keyframes, segment_from_camera)
            return row, self._keyframes.hang(row, world_from_camera)
        keyframe = self._keyframes.rows[row]
        if keyframe["capture_ns"] == capture_ns:
            return row, np.eye(4)
        return row, inverse(keyframe["segment_from_keyframe"]) @ segment_from_camera

    def latest(self, capture_ns: int) -> int:
        """The row of the tracker's latest keyframe not after an instant, or of its first.

        As long as the tracker has none, the latest of all.
        """
        if self._live_ns:
            return int(self._live[max(bisect_right(self._live_ns, capture_ns) - 1, 0)])
        live = self._keyframes.live()
        assert len(live), "there is no keyframe to hang a frame on"
        return int(live[-1])

    def world_from_segment(self) -> tuple[Mat4, float]:
        """Where the tracker's coordinates lie by its newest keyframe, and how long their metre."""
        if not (self._correction.is_active and self._live_ns):
            return self._segments[-1].world_from_tracker, 1.0
        newest = self._keyframes.rows[self._live[-1]]
        scale = float(newest["scale"])
        keyframe_from_segment = inverse(newest["segment_from_keyframe"])
        return hung(newest["world_from_keyframe"], scale, keyframe_from_segment), scale

    def _of_this_segment(self, keyframes: Mapping[int, Mat4]) -> tuple[list[int], Mat4]:
        """The instants of keyframes in the order of time, and their poses in metres.

        A tracker that was given frames which the one before had, too, may choose the same ones;
        these are known already.
        """
        rows, number = self._keyframes.rows, len(self._segments) - 1
        instants = [
            capture_ns
            for capture_ns in sorted(keyframes)
            if (row := self._keyframes.row_of(capture_ns)) is None or rows["segment"][row] == number
        ]
        poses = np.array([keyframes[instant] for instant in instants]).reshape(-1, 4, 4)
        return instants, scaled(poses, self._segments[-1].metres_per_unit)

    def _take_in(self, instants: list[int], revision: int) -> list[int]:
        """Add the keyframes that are new, and hang frames on them.

        Returns the rows of keyframes that had been culled and are back.
        """
        is_culled = (self._keyframes.rows["parent"] >= 0).tolist()
        new: list[tuple[int, int, int | None]] = []
        revived: list[int] = []
        for capture_ns, until_ns in zip(instants, [*instants[1:], None], strict=True):
            row = self._keyframes.row_of(capture_ns)
            if row is None:
                row = self._keyframes.add(capture_ns, len(self._segments) - 1)
                new.append((row, capture_ns, until_ns))
            elif is_culled[row]:
                self._keyframes.revive(row)
                revived.append(row)
        # The latest first: where its frame is, an earlier new one could not tell yet.
        for keyframe in reversed(new):
            self._take_over_frames(*keyframe, revision)
        return revived

    def _take_over_frames(
        self, keyframe: int, keyframe_ns: int, until_ns: int | None, revision: int
    ) -> None:
        """Hang a new keyframe's own frame, and those since, on it as they were tracked."""
        first, is_own = self._frames.since(keyframe_ns)
        frames = self._frames.rows
        if not is_own or frames["is_found"][first]:
            return
        end = len(frames) if until_ns is None else self._frames.since(until_ns)[0]
        taken = first + np.flatnonzero(~frames["is_found"][first:end])
        references = frames["keyframe"][taken]
        world_from_camera = self._keyframes.hung(references, frames["keyframe_from_camera"][taken])
        scale = self._keyframes.rows["scale"][references]
        hangs = hang(world_from_camera[0], scale, world_from_camera)
        hangs[0] = np.eye(4)
        self._frames.rehang(taken, keyframe, hangs, revision)

    def _cull(self, row: int, stayed: NDArray[np.int64]) -> None:
        """Hang a keyframe that is gone on the latest before it that stayed."""
        assert len(stayed), "two keyframe sets of one map have keyframes in common"
        instants = self._keyframes.rows["capture_ns"]
        latest = int(np.searchsorted(instants[stayed], instants[row])) - 1
        self._keyframes.cull(row, int(stayed[max(latest, 0)]))
        self._correction.drop(row)

    def _note_live(self) -> None:
        self._live = self._keyframes.live(len(self._segments) - 1)
        self._live_ns = self._keyframes.rows["capture_ns"][self._live].tolist()
