"""A publisher's device motion on its way to the session, in the clock of its frames."""

from collections import deque

import numpy as np
from numpy.typing import NDArray

from mapcast_client.v1 import ingest_pb2
from stream.webrtc.capture_clock import MinimumDelay

MAX_WAITING = 2000
"""Ten seconds at 200 Hz without a frame."""


class Motion:
    """Holds IMU samples until the next frame takes them along; drops the oldest, and late ones."""

    def __init__(self) -> None:
        self._delay = MinimumDelay()
        self._measured_ns: int | None = None
        self._waiting: deque[ingest_pb2.ImuSample] = deque(maxlen=MAX_WAITING)
        self._last_ns = 0

    def measured(self, server_from_sender_ns: int) -> None:
        """Note the offset to the sender's clock."""
        self._measured_ns = server_from_sender_ns

    def arrived(self, rows: NDArray[np.float64], now_ns: int) -> None:
        """Take (N, 7) samples: t_ms in the sender's clock, a in m/s², g in rad/s."""
        self._delay.arrived(int(rows[-1, 0] * 1e6), now_ns)
        offset_ns = self._measured_ns if self._measured_ns is not None else self._delay.offset_ns
        assert offset_ns is not None, "a sample has just arrived"
        for t_ms, ax, ay, az, gx, gy, gz in rows.tolist():
            capture_ns = int(t_ms * 1e6) + offset_ns
            if self._last_ns < capture_ns < now_ns + 1_000_000_000:
                self._last_ns = capture_ns
                self._waiting.append(
                    ingest_pb2.ImuSample(
                        capture_ns=capture_ns, ax=ax, ay=ay, az=az, gx=gx, gy=gy, gz=gz
                    )
                )

    def take(self) -> ingest_pb2.ImuBatch:
        """All that waits, in the order of time."""
        batch = ingest_pb2.ImuBatch(samples=self._waiting)
        self._waiting.clear()
        return batch
