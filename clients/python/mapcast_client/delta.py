"""Map deltas: the Arrow codec of the layers that subscribers get, for both ends of the wire.

Each message is one self-contained Arrow IPC stream, a schema and one record batch, as
proto/mapcast/v1/MAP_DELTA.md fixes it.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from mapcast_client.columns import (
    binary_array,
    binary_column,
    list_array,
    list_column,
    plain_column,
    read_batch,
    require_compression,
    write_batch,
)
from mapcast_client.errors import ProtocolError
from mapcast_client.pose_rows import (
    KEYFRAMES_SCHEMA,
    TRAJECTORY_SCHEMA,
    KeyframeRow,
    TrajectoryRow,
    pose_columns,
    read_pose_rows,
)
from mapcast_client.rows import BLOCK_SIZE_VOX, MeshRow, MeshRows, SeparateRows

LAYERS = ("mesh", "keyframes", "trajectory", "status")
VERSION = "1"

_MESH_SCHEMA = pa.schema(
    [
        ("block", pa.list_(pa.int32(), 3)),
        ("revision", pa.uint64()),
        ("vertices", pa.binary()),
        ("colors", pa.binary()),
        ("triangles", pa.binary()),
    ]
)
_STATUS_SCHEMA = pa.schema(
    [
        ("state", pa.string()),
        ("reason", pa.string()),
        ("tracking", pa.string()),
        ("frames", pa.uint64()),
        ("fused", pa.uint64()),
        ("dropped", pa.uint64()),
        ("frames_per_s", pa.float64()),
        ("latency_ms", pa.float64()),
        ("blocks", pa.uint64()),
        ("triangles", pa.uint64()),
        ("subscribers", pa.uint32()),
        ("full", pa.bool_()),
        ("map_hash", pa.uint64()),
    ]
)


@dataclass(frozen=True, slots=True)
class DeltaHead:
    """The schema metadata of a message; MAP_DELTA.md says what each key means."""

    session: str
    epoch: int
    revision: int
    complete_through: int
    voxel_size_m: float
    map_hash: int
    world: str = "z-up"
    units: str = "m"
    """`unscaled`: lengths, the voxel's edge too, are in a unit of the map's own."""
    frame_index: int | None = None
    """The newest frame the map contains at `revision`; mesh only."""
    capture_ns: int | None = None
    layer: str = ""
    """Set by `decode`; each encoder writes its own layer's name."""

    @property
    def is_complete(self) -> bool:
        """Whether nothing of this layer is still to come up to `revision`."""
        return self.complete_through >= self.revision


@dataclass(frozen=True, slots=True)
class Status:
    """The health of a session. `state`: active, waiting, paused, finished or failed."""

    state: str
    reason: str = ""
    tracking: str = ""
    frames: int = 0
    fused: int = 0
    dropped: int = 0
    frames_per_s: float = 0.0
    latency_ms: float = 0.0
    blocks: int = 0
    triangles: int = 0
    subscribers: int = 0
    full: bool = False
    map_hash: int = 0


@dataclass(frozen=True, slots=True)
class MeshDelta:
    """The latest triangles of the blocks that changed; the order of rows means nothing."""

    head: DeltaHead
    rows: MeshRows
    revisions: NDArray[np.uint64]
    """(K,) the session's revision at which each row last changed."""
    size_bytes: int
    """Of the encoded message."""


@dataclass(frozen=True, slots=True)
class TrajectoryDelta:
    """Frames that are new, or hang on another keyframe now."""

    head: DeltaHead
    rows: tuple[TrajectoryRow, ...]
    size_bytes: int


@dataclass(frozen=True, slots=True)
class KeyframesDelta:
    """Keyframes that are new or have moved, and all that hangs on them with them."""

    head: DeltaHead
    rows: tuple[KeyframeRow, ...]
    size_bytes: int


@dataclass(frozen=True, slots=True)
class StatusDelta:
    """The session's health at `head.revision`."""

    head: DeltaHead
    status: Status
    size_bytes: int


@dataclass(frozen=True, slots=True)
class UnknownDelta:
    """A layer that this version does not know: to be ignored."""

    head: DeltaHead
    size_bytes: int


Delta = MeshDelta | TrajectoryDelta | KeyframesDelta | StatusDelta | UnknownDelta


def encode_mesh(
    rows: Iterable[MeshRow],
    revisions: Sequence[int] | NDArray[np.uint64],
    head: DeltaHead,
    compression: str = "zstd",
) -> bytes:
    """Encode mesh rows, each with the revision at which it last changed.

    Raises InputError for an unknown compression or a column of 2 GiB and more.
    """
    require_compression(compression)
    rows = SeparateRows.of(rows)
    columns = [
        list_array(rows.blocks.ravel(), 3),
        pa.array(np.asarray(revisions, np.uint64)),
        binary_array(rows.vertices, "vertices"),
        binary_array(rows.colors, "colors"),
        binary_array(rows.triangles, "triangles"),
    ]
    return write_batch(columns, _MESH_SCHEMA, _metadata(head, "mesh"), compression)


def encode_trajectory(
    rows: Sequence[TrajectoryRow], head: DeltaHead, compression: str = "zstd"
) -> bytes:
    """Encode frames' poses. Raises InputError for an unknown compression."""
    require_compression(compression)
    columns = pose_columns(rows, TRAJECTORY_SCHEMA)
    return write_batch(columns, TRAJECTORY_SCHEMA, _metadata(head, "trajectory"), compression)


