"""IMU samples: checked as they come, resampled for each interval between two frames."""

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from mapcast_client.errors import FrameError, InputError
from mapcast_client.v1 import ingest_pb2

_GYROSCOPE_MAX = 100.0
"""rad/s; sensors end at 70 (4000 °/s)."""
_ACCELEROMETER_MAX = 1000.0
"""m/s²; sensors of phones and robots end at 314 (32 g)."""
MAX_BATCH_SAMPLES = 2000
"""In one message: a second at 2 kHz."""
_KEPT_SAMPLES = 20_000
"""Ten seconds at 2 kHz; beyond it the oldest go."""
_LATE_NS = 100_000_000
"""The last sample is held so long, for those of a frame's last milliseconds may come after it."""
_FEWEST_STEPS, _MOST_STEPS = 4, 2000

_AXES = ("gx", "gy", "gz", "ax", "ay", "az")


@dataclass(frozen=True, slots=True)
class ImuSamples:
    """N samples, in any order."""

    capture_ns: NDArray[np.int64]
    """(N,)"""
    values: NDArray[np.float64]
    """(N, 6) gx gy gz ax ay az: rad/s, and m/s² with gravity."""

    def __post_init__(self) -> None:
        shapes = (self.capture_ns.shape, self.values.shape)
        if shapes != ((len(self.capture_ns),), (len(self.capture_ns), len(_AXES))):
            raise InputError(f"IMU samples have shapes {shapes}, must be (N,) and (N, 6)")
        limits = np.repeat([_GYROSCOPE_MAX, _ACCELEROMETER_MAX], 3)
        wrong = np.argwhere(~(np.abs(self.values) <= limits))
        if len(wrong):
            row, axis = wrong[0]
            raise InputError(
                f"IMU sample {row}: {_AXES[axis]} is {self.values[row, axis]:g}, "
                f"must be within {limits[axis]:g} either way"
            )

    @classmethod
    def from_message(cls, message: ingest_pb2.ImuBatch) -> Self:
        """Read the wire's samples.

        Raises InputError if they are too many, or a value is beyond any sensor's, or NaN.
        """
        if len(message.samples) > MAX_BATCH_SAMPLES:
            raise InputError(
                f"a batch has {len(message.samples)} IMU samples, limit {MAX_BATCH_SAMPLES}"
            )
        rows = [[getattr(sample, axis) for axis in _AXES] for sample in message.samples]
        return cls(
            np.array([sample.capture_ns for sample in message.samples], np.int64),
            np.array(rows, np.float64).reshape(-1, len(_AXES)),
        )


class ImuBuffer:
    """The samples since the last frame, in the order of time.

    ORB-SLAM3 integrates what it gets without a look at it: a repeated instant divides by zero, an
    empty interval leaves it without a prediction. It gets evenly spaced samples, interpolated.
    """

    def __init__(self, rate_hz: float) -> None:
        self._rate_hz = rate_hz
        self._times_ns: NDArray[np.int64] = np.empty(0, np.int64)
        self._values: NDArray[np.float64] = np.empty((0, len(_AXES)))
        self._frame_ns: int | None = None

    @property
    def kept(self) -> int:
        """How many samples are waiting for a frame."""
        return len(self._times_ns)

    def add(self, samples: ImuSamples) -> None:
        """Take samples, in any order; of several of one instant the first one counts."""
        times_ns = np.concatenate([self._times_ns, samples.capture_ns])
        values = np.concatenate([self._values, samples.values])
        times_ns, first = np.unique(times_ns, return_index=True)
        self._times_ns, self._values = times_ns[-_KEPT_SAMPLES:], values[first][-_KEPT_SAMPLES:]
        if self._frame_ns is not None:
            self._forget_before(self._frame_ns)

    def until(
        self, capture_ns: int, frame_index: int
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """(M,) fractions of the time since the last frame, and (M, 6) samples there.

        The first frame gets one sample, the others at least four; the last is at the frame's own
        instant. Samples before it are forgotten, those well after it do not count yet. Raises
        FrameError, and forgets nothing, if there are none that reach the frame.
        """
        count = int(np.searchsorted(self._times_ns, capture_ns + _LATE_NS, side="right"))
        times_ns, values = self._times_ns[:count], self._values[:count]
        last_ns = int(times_ns[-1]) if count else None
        if last_ns is None or last_ns < capture_ns - _LATE_NS:
            what = "there are none" if last_ns is None else f"they end {capture_ns - last_ns} ns"
            raise FrameError(f"frame {frame_index}: needs IMU samples: {what} before it")
        fractions = np.ones(1)
        begin_ns = capture_ns
        if self._frame_ns is not None:
            begin_ns = self._frame_ns
            steps = round((capture_ns - begin_ns) * 1e-9 * self._rate_hz)
            steps = min(max(steps, _FEWEST_STEPS), _MOST_STEPS)
            fractions = np.arange(1, steps + 1) / steps
        at_ns = fractions * (capture_ns - begin_ns)
        since_ns = (times_ns - begin_ns).astype(np.float64)
        samples = np.stack([np.interp(at_ns, since_ns, column) for column in values.T], 1)
        self._frame_ns = capture_ns
        self._forget_before(capture_ns)
        return fractions, samples

    def _forget_before(self, capture_ns: int) -> None:
        """Keep the samples since, and one earlier to interpolate from."""
        first = max(int(np.searchsorted(self._times_ns, capture_ns, side="right")) - 1, 0)
        self._times_ns, self._values = self._times_ns[first:], self._values[first:]
