"""What travels on the data channels `imu` and `status`, read and written."""

import json
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mapcast_client.errors import InputError

MAX_MESSAGE_BYTES = 16 << 10
MAX_SAMPLES = 200
"""In one message: a second's worth."""
SAMPLE_VALUES = 7
LARGEST = 1e15
"""Milliseconds since 1970 are 2e12."""


@dataclass(frozen=True, slots=True)
class ClockQuestion:
    """The page asks what time it is here."""

    sent_ms: float


@dataclass(frozen=True, slots=True)
class ClockOffset:
    """The page tells how far its clock is from ours."""

    offset_ms: float
    """Server minus page."""
    round_trip_ms: float


def read_imu(message: str | bytes) -> NDArray[np.float64]:
    """(N, 7) rows of t_ms, ax, ay, az (m/s², gravity included), gx, gy, gz (rad/s).

    A message is JSON of one sample, or the rows themselves in binary. Raises InputError.
    """
    if len(message) > MAX_MESSAGE_BYTES:
        raise InputError(f"an imu message has {len(message)} bytes, limit {MAX_MESSAGE_BYTES}")
    if isinstance(message, bytes):
        if not message or len(message) % (8 * SAMPLE_VALUES):
            row_bytes = 8 * SAMPLE_VALUES
            raise InputError(
                f"a binary imu message has {len(message)} bytes, must be rows of {row_bytes}"
            )
        rows = np.frombuffer(message, "<f8").reshape(-1, SAMPLE_VALUES)
    else:
        sample = _read_json(message, "imu")
        values = [sample.get("t_ms"), *_triple(sample, "a"), *_triple(sample, "g")]
        rows = np.array([[_number(value, "imu sample") for value in values]])
    if len(rows) > MAX_SAMPLES:
        raise InputError(f"an imu message has {len(rows)} samples, limit {MAX_SAMPLES}")
    if not (np.abs(rows) < LARGEST).all():
        raise InputError("an imu message has values that are not finite, or not in these units")
    return rows


def read_status(message: str | bytes) -> ClockQuestion | ClockOffset:
    """Read what a page says on `status`. Raises InputError."""
    if len(message) > MAX_MESSAGE_BYTES:
        raise InputError(f"a status message has {len(message)} bytes, limit {MAX_MESSAGE_BYTES}")
    values = _read_json(message, "status")
    if values["type"] == "clock":
        return ClockQuestion(_number(values.get("sent_ms"), "sent_ms"))
    if values["type"] == "offset":
        offset_ms = _number(values.get("offset_ms"), "offset_ms")
        return ClockOffset(offset_ms, _number(values.get("round_trip_ms"), "round_trip_ms"))
    raise InputError(f"a status message is of type {values['type']!r:.40}, not clock or offset")


def _read_json(message: str | bytes, channel: str) -> dict[str, object]:
    try:
        values = json.loads(message)
    except (ValueError, RecursionError):
        raise InputError(f"a message on {channel} is not JSON") from None
    if not isinstance(values, dict) or not isinstance(values.get("type"), str):
        raise InputError(f"a message on {channel} has no type")
    return values


def _triple(sample: dict[str, object], name: str) -> list[object]:
    values = sample.get(name)
    if not isinstance(values, list) or len(values) != 3:
        raise InputError(f"an imu sample's {name} must be three numbers")
    return values


def _number(value: object, name: str) -> float:
    if isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < LARGEST:
        return float(value)
    raise InputError(f"{name} is {value!r:.40}, must be a finite number")
