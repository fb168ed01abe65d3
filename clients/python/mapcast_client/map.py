"""A follower's copy of a map: deltas in, the same map as the server's out."""

from collections.abc import Sequence
from typing import Any

from mapcast_client.delta import (
    LAYERS,
    Delta,
    DeltaHead,
    KeyframesDelta,
    MeshDelta,
    Status,
    StatusDelta,
    TrajectoryDelta,
)
from mapcast_client.errors import HashMismatch
from mapcast_client.mesh import TriangleMesh
from mapcast_client.pose_rows import KeyframeRow, TrajectoryRow, placed
from mapcast_client.rows import MeshRow, MeshRows

_HASH_MASK = 2**64 - 1
_CUMULATIVE_LAYERS = ("mesh", "keyframes", "trajectory")
_Block = tuple[int, int, int]


class Progress:
    """How far a follower has come: what to subscribe with after a lost connection."""

    def __init__(self, layers: Sequence[str] = (), since: int = 0, epoch: int = 0) -> None:
        """Empty `layers` means all; `since` is what is complete already, of `epoch`."""
        self._complete_through = {
            layer: since for layer in layers or LAYERS if layer in _CUMULATIVE_LAYERS
        }
        self.epoch = epoch
        self.revision = since

    @property
    def complete_through(self) -> int:
        """The smallest revision up to which a followed layer is known to be complete."""
        return min(self._complete_through.values(), default=0)

    def observe(self, head: DeltaHead) -> bool:
        """Take note of a message; return whether it begins another epoch."""
        is_new_epoch = head.epoch != self.epoch
        if is_new_epoch:
            self.epoch, self.revision = head.epoch, 0
            self._complete_through = dict.fromkeys(self._complete_through, 0)
        self.revision = max(self.revision, head.revision)
        if head.layer in self._complete_through:
            self._complete_through[head.layer] = head.complete_through
        elif head.layer == "status":  # it speaks for all of them
            for layer, known in self._complete_through.items():
                self._complete_through[layer] = max(known, head.complete_through)
        return is_new_epoch


class Map:
    """The latest state of every block and pose of one session, built from its deltas.

    It keeps the newest row of each block, drops everything when the epoch changes, and checks
    its hash against the server's whenever a message says that it is complete. One thread at a
    time may use it.
    """

    def __init__(self, layers: Sequence[str] = ()) -> None:
        """`layers` are those subscribed to; empty means all."""
        self._progress = Progress(layers)
        self._rows: dict[_Block, tuple[MeshRow, int]] = {}
        self._trajectory: dict[int, TrajectoryRow] = {}
        self._keyframes: dict[int, KeyframeRow] = {}
        self._status: Status | None = None
        self._map_hash = 0
        self._mesh_head: DeltaHead | None = None

    def apply(self, delta: Delta) -> None:
        """Bring the map to the state after `delta`.

        Raises HashMismatch when the delta says that the map is complete now and its hash is not
        the server's: follow anew with `since=0` into an empty Map.
        """
        if self._progress.observe(delta.head):
            self._clear()
        if isinstance(delta, MeshDelta):
            self._apply_mesh(delta)
        elif isinstance(delta, TrajectoryDelta):
            self._trajectory.update((row.capture_ns, row) for row in delta.rows)
        elif isinstance(delta, KeyframesDelta):
            self._keyframes.update((row.capture_ns, row) for row in delta.rows)
        elif isinstance(delta, StatusDelta):
            self._status = delta.status

    @property
    def epoch(self) -> int:
        """The epoch all of this belongs to; 0 before the first message."""
        return self._progress.epoch

    @property
    def revision(self) -> int:
        """The session's newest revision that a message named."""
        return self._progress.revision

    @property
    def complete_through(self) -> int:
        """The `since` to subscribe with after a lost connection."""
        return self._progress.complete_through

    @property
    def map_hash(self) -> int:
        """The sum modulo 2⁶⁴ of the blocks' hashes: equal to the server's when the maps are."""
        return self._map_hash

    @property
    def is_exact(self) -> bool:
        """Whether the last mesh message was complete and the hashes are equal.

        Of a map without triangles there is no mesh message: its status says that it is empty.
        """
        head = self._mesh_head
        if head is None:
            return self._status is not None and self._status.map_hash == 0
        return head.is_complete and head.map_hash == self._map_hash

    @property
    def voxel_size_m(self) -> float:
        """Edge of a voxel; 0 before the first mesh message."""
        return self._mesh_head.voxel_size_m if self._mesh_head else 0.0

    @property
    def frame_index(self) -> int | None:
        """The newest frame that the mesh contains, if a message has told it."""
        return self._mesh_head.frame_index if self._mesh_head else None

    @property
    def blocks(self) -> int:
        """How many blocks have triangles."""
        return len(self._rows)

    @property
    def triangles(self) -> int:
        """How many triangles all blocks have together."""
        return sum(len(row.triangles) for row, _ in self._rows.values()) // 6

    @property
    def trajectory(self) -> list[TrajectoryRow]:
        """The frames with the poses that their keyframes have by now, in the order of time.

        It is made at each call, bent after all corrections so far.
        """
        rows = (self._trajectory[instant] for instant in sorted(self._trajectory))
        return [placed(row, self._keyframes) for row in rows]

    @property
    def frames(self) -> int:
        """How many frames the trajectory has."""
        return len(self._trajectory)

    @property
    def keyframes(self) -> list[KeyframeRow]:
        """Where the keyframes are now, in the order of time."""
        return [self._keyframes[instant] for instant in sorted(self._keyframes)]

    @property
    def status(self) -> Status | None:
        """The session's health, as last told."""
        return self._status

    def rows(self) -> list[MeshRow]:
        """Return the newest row of every block that has triangles."""
        return [row for row, _ in self._rows.values()]

    def mesh(self) -> TriangleMesh:
        """One mesh in world coordinates; vertices that blocks share are one."""
        return TriangleMesh.from_rows(MeshRows.join(self.rows()), self.voxel_size_m)

    def to_trimesh(self) -> Any:
        """Return a `trimesh.Trimesh`. Raises DependencyError without trimesh."""
        return self.mesh().to_trimesh()

    def to_open3d(self) -> Any:
        """Return an `open3d.geometry.TriangleMesh`. Raises DependencyError without open3d."""
        return self.mesh().to_open3d()

    def _apply_mesh(self, delta: MeshDelta) -> None:
        for row in delta.rows.split():
            _, old_hash = self._rows.pop(row.block, (row, 0))
            new_hash = row.content_hash()
            self._map_hash = (self._map_hash - old_hash + new_hash) & _HASH_MASK
            if row.triangles:
                self._rows[row.block] = row, new_hash
        self._mesh_head = delta.head
        if delta.head.is_complete and delta.head.map_hash != self._map_hash:
            raise HashMismatch(
                f"session {delta.head.session}: the map followed to revision "
                f"{delta.head.revision} has hash {self._map_hash}, "
                f"the server's has {delta.head.map_hash}"
            )

    def _clear(self) -> None:
        self._rows.clear()
        self._trajectory.clear()
        self._keyframes.clear()
        self._status = None
        self._map_hash = 0
        self._mesh_head = None
