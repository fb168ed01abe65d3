"""What each subscriber has yet to see: level-triggered, without sockets.

The hub keeps the latest row of every block, frame and keyframe; a cursor keeps which of them its
subscriber still lacks. Lost or skipped messages cost nothing but a later `take`.
"""

from collections.abc import Collection, Hashable, Iterable
from dataclasses import dataclass, replace
from typing import Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from mapcast_client.pose_rows import IDENTITY, KeyframeRow, PoseVector, TrajectoryRow, hung, placed
from mapcast_client.rows import BLOCK_SIZE_VOX, MeshRow, MeshRows, SeparateRows
from stream.block_table import BlockTable
from stream.latest_rows import LatestRows

POSES_IN_BATCH = 4096


@dataclass(frozen=True, slots=True)
class MeshBatch:
    """Rows for one message, at their latest state."""

    slots: NDArray[np.int64]
    epoch: int
    revision: int
    complete_through: int

    @property
    def key(self) -> tuple[Hashable, ...]:
        """Equal batches have equal keys: what is encoded for one serves all who need the same."""
        return "mesh", self.epoch, self.revision, self.complete_through, self.slots.tobytes()


PoseRow = TypeVar("PoseRow", TrajectoryRow, KeyframeRow)


@dataclass(frozen=True, slots=True)
class PoseBatch(Generic[PoseRow]):
    """Frames or keyframes for one message, at their latest state."""

    rows: list[PoseRow]
    """At least one."""
    epoch: int
    revision: int
    complete_through: int

    @property
    def key(self) -> tuple[Hashable, ...]:
        """Equal batches have equal keys."""
        first = self.rows[0]
        layer = type(first).__name__
        return layer, self.epoch, self.revision, self.complete_through, first.revision


@dataclass(slots=True, eq=False)
class Cursor:
    """What one subscriber lacks: a bit per block, and all poses that changed after a revision."""

    epoch: int
    pending: NDArray[np.uint8]
    poses_through: int = 0
    keyframes_through: int = 0


