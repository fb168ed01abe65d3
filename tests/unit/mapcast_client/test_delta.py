import numpy as np
import pyarrow as pa
import pytest

from mapcast_client.delta import (
    DeltaHead,
    MeshDelta,
    Status,
    StatusDelta,
    UnknownDelta,
    decode,
    encode_mesh,
    encode_status,
    encode_trajectory,
)
from mapcast_client.errors import InputError, ProtocolError
from mapcast_client.rows import MeshRow

HEAD = DeltaHead("kitchen", 3, 12, 10, 0.01, 2**64 - 1, frame_index=7, capture_ns=-5)
ROW = MeshRow((1, -2, 3), bytes(range(9)), bytes(9), b"\0\0\1\0\2\0")


def rewritten(message: bytes, **changes: str) -> bytes:
    """The message with other metadata values; an empty one removes its key."""
    batch = pa.ipc.open_stream(message).read_next_batch()
    metadata = {key.decode(): value.decode() for key, value in batch.schema.metadata.items()}
    metadata = {key: value for key, value in (metadata | changes).items() if value}
    return written(batch.replace_schema_metadata(metadata))


def written(batch: pa.RecordBatch) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, batch.schema) as writer:
        writer.write_batch(batch)
    return sink.getvalue().to_pybytes()


def with_column(message: bytes, name: str, column: pa.Array) -> bytes:
    batch = pa.ipc.open_stream(message).read_next_batch()
    columns = {field.name: batch.column(field.name) for field in batch.schema} | {name: column}
    metadata = batch.schema.metadata
    return written(pa.RecordBatch.from_pydict(columns).replace_schema_metadata(metadata))


def mesh_message(compression: str = "none") -> bytes:
    return encode_mesh([ROW], [11], HEAD, compression)


def test_metadata_is_what_the_contract_names() -> None:
    schema = pa.ipc.open_stream(mesh_message()).schema
    assert schema.metadata == {
        b"mapcast.version": b"1",
        b"session": b"kitchen",
        b"layer": b"mesh",
        b"epoch": b"3",
        b"revision": b"12",
        b"complete_through": b"10",
        b"voxel_size_m": b"0.01",
        b"block_size_vox": b"8",
        b"world": b"z-up",
        b"units": b"m",
        b"map_hash": b"18446744073709551615",
        b"frame_index": b"7",
        b"capture_ns": b"-5",
    }


def test_mesh_columns_are_what_the_contract_names() -> None:
    table = pa.ipc.open_stream(mesh_message()).read_all()
    assert [str(field.type) for field in table.schema] == [
        "fixed_size_list<item: int32>[3]",
        "uint64",
        "binary",
        "binary",
        "binary",
    ]
    assert table.to_pylist() == [
        {
            "block": [1, -2, 3],
            "revision": 11,
            "vertices": bytes(range(9)),
            "colors": bytes(9),
            "triangles": b"\0\0\1\0\2\0",
        }
    ]


def test_completeness() -> None:
    assert not HEAD.is_complete
    assert DeltaHead("s", 1, 4, 4, 0.01, 0).is_complete


def test_decoded_arrays_are_read_only() -> None:
    for compression in ("none", "zstd"):
        decoded = decode(mesh_message(compression))
        assert isinstance(decoded, MeshDelta)
        assert not decoded.rows.vertices.flags.writeable
        assert not decoded.revisions.flags.writeable


def test_unknown_layer_is_an_unknown_delta() -> None:
    decoded = decode(rewritten(mesh_message(), layer="splats"))
    assert isinstance(decoded, UnknownDelta)
    assert decoded.head.layer == "splats"
    assert decoded.head.epoch == 3


def test_unknown_columns_and_metadata_are_ignored() -> None:
    message = with_column(rewritten(mesh_message(), flavour="sweet"), "normals", pa.array([1.5]))
    decoded = decode(message)
    assert isinstance(decoded, MeshDelta)
    assert list(decoded.rows.split()) == [ROW]


def test_status_without_optional_metadata() -> None:
    head = DeltaHead("s", 1, 4, 4, 0.01, 0, world="given")
    decoded = decode(encode_status(Status("paused", reason="asked to"), head))
    assert isinstance(decoded, StatusDelta)
    assert decoded.status.reason == "asked to"
    assert decoded.head.frame_index is None
    assert decoded.head.world == "given"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"mapcast.version": "2"}, "version 2, this client speaks 1"),
        ({"layer": ""}, "no metadata 'layer'"),
        ({"epoch": "first"}, "broken metadata.*first"),
    ],
)
def test_broken_metadata_is_a_protocol_error(changes: dict[str, str], message: str) -> None:
    with pytest.raises(ProtocolError, match=message):
        decode(rewritten(mesh_message(), **changes))


@pytest.mark.parametrize(
    ("name", "column", "message"),
    [
        ("vertices", pa.array([bytes(10)]), "not a multiple of 3"),
        ("triangles", pa.array([bytes(8)]), "not a multiple of 6"),
        ("colors", pa.array([bytes(6)]), "as many colors as vertices"),
        ("triangles", pa.array([b"\0\0\1\0\3\0"]), "a vertex that its row does not have"),
        ("vertices", pa.array(["text"]), "vertices is string, must be binary"),
        ("block", pa.array([[1, 2]], pa.list_(pa.int32(), 2)), r"must be fixed_size_list<int32>"),
        ("block", pa.array([[1, 2, None]], pa.list_(pa.int32(), 3)), "empty values"),
        ("revision", pa.array([None], pa.uint64()), "empty values"),
        ("revision", pa.array([1], pa.int8()), "revision is int8, must be uint64"),
    ],
)
def test_broken_columns_are_protocol_errors(name: str, column: pa.Array, message: str) -> None:
    with pytest.raises(ProtocolError, match=message):
        decode(with_column(mesh_message(), name, column))


def test_missing_column_is_a_protocol_error() -> None:
    batch = pa.ipc.open_stream(mesh_message()).read_next_batch()
    with pytest.raises(ProtocolError, match="column colors is missing"):
        decode(written(batch.drop_columns("colors")))


def test_bytes_that_are_no_arrow_stream_are_a_protocol_error() -> None:
    for broken in (b"", b"GIF89a", mesh_message()[:100]):
        with pytest.raises(ProtocolError, match="Arrow stream"):
            decode(broken)


def test_status_of_two_rows_is_a_protocol_error() -> None:
    batch = pa.ipc.open_stream(encode_status(Status("active"), HEAD)).read_next_batch()
    two = pa.Table.from_batches([batch, batch]).combine_chunks().to_batches()[0]
    with pytest.raises(ProtocolError, match="status has 2 rows, must be 1"):
        decode(written(two))


@pytest.mark.parametrize("compression", ["", "gzip", "ZSTD"])
def test_unknown_compression_is_an_input_error(compression: str) -> None:
    with pytest.raises(InputError, match="must be one of none, lz4, zstd"):
        encode_mesh([ROW], [11], HEAD, compression)
    with pytest.raises(InputError, match="must be one of none, lz4, zstd"):
        encode_trajectory([], HEAD, compression)


def test_compression_makes_messages_smaller() -> None:
    rows = [MeshRow((i, 0, 0), bytes(300), bytes(300), bytes(600)) for i in range(50)]
    plain, lz4, zstd = (
        len(encode_mesh(rows, np.arange(50), HEAD, name)) for name in ("none", "lz4", "zstd")
    )
    assert zstd < plain / 4
    assert lz4 < plain / 4
