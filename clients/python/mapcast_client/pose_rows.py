"""Pose rows: where each frame was tracked, and where the keyframe that it hangs on is now."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, TypeVar

import numpy as np
import pyarrow as pa

from mapcast_client.columns import list_array, list_column, plain_column

PoseVector = tuple[float, ...]
"""(7,) tx ty tz qx qy qz qw: metres (map units where the map is unscaled), a unit quaternion."""

IDENTITY: PoseVector = (0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0)

_POSE = pa.list_(pa.float64(), 7)
TRAJECTORY_SCHEMA = pa.schema(
    [
        ("index", pa.uint64()),
        ("capture_ns", pa.int64()),
        ("world_from_camera", _POSE),
        ("state", pa.string()),
        ("keyframe", pa.bool_()),
        ("revision", pa.uint64()),
        ("keyframe_ns", pa.int64()),
        ("keyframe_from_camera", _POSE),
    ]
)
KEYFRAMES_SCHEMA = pa.schema(
    [
        ("capture_ns", pa.int64()),
        ("world_from_keyframe", _POSE),
        ("scale", pa.float64()),
        ("revision", pa.uint64()),
    ]
)


@dataclass(frozen=True, slots=True)
class TrajectoryRow:
    """The pose of one frame. A later row of the same instant replaces the earlier."""

    index: int
    capture_ns: int
    world_from_camera: PoseVector
    """Where it was when the row was made."""
    state: str
    keyframe: bool
    revision: int
    keyframe_ns: int
    """The keyframe it hangs on: when that moves, so does it."""
    keyframe_from_camera: PoseVector


@dataclass(frozen=True, slots=True)
class KeyframeRow:
    """Where one keyframe is. A later row of the same instant replaces the earlier."""

    capture_ns: int
    world_from_keyframe: PoseVector
    scale: float
    """What lengths seen from the keyframe are multiplied by; 1 unless the map is monocular."""
    revision: int


Row = TypeVar("Row", TrajectoryRow, KeyframeRow)


def pose_columns(rows: Sequence[TrajectoryRow] | Sequence[KeyframeRow], schema: Any) -> list[Any]:
    """Put rows into the columns of their schema."""
    return [_column([getattr(row, field.name) for row in rows], field.type) for field in schema]


def read_pose_rows(batch: Any, kind: type[Row], schema: Any) -> tuple[Row, ...]:
    """Read a batch's rows. Raises ProtocolError when a column is missing or of another type."""
    columns = [_values(batch, schema.field(field.name)) for field in fields(kind)]
    return tuple(kind(*values) for values in zip(*columns, strict=True))


def placed(row: TrajectoryRow, keyframes: Mapping[int, KeyframeRow]) -> TrajectoryRow:
    """Give the row with the pose that its keyframe has by now: bent after every correction.

    A row whose keyframe is not known stays as it is.
    """
    keyframe = keyframes.get(row.keyframe_ns)
    if keyframe is None:
        return row
    return replace(row, world_from_camera=hung(keyframe, row.keyframe_from_camera))


def hung(keyframe: KeyframeRow, keyframe_from_camera: PoseVector) -> PoseVector:
    """world_from_camera = (t_w + s · R_w · t_k, R_w · R_k) of what hangs on a keyframe."""
    tx, ty, tz, *rotation = keyframe.world_from_keyframe
    px, py, pz, *rotation_k = keyframe_from_camera
    x, y, z = _rotated(rotation, (px, py, pz))
    s = keyframe.scale
    return (tx + s * x, ty + s * y, tz + s * z, *_product(rotation, rotation_k))


def _rotated(quat_xyzw: Sequence[float], v: Sequence[float]) -> tuple[float, float, float]:
    """Rotate v: v + 2 w (q × v) + 2 q × (q × v), where q is the quaternion's vector part."""
    x, y, z, w = quat_xyzw
    a, b, c = y * v[2] - z * v[1], z * v[0] - x * v[2], x * v[1] - y * v[0]
    return (
        v[0] + 2 * (w * a + y * c - z * b),
        v[1] + 2 * (w * b + z * a - x * c),
        v[2] + 2 * (w * c + x * b - y * a),
    )


def _product(p: Sequence[float], q: Sequence[float]) -> tuple[float, ...]:
    """Hamilton's product of unit quaternions, with w ≥ 0."""
    px, py, pz, pw = p
    qx, qy, qz, qw = q
    product = (
        pw * qx + px * qw + py * qz - pz * qy,
        pw * qy + py * qw + pz * qx - px * qz,
        pw * qz + pz * qw + px * qy - py * qx,
        pw * qw - px * qx - py * qy - pz * qz,
    )
    return product if product[3] >= 0 else tuple(-value for value in product)


def _column(values: list[Any], kind: Any) -> Any:
    if kind == _POSE:
        return list_array(np.array(values, np.float64).ravel(), 7)
    return pa.array(values, kind)


def _values(batch: Any, field: Any) -> Any:
    if field.type == _POSE:
        return map(tuple, list_column(batch, field.name, pa.float64(), 7).tolist())
    return plain_column(batch, field.name, field.type).tolist()