def encode_keyframes(
    rows: Sequence[KeyframeRow], head: DeltaHead, compression: str = "zstd"
) -> bytes:
    """Encode keyframes' poses. Raises InputError for an unknown compression."""
    require_compression(compression)
    columns = pose_columns(rows, KEYFRAMES_SCHEMA)
    return write_batch(columns, KEYFRAMES_SCHEMA, _metadata(head, "keyframes"), compression)


def encode_status(status: Status, head: DeltaHead, compression: str = "zstd") -> bytes:
    """Encode a session's health. Raises InputError for an unknown compression."""
    require_compression(compression)
    columns = [pa.array([getattr(status, field.name)], field.type) for field in _STATUS_SCHEMA]
    return write_batch(columns, _STATUS_SCHEMA, _metadata(head, "status"), compression)


def decode(data: bytes) -> Delta:
    """Read one message; the arrays are read-only views of it where it is not compressed.

    Unknown columns and metadata are ignored, an unknown layer gives an UnknownDelta. Raises
    ProtocolError when the message is broken or of another version.
    """
    batch = read_batch(data)
    head = _head(batch.schema.metadata or {})
    if head.layer == "mesh":
        rows = _mesh_rows(batch)
        return MeshDelta(head, rows, plain_column(batch, "revision", pa.uint64()), len(data))
    if head.layer == "trajectory":
        poses = read_pose_rows(batch, TrajectoryRow, TRAJECTORY_SCHEMA)
        return TrajectoryDelta(head, poses, len(data))
    if head.layer == "keyframes":
        keyframes = read_pose_rows(batch, KeyframeRow, KEYFRAMES_SCHEMA)
        return KeyframesDelta(head, keyframes, len(data))
    if head.layer == "status":
        return StatusDelta(head, _status(batch), len(data))
    return UnknownDelta(head, len(data))


def _metadata(head: DeltaHead, layer: str) -> dict[str, str]:
    metadata = {
        "mapcast.version": VERSION,
        "session": head.session,
        "layer": layer,
        "epoch": str(head.epoch),
        "revision": str(head.revision),
        "complete_through": str(head.complete_through),
        "voxel_size_m": repr(head.voxel_size_m),
        "block_size_vox": str(BLOCK_SIZE_VOX),
        "world": head.world,
        "units": head.units,
        "map_hash": str(head.map_hash),
    }
    if head.frame_index is not None:
        metadata["frame_index"] = str(head.frame_index)
    if head.capture_ns is not None:
        metadata["capture_ns"] = str(head.capture_ns)
    return metadata


def _head(metadata: dict[bytes, bytes]) -> DeltaHead:
    """Read the schema's metadata. Raises ProtocolError."""
    try:
        text = {key.decode(): value.decode() for key, value in metadata.items()}
        if text["mapcast.version"] != VERSION:
            raise ProtocolError(
                f"map delta has version {text['mapcast.version']}, this client speaks {VERSION}"
            )
        return DeltaHead(
            session=text["session"],
            epoch=int(text["epoch"]),
            revision=int(text["revision"]),
            complete_through=int(text["complete_through"]),
            voxel_size_m=float(text["voxel_size_m"]),
            map_hash=int(text["map_hash"]),
            world=text.get("world", "z-up"),
            units=text.get("units", "m"),
            frame_index=int(text["frame_index"]) if "frame_index" in text else None,
            capture_ns=int(text["capture_ns"]) if "capture_ns" in text else None,
            layer=text["layer"],
        )
    except KeyError as missing:
        raise ProtocolError(f"map delta has no metadata {missing}") from None
    except ValueError as error:
        raise ProtocolError(f"map delta has broken metadata: {error}") from None


def _mesh_rows(batch: Any) -> MeshRows:
    """Read the rows and check that their payloads fit each other. Raises ProtocolError."""
    vertex_counts, vertices = binary_column(batch, "vertices", unit_bytes=3)
    color_counts, colors = binary_column(batch, "colors", unit_bytes=3)
    triangle_counts, triangles = binary_column(batch, "triangles", unit_bytes=6)
    if not np.array_equal(vertex_counts, color_counts):
        raise ProtocolError("map delta: a row has not as many colors as vertices")
    indices = triangles.view("<u2")
    _require_indices_fit(indices, triangle_counts, vertex_counts)
    return MeshRows(
        list_column(batch, "block", pa.int32(), 3),
        vertex_counts,
        triangle_counts,
        vertices.reshape(-1, 3),
        colors.reshape(-1, 3),
        indices.reshape(-1, 3),
    )


def _require_indices_fit(
    indices: NDArray[np.uint16],
    triangle_counts: NDArray[np.uint32],
    vertex_counts: NDArray[np.uint32],
) -> None:
    """Raise ProtocolError if a triangle names a vertex that its row does not have."""
    filled = triangle_counts > 0
    if not filled.any():
        return
    first = 3 * (np.cumsum(triangle_counts, dtype=np.int64) - triangle_counts)
    if (np.maximum.reduceat(indices, first[filled]) >= vertex_counts[filled]).any():
        raise ProtocolError("map delta: a triangle names a vertex that its row does not have")


def _status(batch: Any) -> Status:
    if batch.num_rows != 1:
        raise ProtocolError(f"map delta: status has {batch.num_rows} rows, must be 1")
    return Status(
        *(
            plain_column(batch, field.name, _STATUS_SCHEMA.field(field.name).type).tolist()[0]
            for field in fields(Status)
        )
    )
