"""What each subscriber has yet to see: level-triggered, without sockets.

The hub keeps the latest row of every block and of every frame's pose; a cursor keeps which of them
its subscriber still lacks. Lost or skipped messages cost nothing but a later `take`.
"""

from bisect import bisect_right
from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from mapcast_client.delta import TrajectoryRow
from mapcast_client.rows import BLOCK_SIZE_VOX, MeshRow

HASH_MODULUS = 1 << 64
INITIAL_BLOCKS = 4096


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


@dataclass(frozen=True, slots=True)
class PoseBatch:
    """A stretch of the trajectory for one message."""

    start: int
    stop: int
    epoch: int
    revision: int
    complete_through: int

    @property
    def key(self) -> tuple[Hashable, ...]:
        """Equal batches have equal keys."""
        return "trajectory", self.epoch, self.revision, self.start, self.stop


@dataclass(slots=True, eq=False)
class Cursor:
    """What one subscriber lacks. A bit per block, and a place in the trajectory."""

    epoch: int
    pending: NDArray[np.uint8]
    next_pose: int = 0


@dataclass(slots=True)
class _Table:
    """Columns by slot; a block keeps its slot for the whole epoch."""

    slot_of: dict[tuple[int, int, int], int] = field(default_factory=dict)
    rows: list[MeshRow] = field(default_factory=list)
    blocks: NDArray[np.int32] = field(default_factory=lambda: np.zeros((INITIAL_BLOCKS, 3), "i4"))
    sizes: NDArray[np.int64] = field(default_factory=lambda: np.zeros(INITIAL_BLOCKS, "i8"))
    revisions: NDArray[np.uint64] = field(default_factory=lambda: np.zeros(INITIAL_BLOCKS, "u8"))
    hashes: list[int] = field(default_factory=list)

    def slots(self, rows: Sequence[MeshRow]) -> list[int]:
        """The slots of rows' blocks; new ones for those that have none."""
        known, slot_of = len(self.rows), self.slot_of
        slots = []
        for row in rows:
            slot = slot_of.setdefault(row.block, len(self.rows))
            if slot == len(self.rows):
                self.rows.append(MeshRow(row.block, b"", b"", b""))
                self.hashes.append(0)
            slots.append(slot)
        while len(self.sizes) < len(self.rows):
            self.blocks = np.concatenate([self.blocks, np.zeros_like(self.blocks)])
            self.sizes = np.concatenate([self.sizes, np.zeros_like(self.sizes)])
            self.revisions = np.concatenate([self.revisions, np.zeros_like(self.revisions)])
        if fresh := self.rows[known:]:
            self.blocks[known : len(self.rows)] = [row.block for row in fresh]
        return slots