class Hub:
    """The latest row of every block, and what each subscriber has yet to see.

    A slow subscriber sees fewer intermediate states, never a wrong one. Memory: one row per block
    plus one bit per block and subscriber, one row per frame and per keyframe. Not thread-safe: the
    event loop owns it.
    """

    def __init__(self, epoch: int) -> None:
        self.epoch = epoch
        self.revision = 0
        self.poses: LatestRows[TrajectoryRow] = LatestRows()
        self.keyframes: LatestRows[KeyframeRow] = LatestRows()
        self._table = BlockTable()
        self._cursors: set[Cursor] = set()

    @property
    def subscriber_count(self) -> int:
        """Cursors that joined and did not leave."""
        return len(self._cursors)

    @property
    def map_hash(self) -> int:
        """Sum of the live rows' content hashes, modulo 2⁶⁴."""
        return self._table.map_hash

    @property
    def triangles(self) -> int:
        """Of all live rows."""
        return self._table.triangles

    @property
    def live_blocks(self) -> int:
        """How many rows have triangles."""
        return self._table.live_blocks

    def columns(self, slots: NDArray[np.int64] | None = None) -> SeparateRows:
        """Rows by slot, or of every live block."""
        return self._table.rows(self._table.live() if slots is None else slots)

    def rows(self, slots: NDArray[np.int64] | None = None) -> list[MeshRow]:
        """The same one by one; slower."""
        return list(self.columns(slots))

    def revisions(self, slots: NDArray[np.int64]) -> NDArray[np.uint64]:
        """When each of the slots last changed."""
        return self._table.revisions[slots]

    def restart(self, epoch: int, path_scale: float = 0.0) -> None:
        """Drop the whole map; every subscriber starts anew in the next epoch.

        The path stays, with its lengths times `path_scale`, unless that is 0.
        """
        self.epoch = epoch
        self.revision += 1
        self._rescale_path(path_scale)
        self._table = BlockTable()
        for cursor in self._cursors:
            self._rewind(cursor, since=0)

    def publish(self, rows: Iterable[MeshRow]) -> None:
        """Publish rows that are not side by side yet, with their hashes."""
        separate = SeparateRows.of(rows)
        self.publish_columns(MeshRows.join(separate), separate.content_hashes())

    def publish_columns(self, rows: MeshRows, content_hashes: NDArray[np.uint64]) -> None:
        """Store rows, one of a block, under the next revision; make them pending for everyone.

        Rows that say what is known already are nobody's news.
        """
        slots = self._table.replace(rows, content_hashes, self.revision + 1)
        if not len(slots):
            return
        self.revision += 1
        bits = np.zeros(len(self._table.revisions), np.bool_)
        bits[slots] = True
        packed = np.packbits(bits)
        for cursor in self._cursors:
            if len(cursor.pending) < len(packed):
                cursor.pending = np.pad(cursor.pending, (0, len(packed) - len(cursor.pending)))
            cursor.pending |= packed

    def keep_only(self, blocks: Collection[tuple[int, int, int]] | NDArray[np.int32]) -> None:
        """Remove every block that is not among those: they are the whole map."""
        gone = MeshRows.tombstones(self._table.live_except(blocks))
        self.publish_columns(gone, np.zeros(len(gone), np.uint64))

    def append_pose(
        self,
        index: int,
        capture_ns: int,
        pose: PoseVector,
        state: str,
        is_keyframe: bool,
        keyframe_ns: int | None = None,
        keyframe_from_camera: PoseVector = IDENTITY,
    ) -> None:
        """Add a frame to the trajectory under the next revision.

        Without a keyframe to hang on it is where its pose says.
        """
        self.revision += 1
        if keyframe_ns is None:
            keyframe_ns = capture_ns
        is_keyframe = is_keyframe or self.keyframes.get(capture_ns) is not None
        hang = keyframe_ns, keyframe_from_camera
        row = TrajectoryRow(index, capture_ns, pose, state, is_keyframe, self.revision, *hang)
        self.poses.put(row)

    def rehang(self, capture_ns: int, keyframe_ns: int, keyframe_from_camera: PoseVector) -> None:
        """Hang a frame that was told before on another keyframe; one that was not is ignored."""
        row, keyframe = self.poses.get(capture_ns), self.keyframes.get(keyframe_ns)
        hang = keyframe_ns, keyframe_from_camera
        if row is None or (row.keyframe_ns, row.keyframe_from_camera) == hang:
            return
        self.revision += 1
        pose = row.world_from_camera if keyframe is None else hung(keyframe, keyframe_from_camera)
        self.poses.put(
            replace(
                row,
                world_from_camera=pose,
                revision=self.revision,
                keyframe_ns=keyframe_ns,
                keyframe_from_camera=keyframe_from_camera,
            )
        )

    def put_keyframe(self, capture_ns: int, pose: PoseVector, scale: float) -> None:
        """Say where a keyframe is, and that its frame is one, unless that is known."""
        known = self.keyframes.get(capture_ns)
        if known is None or (known.world_from_keyframe, known.scale) != (pose, scale):
            self.revision += 1
            self.keyframes.put(KeyframeRow(capture_ns, pose, scale, self.revision))
        row = self.poses.get(capture_ns)
        if row is not None and not row.keyframe:
            self.revision += 1
            self.poses.put(replace(row, keyframe=True, revision=self.revision))

    def path(self) -> list[TrajectoryRow]:
        """All frames, in the order of time, where their keyframes have them now."""
        keyframes = {row.capture_ns: row for row in self.keyframes}
        rows = (placed(row, keyframes) for row in self.poses)
        return sorted(rows, key=lambda row: row.capture_ns)

    def _rescale_path(self, scale: float) -> None:
        """Say all poses again, with their lengths times `scale`; 0: forget them."""
        poses, keyframes = (list(self.poses), list(self.keyframes)) if scale else ([], [])
        self.poses, self.keyframes = LatestRows(), LatestRows()
        for keyframe in keyframes:
            pose = _scaled(keyframe.world_from_keyframe, scale)
            self.put_keyframe(keyframe.capture_ns, pose, keyframe.scale)
        for row in poses:
            self.append_pose(
                row.index,
                row.capture_ns,
                _scaled(row.world_from_camera, scale),
                row.state,
                row.keyframe,
                row.keyframe_ns,
                _scaled(row.keyframe_from_camera, scale),
            )

    def join(self, since: int = 0, epoch: int | None = None) -> Cursor:
        """Register a subscriber that has everything up to revision `since` of `epoch`.

        With another epoch than the present one, or a revision from the future, it has nothing.
        """
        if epoch != self.epoch or since > self.revision:
            since = 0
        cursor = Cursor(self.epoch, np.zeros(0, np.uint8))
        self._rewind(cursor, since)
        self._cursors.add(cursor)
        return cursor

    def leave(self, cursor: Cursor) -> None:
        """Forget a subscriber."""
        self._cursors.discard(cursor)

    def _rewind(self, cursor: Cursor, since: int) -> None:
        table = self._table
        lacking = table.revisions > since
        if since == 0:  # it has nothing, so nothing to remove either
            lacking &= table.sizes_bytes > 0
        cursor.epoch = self.epoch
        cursor.pending = np.packbits(lacking)
        cursor.poses_through = cursor.keyframes_through = since

    def take(
        self,
        cursor: Cursor,
        budget_bytes: int,
        viewpoint_vox: NDArray[np.float64] | None = None,
    ) -> MeshBatch | None:
        """Up to `budget_bytes` of pending rows, at least one; None if the subscriber has all.

        Rows nearest to `viewpoint_vox` (world position in voxels) come first, else the oldest
        change. `complete_through` is the largest revision with nothing older pending.
        """
        slots = np.flatnonzero(np.unpackbits(cursor.pending)[: len(self._table)])
        if not len(slots):
            return None
        sizes = self._table.sizes_bytes[slots]
        if sizes.sum() > budget_bytes:
            slots = slots[self._order(slots, viewpoint_vox)]
            filled = np.cumsum(self._table.sizes_bytes[slots])
            count = max(1, int(np.searchsorted(filled, budget_bytes, side="right")))
            slots, left = np.sort(slots[:count]), slots[count:]
        else:
            left = slots[:0]
        oldest_left = self._table.revisions[left].min(initial=self.revision + 1)
        complete_through = int(oldest_left) - 1
        taken = np.zeros(8 * len(cursor.pending), np.bool_)
        taken[slots] = True
        cursor.pending &= ~np.packbits(taken)
        return MeshBatch(slots, self.epoch, self.revision, complete_through)

    def _order(
        self, slots: NDArray[np.int64], viewpoint_vox: NDArray[np.float64] | None
    ) -> NDArray[np.int64]:
        if viewpoint_vox is None:
            return np.argsort(self._table.revisions[slots], kind="stable")
        centres = (self._table.blocks[slots] + 0.5) * BLOCK_SIZE_VOX
        return np.argsort(((centres - viewpoint_vox) ** 2).sum(axis=1), kind="stable")

    def take_poses(
        self, cursor: Cursor, limit: int = POSES_IN_BATCH
    ) -> PoseBatch[TrajectoryRow] | None:
        """The next frames that changed; None if the subscriber has all of them."""
        batch = self._stretch(self.poses, cursor.poses_through, limit)
        if batch is not None:
            cursor.poses_through = batch.complete_through
        return batch

    def take_keyframes(
        self, cursor: Cursor, limit: int = POSES_IN_BATCH
    ) -> PoseBatch[KeyframeRow] | None:
        """The next keyframes that changed; None if the subscriber has all of them."""
        batch = self._stretch(self.keyframes, cursor.keyframes_through, limit)
        if batch is not None:
            cursor.keyframes_through = batch.complete_through
        return batch

    def _stretch(
        self, stored: LatestRows[PoseRow], through: int, limit: int
    ) -> PoseBatch[PoseRow] | None:
        rows, next_row = stored.after(through, limit)
        if not rows:
            return None
        complete_through = self.revision if next_row is None else next_row.revision - 1
        return PoseBatch(rows, self.epoch, self.revision, complete_through)

    def complete_through(self, cursor: Cursor, layers: Collection[str]) -> int:
        """The largest revision up to which nothing of these layers is pending."""
        oldest = [self.revision + 1]
        if "mesh" in layers:
            pending = np.flatnonzero(np.unpackbits(cursor.pending)[: len(self._table)])
            oldest.append(int(self._table.revisions[pending].min(initial=self.revision + 1)))
        if "trajectory" in layers:
            oldest += [row.revision for row in self.poses.after(cursor.poses_through, 1)[0]]
        if "keyframes" in layers:
            oldest += [row.revision for row in self.keyframes.after(cursor.keyframes_through, 1)[0]]
        return min(oldest) - 1


def _scaled(pose: PoseVector, scale: float) -> PoseVector:
    tx, ty, tz, *rotation = pose
    return (tx * scale, ty * scale, tz * scale, *rotation)
