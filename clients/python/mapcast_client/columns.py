"""Arrow columns and batches: flat arrays in and out of one IPC stream, checked.

pyarrow has no type stubs: its objects are `Any` here and go no further than `delta.py`.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from mapcast_client.errors import InputError, ProtocolError

_MAX_COLUMN_BYTES = 2**31 - 1  # offsets of Arrow's `binary` are int32
_WRITE_OPTIONS = {
    "none": pa.ipc.IpcWriteOptions(),
    "lz4": pa.ipc.IpcWriteOptions(compression="lz4"),
    "zstd": pa.ipc.IpcWriteOptions(compression="zstd"),
}


def require_compression(name: str) -> None:
    """Raise InputError unless `name` is none, lz4 or zstd."""
    if name not in _WRITE_OPTIONS:
        raise InputError(f"compression is {name!r}, must be one of {', '.join(_WRITE_OPTIONS)}")


def binary_array(payloads: Sequence[bytes], name: str) -> Any:
    """Build a `binary` array of one payload a row: joined bytes and the sums of their lengths.

    Raises InputError when they exceed 2 GiB together.
    """
    offsets = np.zeros(len(payloads) + 1, np.int64)
    np.cumsum(np.fromiter(map(len, payloads), np.int64, len(payloads)), out=offsets[1:])
    if offsets[-1] > _MAX_COLUMN_BYTES:
        raise InputError(f"{name}: {offsets[-1]} bytes in one message, limit {_MAX_COLUMN_BYTES}")
    buffers = [None, pa.py_buffer(offsets.astype(np.int32)), pa.py_buffer(b"".join(payloads))]
    return pa.BinaryArray.from_buffers(pa.binary(), len(payloads), buffers)


def list_array(values: NDArray[Any], length: int) -> Any:
    """Build a fixed-size-list array of flat values."""
    return pa.FixedSizeListArray.from_arrays(pa.array(values), length)


def write_batch(
    columns: Sequence[Any], schema: Any, metadata: dict[str, str], compression: str
) -> bytes:
    """Write one record batch as a self-contained Arrow IPC stream."""
    schema = schema.with_metadata(metadata)
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, schema, options=_WRITE_OPTIONS[compression]) as writer:
        writer.write_batch(pa.RecordBatch.from_arrays(columns, schema=schema))
    return bytes(sink.getvalue())


def read_batch(data: bytes) -> Any:
    """Read the record batch of an Arrow IPC stream. Raises ProtocolError when it is broken."""
    try:
        with pa.ipc.open_stream(data) as reader:
            batch = reader.read_next_batch()
        batch.validate(full=True)
    except StopIteration:
        raise ProtocolError("map delta: an Arrow stream without a record batch") from None
    except (pa.ArrowException, OSError, ValueError) as error:
        raise ProtocolError(f"map delta: not a sound Arrow stream: {error}") from None
    return batch


def plain_column(batch: Any, name: str, kind: Any) -> NDArray[Any]:
    """Return a column of numbers, booleans or strings as an (N,) array. Raises ProtocolError."""
    column = _column(batch, name)
    if column.type != kind:
        raise ProtocolError(f"map delta: column {name} is {column.type}, must be {kind}")
    return _read_only(column.to_numpy(zero_copy_only=False))


def list_column(batch: Any, name: str, kind: Any, length: int) -> NDArray[Any]:
    """Return a fixed-size-list column as an (N, length) array. Raises ProtocolError."""
    column = _column(batch, name)
    fits = pa.types.is_fixed_size_list(column.type) and column.type.value_type == kind
    if not fits or column.type.list_size != length:
        raise ProtocolError(
            f"map delta: column {name} is {column.type}, must be fixed_size_list<{kind}>[{length}]"
        )
    values = column.flatten()
    if values.null_count:
        raise ProtocolError(f"map delta: column {name} has empty values")
    return _read_only(values.to_numpy().reshape(-1, length))


def binary_column(
    batch: Any, name: str, unit_bytes: int
) -> tuple[NDArray[np.uint32], NDArray[np.uint8]]:
    """Return a `binary` column as the units in each row (N,), and all its bytes side by side.

    Raises ProtocolError when a row's length is not a multiple of `unit_bytes`.
    """
    column = _column(batch, name)
    if column.type != pa.binary():
        raise ProtocolError(f"map delta: column {name} is {column.type}, must be binary")
    if len(column) == 0:
        return np.zeros(0, np.uint32), np.zeros(0, np.uint8)
    _, offsets_buffer, payload = column.buffers()
    offsets = np.frombuffer(offsets_buffer, "<i4", len(column) + 1, 4 * column.offset)
    lengths = np.diff(offsets)
    if (lengths % unit_bytes).any():
        raise ProtocolError(f"map delta: a row of {name} is not a multiple of {unit_bytes} bytes")
    content = np.frombuffer(payload if payload is not None else b"", np.uint8)
    counts = (lengths // unit_bytes).astype(np.uint32)
    return counts, _read_only(content[offsets[0] : offsets[-1]])


def _read_only(array: NDArray[Any]) -> NDArray[Any]:
    array.flags.writeable = False
    return array


def _column(batch: Any, name: str) -> Any:
    at = batch.schema.get_field_index(name)
    if at < 0:
        raise ProtocolError(f"map delta: column {name} is missing")
    column = batch.column(at)
    if column.null_count:
        raise ProtocolError(f"map delta: column {name} has empty values")
    return column
