"""Writes ONNX models of two nodes, byte by byte: tests need neither weights nor the onnx package.

Field numbers are those of onnx.proto3.
"""

from collections.abc import Sequence
from pathlib import Path

Shape = Sequence[int | str]
"""Fixed sides, and the names of free ones."""

_FLOAT = 1
_INT, _INTS = 2, 7
_IR_VERSION, _OPSET = 8, 13


def write_channel_mean(
    path: Path, shape: Shape = (1, 3, "h", "w"), axis: int = 1, stride: int = 1
) -> Path:
    """A network whose output `depth` is the mean over its input's channels.

    `stride`: each output pixel is the mean of so many squared (with the channels on axis 1).
    """
    mean = _node("ReduceMean", "image", "mean", _ints("axes", [axis]), _int("keepdims", 1))
    sides = _ints("kernel_shape", [stride, stride]), _ints("strides", [stride, stride])
    last = _node("AveragePool", "mean", "depth", *sides)
    if stride == 1:
        last = _node("Identity", "mean", "depth")
    return _write(path, [mean, last], _value("image", shape), _value("depth", tuple("abcd")))


def _write(path: Path, nodes: Sequence[bytes], given: bytes, gives: bytes) -> Path:
    named = b"".join(_bytes(1, node) for node in nodes) + _bytes(2, b"tiny")
    graph = named + _bytes(11, given) + _bytes(12, gives)
    path.write_bytes(_varint(1, _IR_VERSION) + _bytes(7, graph) + _bytes(8, _varint(2, _OPSET)))
    return path


def _node(op: str, given: str, gives: str, *attributes: bytes) -> bytes:
    named = _bytes(1, given.encode()) + _bytes(2, gives.encode()) + _bytes(4, op.encode())
    return named + b"".join(_bytes(5, attribute) for attribute in attributes)


def _int(name: str, value: int) -> bytes:
    return _bytes(1, name.encode()) + _varint(3, value) + _varint(20, _INT)


def _ints(name: str, values: Sequence[int]) -> bytes:
    numbers = b"".join(_varint(8, value) for value in values)
    return _bytes(1, name.encode()) + numbers + _varint(20, _INTS)


def _value(name: str, shape: Shape) -> bytes:
    dims = b"".join(
        _bytes(1, _varint(1, side) if isinstance(side, int) else _bytes(2, side.encode()))
        for side in shape
    )
    tensor = _varint(1, _FLOAT) + _bytes(2, dims)
    return _bytes(1, name.encode()) + _bytes(2, _bytes(1, tensor))


def _varint(field: int, value: int) -> bytes:
    return _number(field << 3) + _number(value)


def _bytes(field: int, value: bytes) -> bytes:
    return _number(field << 3 | 2) + _number(len(value)) + value


def _number(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*out, value])
