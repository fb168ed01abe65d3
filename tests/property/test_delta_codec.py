"""Any rows come back from the codec as they went in; no bytes make it fail in another way."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from mapcast_client import delta as codec
from mapcast_client.errors import ProtocolError
from mapcast_client.pose_rows import KeyframeRow, TrajectoryRow
from mapcast_client.rows import MeshRow

uint64 = st.integers(0, 2**64 - 1)
int32 = st.integers(-(2**31), 2**31 - 1)
words = st.text(st.characters(blacklist_categories=("Cs",)), max_size=20)
compressions = st.sampled_from(["none", "lz4", "zstd"])
finite = st.floats(allow_nan=False, allow_infinity=False)
seconds_as_ns = st.integers(-(2**63), 2**63 - 1)


@st.composite
def mesh_rows(draw: st.DrawFn) -> MeshRow:
    vertex_count = draw(st.integers(0, 20))
    triangle_count = draw(st.integers(0, 20)) if vertex_count else 0
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    return MeshRow(
        draw(st.tuples(int32, int32, int32)),
        rng.integers(0, 249, 3 * vertex_count, np.uint8).tobytes(),
        rng.integers(0, 256, 3 * vertex_count, np.uint8).tobytes(),
        rng.integers(0, max(vertex_count, 1), 3 * triangle_count).astype("<u2").tobytes(),
    )


heads = st.builds(
    codec.DeltaHead,
    session=words,
    epoch=uint64,
    revision=uint64,
    complete_through=uint64,
    voxel_size_m=finite,
    map_hash=uint64,
    world=words,
    frame_index=st.none() | uint64,
    capture_ns=st.none() | seconds_as_ns,
    layer=st.just("mesh"),
)
trajectory_rows = st.builds(
    TrajectoryRow,
    index=uint64,
    capture_ns=seconds_as_ns,
    world_from_camera=st.tuples(*[finite] * 7),
    state=words,
    keyframe=st.booleans(),
    revision=uint64,
    keyframe_ns=seconds_as_ns,
    keyframe_from_camera=st.tuples(*[finite] * 7),
)
keyframe_rows = st.builds(
    KeyframeRow,
    capture_ns=seconds_as_ns,
    world_from_keyframe=st.tuples(*[finite] * 7),
    scale=finite,
    revision=uint64,
)
statuses = st.builds(
    codec.Status,
    state=words,
    reason=words,
    tracking=words,
    frames=uint64,
    fused=uint64,
    dropped=uint64,
    frames_per_s=finite,
    latency_ms=finite,
    blocks=uint64,
    triangles=uint64,
    subscribers=st.integers(0, 2**32 - 1),
    full=st.booleans(),
    map_hash=uint64,
)


@given(st.lists(mesh_rows(), max_size=8), heads, compressions, st.data())
def test_mesh_round_trip(
    rows: list[MeshRow], head: codec.DeltaHead, compression: str, data: st.DataObject
) -> None:
    revisions = data.draw(st.lists(uint64, min_size=len(rows), max_size=len(rows)))
    message = codec.encode_mesh(rows, revisions, head, compression)
    decoded = codec.decode(message)
    assert isinstance(decoded, codec.MeshDelta)
    assert decoded.head == head
    assert list(decoded.rows.split()) == rows
    assert decoded.revisions.tolist() == revisions
    assert decoded.size_bytes == len(message)


@given(st.lists(trajectory_rows, max_size=5), heads, compressions)
def test_trajectory_round_trip(
    rows: list[TrajectoryRow], head: codec.DeltaHead, compression: str
) -> None:
    decoded = codec.decode(codec.encode_trajectory(rows, head, compression))
    assert isinstance(decoded, codec.TrajectoryDelta)
    assert decoded.rows == tuple(rows)
    assert decoded.head.layer == "trajectory"


@given(st.lists(keyframe_rows, max_size=5), heads, compressions)
def test_keyframes_round_trip(
    rows: list[KeyframeRow], head: codec.DeltaHead, compression: str
) -> None:
    decoded = codec.decode(codec.encode_keyframes(rows, head, compression))
    assert isinstance(decoded, codec.KeyframesDelta)
    assert decoded.rows == tuple(rows)
    assert decoded.head.layer == "keyframes"


@given(statuses, heads, compressions)
def test_status_round_trip(status: codec.Status, head: codec.DeltaHead, compression: str) -> None:
    decoded = codec.decode(codec.encode_status(status, head, compression))
    assert isinstance(decoded, codec.StatusDelta)
    assert decoded.status == status


@given(
    st.lists(mesh_rows(), min_size=1, max_size=3),
    compressions,
    st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.integers(0, 255)), max_size=4),
    st.floats(0, 1),
)
def test_broken_bytes_are_protocol_errors(
    rows: list[MeshRow],
    compression: str,
    changes: list[tuple[float, int]],
    kept: float,
) -> None:
    head = codec.DeltaHead("s", 1, 2, 2, 0.01, 3)
    message = bytearray(codec.encode_mesh(rows, [1] * len(rows), head, compression))
    for place, value in changes:
        message[int(place * len(message))] = value
    try:
        decoded = codec.decode(bytes(message[: round(kept * len(message))]))
    except ProtocolError:
        return
    if isinstance(decoded, codec.MeshDelta):
        assert sum(row.size_bytes for row in decoded.rows.split()) == sum(
            map(np.size, (decoded.rows.vertices, decoded.rows.colors))
        ) + 2 * np.size(decoded.rows.triangles)