class Hub:
    """The latest row of every block, and what each subscriber has yet to see.

    A slow subscriber sees fewer intermediate states, never a wrong one. Memory: one row per block
    plus one bit per block and subscriber. Not thread-safe: the event loop owns it.
    """

    def __init__(self, epoch: int) -> None:
        self.epoch = epoch
        self.revision = 0
        self.map_hash = 0
        """Sum of the live rows' content hashes, modulo 2⁶⁴."""
        self.triangles = 0
        self.live_blocks = 0
        self.poses: list[TrajectoryRow] = []
        """In the order of revisions; a later row of the same instant replaces the earlier one."""
        self._pose_at: dict[int, int] = {}
        self._table = _Table()
        self._cursors: set[Cursor] = set()

    @property
    def subscriber_count(self) -> int:
        """Cursors that joined and did not leave."""
        return len(self._cursors)

    def rows(self, slots: Iterable[int] | None = None) -> list[MeshRow]:
        """Rows by slot, or of every live block."""
        if slots is None:
            return [row for row in self._table.rows if row.triangles]
        return [self._table.rows[slot] for slot in slots]

    def revisions(self, slots: NDArray[np.int64]) -> NDArray[np.uint64]:
        """When each of the slots last changed."""
        return self._table.revisions[slots]

    def restart(self, epoch: int, path_scale: float = 0.0) -> None:
        """Drop the whole map; every subscriber starts anew in the next epoch.

        The path stays, with its lengths times `path_scale`, unless that is 0.
        """
        self.epoch = epoch
        self.revision += 1
        self.map_hash = self.triangles = self.live_blocks = 0
        path = [self.poses[at] for at in self._pose_at.values()] if path_scale else []
        self.poses, self._pose_at = [], {}
        for row in path:
            tx, ty, tz, *rotation = row.world_from_camera
            pose = (tx * path_scale, ty * path_scale, tz * path_scale, *rotation)
            self.append_pose(row.index, row.capture_ns, pose, row.state, row.keyframe)
        self._table = _Table()
        for cursor in self._cursors:
            self._rewind(cursor, since=0)

    def publish(self, rows: Iterable[MeshRow]) -> None:
        """Store rows, one of a block, under the next revision; make them pending for everyone."""
        rows = list(rows)
        if not rows:
            return
        self.revision += 1
        table = self._table
        slots = table.slots(rows)
        table.sizes[slots] = [row.size_bytes for row in rows]
        table.revisions[slots] = self.revision
        for slot, row in zip(slots, rows, strict=True):
            self._replace(slot, row)
        self.map_hash %= HASH_MODULUS
        bits = np.zeros(len(table.sizes), np.bool_)
        bits[slots] = True
        packed = np.packbits(bits)
        for cursor in self._cursors:
            if len(cursor.pending) < len(packed):
                cursor.pending = np.pad(cursor.pending, (0, len(packed) - len(cursor.pending)))
            cursor.pending |= packed

    def _replace(self, slot: int, row: MeshRow) -> None:
        """Put a row where the block's last one was, and keep the sums over all of them."""
        table = self._table
        old_row, content_hash = table.rows[slot], row.content_hash()
        self.map_hash += content_hash - table.hashes[slot]
        self.triangles += (len(row.triangles) - len(old_row.triangles)) // 6
        self.live_blocks += bool(row.triangles) - bool(old_row.triangles)
        table.rows[slot], table.hashes[slot] = row, content_hash

    def append_pose(
        self, index: int, capture_ns: int, pose: tuple[float, ...], state: str, is_keyframe: bool
    ) -> None:
        """Add a frame to the trajectory under the next revision."""
        self.revision += 1
        self._pose_at[capture_ns] = len(self.poses)
        self.poses.append(TrajectoryRow(index, capture_ns, pose, state, is_keyframe, self.revision))

    def mark_keyframe(self, capture_ns: int) -> None:
        """Say again, as a later row, that the frame of an instant is a keyframe."""
        at = self._pose_at.get(capture_ns)
        if at is not None and not self.poses[at].keyframe:
            row = self.poses[at]
            self.append_pose(row.index, capture_ns, row.world_from_camera, row.state, True)

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
            lacking &= table.sizes > 0
        cursor.epoch = self.epoch
        cursor.pending = np.packbits(lacking)
        cursor.next_pose = bisect_right(self.poses, since, key=lambda row: row.revision)

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
        slots = np.flatnonzero(np.unpackbits(cursor.pending)[: len(self._table.rows)])
        if not len(slots):
            return None
        sizes = self._table.sizes[slots]
        if sizes.sum() > budget_bytes:
            slots = slots[self._order(slots, viewpoint_vox)]
            filled = np.cumsum(self._table.sizes[slots])
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

    def take_poses(self, cursor: Cursor, limit: int = 4096) -> PoseBatch | None:
        """The next stretch of the trajectory; None if the subscriber has all of it."""
        start, stop = cursor.next_pose, min(len(self.poses), cursor.next_pose + limit)
        if start == stop:
            return None
        cursor.next_pose = stop
        complete = stop == len(self.poses)
        complete_through = self.revision if complete else self.poses[stop].revision - 1
        return PoseBatch(start, stop, self.epoch, self.revision, complete_through)
