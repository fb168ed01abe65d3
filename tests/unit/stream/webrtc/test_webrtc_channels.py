"""Messages of data channels: what they say, and what is refused."""

import json

import numpy as np
import pytest

from mapcast_client.errors import InputError
from stream.webrtc.channels import (
    MAX_MESSAGE_BYTES,
    ClockOffset,
    ClockQuestion,
    read_imu,
    read_status,
)


def test_a_sample_in_json_and_rows_in_binary_say_the_same() -> None:
    text = json.dumps({"type": "imu", "t_ms": 1.5, "a": [1, 2, 3], "g": [4, 5, 6]})
    rows = np.array([[1.5, 1, 2, 3, 4, 5, 6]])
    assert np.array_equal(read_imu(text), rows)
    assert np.array_equal(read_imu(rows.tobytes()), rows)
    assert read_imu(np.repeat(rows, 9, axis=0).tobytes()).shape == (9, 7)


@pytest.mark.parametrize(
    "message",
    [
        "",
        "nonsense",
        "[]",
        "{}",
        '{"type":"imu"}',
        '{"type":"imu","t_ms":1,"a":[1,2],"g":[1,2,3]}',
        '{"type":"imu","t_ms":"1","a":[1,2,3],"g":[1,2,3]}',
        '{"type":"imu","t_ms":NaN,"a":[1,2,3],"g":[1,2,3]}',
        '{"type":"imu","t_ms":1' + "0" * 400 + ',"a":[1,2,3],"g":[1,2,3]}',
        '{"type":"imu","t_ms":true,"a":[1,2,3],"g":[1,2,3]}',
        "[" * 10_000,
        b"",
        b"x" * 55,
        np.full((1, 7), np.nan).tobytes(),
        np.full((1, 7), 1e300).tobytes(),
        bytes(56 * 250),
        bytes(MAX_MESSAGE_BYTES + 56),
    ],
)
def test_malformed_motion_is_refused(message: str | bytes) -> None:
    with pytest.raises(InputError):
        read_imu(message)


def test_clock_messages_are_read() -> None:
    assert read_status('{"type":"clock","sent_ms":12.5}') == ClockQuestion(12.5)
    offset = read_status('{"type":"offset","offset_ms":-3,"round_trip_ms":1}')
    assert offset == ClockOffset(-3, 1)


@pytest.mark.parametrize(
    "message",
    ["", "{}", '{"type":"clock"}', '{"type":"offset","offset_ms":1}', '{"type":"other"}', b"\xff"],
)
def test_malformed_status_messages_are_refused(message: str | bytes) -> None:
    with pytest.raises(InputError):
        read_status(message)
