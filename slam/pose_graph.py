"""Who owns world poses: the keyframes' poses, and every frame's pose relative to a keyframe."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from slam.constraint import Constraint
from slam.geometry import Mat4, inverse
from slam.growing_rows import GrowingRows
from slam.pose_graph_changes import FrameHang, GraphChanges, KeyframePose
from slam.pose_graph_constraints import Constraints
from slam.pose_graph_correction import Correction
from slam.pose_graph_frames import FRAME_ROW, FrameTable
from slam.pose_graph_keyframes import KEYFRAME_ROW, KeyframeTable
from slam.pose_graph_odom import ContinuousPath
from slam.pose_graph_polls import Polls
from slam.pose_graph_segments import Segment, segments_from, segments_state
from slam.pose_graph_state import checked, joined, part
from slam.tracker import TrackedFrame
from slam.trajectory import Trajectory

UPRIGHT: Mat4 = np.array([[1, 0, 0, 0], [0, 0, 1, 0], [0, -1, 0, 0], [0, 0, 0, 1]], np.float64)
"""world_from_tracker when the first camera stands upright.

Its optical axes (x right, y down, z forward) become the world's (x right, y forward, z up).
"""
UPRIGHT.flags.writeable = False

_TOLD = 1e-3
"""Metres, radians and relative scale: keyframes that moved by less are not told again."""


class PoseGraph:
    """Where keyframes are in the world, and the frames that hang on them.

    A frame hangs on its reference keyframe, the latest one not later than it, by the relative
    pose of the moment when it was tracked. When the keyframe moves, the frame moves.

    As long as nobody but the tracker has measured anything, keyframes are where the tracker last
    said. With constraints of others they are where all that is known about pairs of them says:
    see `Correction`.
    """

    def __init__(
        self, world_from_tracker: Mat4, metres_per_unit: float = 1.0, scale_drifts: bool = False
    ) -> None:
        """Map tracker coordinates, scaled by `metres_per_unit`, into the world.

        `scale_drifts`: the tracker sees no metric depth, so that each keyframe has a scale.
        """
        self._segments = [Segment(world_from_tracker, metres_per_unit)]
        self._scale_drifts = scale_drifts
        self._keyframes = KeyframeTable()
        self._frames = FrameTable()
        self._correction = Correction(self._keyframes, self._segments, scale_drifts)
        self._path = ContinuousPath()
        self._polls = self._new_polls()
        self._revision = 0
        self._listed_revision = 0
        self._listed: Mapping[int, KeyframePose] = MappingProxyType({})

    @property
    def revision(self) -> int:
        """Grows whenever a keyframe moved or is new, or a frame hangs on another one."""
        return self._revision

    @property
    def is_settled(self) -> bool:
        """Whether keyframes are where all constraints taken say; else `advance` has to do."""
        return self._correction.is_settled

    def update(self, keyframes: Mapping[int, Mat4]) -> None:
        """Replace all keyframe poses: capture_ns → tracker_from_keyframe.

        A keyframe that is new takes over its own frame and those since, which had to hang on an
        earlier one. A keyframe that is gone hangs on an earlier one from now on, and takes the
        frames that hang on it along. Where there are constraints, this begins to solve for all.
        """
        if self._polls.is_new(keyframes):
            self._revision += 1
            self._polls.take(keyframes, self._revision)
            self.advance()

    @property
    def rejected(self) -> list[tuple[str, int, int]]:
        """Constraints that all others contradict: source, and capture_ns of both keyframes."""
        return self._correction.rejected

    def constrain(self, constraints: Iterable[Constraint]) -> None:
        """Take what others measured; one of the same pair and source replaces the earlier.

        Those of keyframes that the graph does not know are left out. Takes effect in `advance`.
        """
        self._correction.constrain(constraints)

    def advance(self) -> bool:
        """Do about 5 ms of work on a solution, if any is due; whether that moved keyframes."""
        has_moved = self._correction.advance()
        self._revision += has_moved
        return has_moved

    def settle(self) -> bool:
        """Solve for all that is known, to the end; whether that moved keyframes."""
        has_moved = self._correction.settle()
        self._revision += has_moved
        return has_moved

    def begin_segment(self, world_from_tracker: Mat4, metres_per_unit: float = 1.0) -> None:
        """Go on with another tracker, which lies there in the world as it is now.

        Keyframes so far stay, tied to each other as they were last; constraints between them and
        those to come move the latter.
        """
        live = self._keyframes.live()
        segment = Segment(world_from_tracker, metres_per_unit)
        if len(live):
            anchor = int(live[-1])
            segment = replace(
                segment,
                anchor=anchor,
                anchor_from_tracker=self._keyframes.hang(anchor, world_from_tracker),
                anchor_scale=float(self._keyframes.rows["scale"][anchor]),
            )
        self._segments.append(segment)
        self._polls = self._new_polls()

    def recall(self, keyframes: Mapping[int, KeyframePose]) -> None:
        """Put keyframes where another process had them last; those that are not known are left out.

        It may have solved for constraints that this graph never had: what ties the keyframes to
        each other is how they lie now.
        """
        known = {
            ns: pose for ns, pose in keyframes.items() if self._keyframes.row_of(ns) is not None
        }
        if not known:
            return
        rows = self._keyframes.rows_of(list(known))
        poses = np.array([pose.world_from_keyframe for pose in known.values()])
        self._keyframes.place(rows, poses, np.array([pose.scale for pose in known.values()]))
        table = self._keyframes.rows
        for row, pose in zip(rows.tolist(), poses, strict=True):
            segment = self._segments[int(table["segment"][row])]
            table["segment_from_keyframe"][row] = inverse(segment.world_from_tracker) @ pose
        self._restart_correction()
        self._revision += 1

    def place(self, capture_ns: int, tracked: TrackedFrame) -> Mat4:
        """Say where a tracked frame, which has a pose, is in the world, without adding it."""
        self.update(tracked.keyframes)
        row, keyframe_from_camera = self._polls.hang(capture_ns, tracked)
        return self._world_from(row, keyframe_from_camera)

    def add(
        self,
        index: int,
        capture_ns: int,
        tracked: TrackedFrame,
        world_from_camera: Mat4 | None = None,
        found_on_ns: int | None = None,
    ) -> None:
        """Hang a tracked frame on the keyframes it came with. Frames come in the order of time.

        `world_from_camera`: where it was found in the map, instead of where the tracker says, if
        that knows; `found_on_ns`: the keyframe whose surface it was found on. It hangs on that
        then: its own keyframe is yet to move because of what was found.
        """
        newest_ns = self._frames.newest_ns
        assert newest_ns is None or capture_ns > newest_ns, f"frame {index} is not later"
        self.update(tracked.keyframes)
        by_tracker = None
        if tracked.tracker_from_camera is not None:
            by_tracker = self._polls.hang(capture_ns, tracked)
        row, keyframe_from_camera = by_tracker or (self._polls.latest(capture_ns), None)
        if world_from_camera is not None:
            found_on = None if found_on_ns is None else self._keyframes.row_of(found_on_ns)
            row = row if found_on is None else found_on
            keyframe_from_camera = self._keyframes.hang(row, world_from_camera)
        assert keyframe_from_camera is not None, f"frame {index} has no pose"
        hung_on = (row, keyframe_from_camera)
        self._path.go_on(self._keyframes, self._frames, by_tracker, hung_on)
        self._frames.add(capture_ns, row, keyframe_from_camera, world_from_camera is not None)

    def world_from_camera(self, capture_ns: int) -> Mat4:
        """The pose of the frame of an instant as it stands now. Raises InputError if unknown."""
        frame = self._frames.rows[self._frames.row_of(capture_ns)]
        return self._world_from(int(frame["keyframe"]), frame["keyframe_from_camera"])

    def world_from_cameras(
        self, capture_ns: NDArray[np.int64]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """(N, 4, 4) poses and (N,) scales of frames as they stand now: as of one, but faster.

        Raises InputError if one is unknown.
        """
        frames = self._frames.rows[self._frames.rows_of(capture_ns)]
        rows = frames["keyframe"]
        poses = self._keyframes.hung(rows, frames["keyframe_from_camera"])
        return poses, self._keyframes.rows["scale"][rows]

    def scale_of(self, capture_ns: int) -> float:
        """What lengths seen by a frame are multiplied by: its keyframe's scale.

        1 unless the map is monocular. Raises InputError if the frame is unknown.
        """
        row = self._frames.rows["keyframe"][self._frames.row_of(capture_ns)]
        return float(self._keyframes.rows["scale"][row])

    def hang_of(self, capture_ns: int) -> FrameHang:
        """What the frame of an instant hangs on. Raises InputError if unknown."""
        return self._hang_of_row(self._frames.row_of(capture_ns))

    def keyframes(self) -> Mapping[int, KeyframePose]:
        """capture_ns → pose of every keyframe, culled ones too, in the order of time.

        The same mapping is returned until the revision is another.
        """
        if self._listed_revision != self._revision:
            self._listed_revision = self._revision
            rows = self._keyframes.rows
            rows = rows[np.argsort(rows["capture_ns"])]
            self._listed = MappingProxyType(
                dict(
                    zip(
                        rows["capture_ns"].tolist(),
                        map(KeyframePose, rows["world_from_keyframe"], rows["scale"].tolist()),
                        strict=True,
                    )
                )
            )
        return self._listed

    @property
    def odom_from_camera(self) -> Mat4:
        """Where the last frame is on a path that never jumps at a correction (ROS REP-105).

        The path begins where the first frame is in the world.
        """
        return self._path.odom_from_camera

    def trajectory(self) -> Trajectory:
        """The path of all frames added, as it stands now."""
        frames = self._frames.rows
        poses = self._keyframes.hung(frames["keyframe"], frames["keyframe_from_camera"])
        return Trajectory(frames["capture_ns"].copy(), poses)

    def changes(self, since_revision: int, exact: bool = False) -> GraphChanges:
        """What to tell somebody who was told up to a revision; 0: nothing.

        Moves of less than a millimetre and milliradian in all are left out unless `exact`.
        """
        if exact or since_revision != self._revision:
            has_news = self._keyframes.tell(self._revision + exact, 0.0 if exact else _TOLD)
            self._revision += exact and has_news
        keyframes = self._keyframes.rows
        frames = self._frames.rehung_since(since_revision)
        return GraphChanges(
            self._revision,
            {
                int(row["capture_ns"]): KeyframePose(
                    row["told_world_from_keyframe"].copy(), float(row["told_scale"])
                )
                for row in keyframes[keyframes["told_revision"] > since_revision]
            },
            {
                int(self._frames.rows["capture_ns"][row]): self._hang_of_row(row)
                for row in frames.tolist()
            },
        )

    def rescale(self, metres_per_unit: float) -> None:
        """Scale the world about the tracker's origin, all frames with it."""
        segment = self._segments[-1]
        factor = metres_per_unit / segment.metres_per_unit
        centre_world = segment.world_from_tracker[:3, 3]
        self._segments[:] = [each.rescaled(factor, centre_world) for each in self._segments]
        self._keyframes.rescale(factor, centre_world)
        self._frames.rescale(factor)
        self._correction.constraints.rescale(factor)
        self._restart_correction()
        self._revision += 1

    def points_world(self, points_tracker: NDArray[np.float32]) -> NDArray[np.float32]:
        """(N, 3) points that the newest keyframe sees, too, in the world."""
        world_from_points, scale = self._polls.world_from_segment()
        points_m = points_tracker * (self._segments[-1].metres_per_unit * scale)
        points_world = points_m @ world_from_points[:3, :3].T
        return (points_world + world_from_points[:3, 3]).astype(np.float32)

    def state(self) -> dict[str, NDArray[Any]]:
        """All of the graph, as arrays."""
        return joined(
            {
                "keyframes": self._keyframes.table.columns(),
                "frames": self._frames.table.columns(),
                "segments": segments_state(self._segments),
                "constraints": self._correction.constraints.columns(),
                "graph": {
                    "loops": np.array(self._correction.loops, np.int64).reshape(-1, 2),
                    "odom_from_camera": self._path.state(),
                    "revision": np.array(self._revision, np.int64),
                    "scale_drifts": np.array(self._scale_drifts),
                },
            }
        )

    @classmethod
    def from_state(cls, state: Mapping[str, NDArray[Any]]) -> Self:
        """Invert `state`; `begin_segment` has to follow before frames of a tracker come.

        Raises InputError if something is missing or of another shape.
        """
        graph = cls(np.eye(4), scale_drifts=bool(checked(state, "graph.scale_drifts", (), bool)))
        graph._segments = segments_from(part(state, "segments"))
        graph._keyframes = KeyframeTable(
            GrowingRows.from_columns(KEYFRAME_ROW, part(state, "keyframes"))
        )
        graph._frames = FrameTable(GrowingRows.from_columns(FRAME_ROW, part(state, "frames")))
        graph._path = ContinuousPath(checked(state, "graph.odom_from_camera", (-1, 4, 4), float))
        graph._revision = int(checked(state, "graph.revision", (), np.int64))
        graph._correction.constraints = Constraints.from_columns(part(state, "constraints"))
        graph._correction.loops = checked(state, "graph.loops", (-1, 2), np.int64).tolist()
        graph._listed_revision = -1
        graph._restart_correction()
        return graph

    def _world_from(self, row: int, keyframe_from_camera: Mat4) -> Mat4:
        return np.asarray(self._keyframes.hung(np.array([row]), keyframe_from_camera[None])[0])

    def _hang_of_row(self, row: int) -> FrameHang:
        frame = self._frames.rows[row]
        keyframe_ns = int(self._keyframes.rows["capture_ns"][frame["keyframe"]])
        return FrameHang(keyframe_ns, frame["keyframe_from_camera"].copy())

    def _restart_correction(self) -> None:
        self._correction = Correction(
            self._keyframes,
            self._segments,
            self._scale_drifts,
            self._correction.constraints,
            self._correction.loops,
        )
        self._polls = self._new_polls()

    def _new_polls(self) -> Polls:
        return Polls(self._keyframes, self._frames, self._segments, self._correction)
