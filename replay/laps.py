"""A closed walk that goes on past its start, so that it sees the same again."""

from collections.abc import Iterator

import numpy as np

from mapcast_client.errors import InputError
from mapcast_client.v1 import ingest_pb2
from replay.sequence import RgbdSequence, Sensor
from slam.camera import Calibration
from slam.trajectory import Trajectory


class SecondLap:
    """A sequence whose last frame leads back to its first, and then its first frames again.

    Implements `RgbdSequence`. Indices and instants go on.
    """

    def __init__(self, lap: RgbdSequence, again: int) -> None:
        """Walk round once and then `again` frames further. Raises InputError without a path."""
        if lap.ground_truth is None:
            raise InputError(f"{lap.name} has no ground truth: it may not end where it began")
        self._lap, self._again = lap, again
        self.sensor: Sensor = lap.sensor
        self.name = f"{lap.name}, and {again} frames of it again"
        self.calibration: Calibration = lap.calibration
        self.frame_rate_hz = lap.frame_rate_hz
        self.ground_truth = self._path(lap.ground_truth)

    def _path(self, lap: Trajectory) -> Trajectory:
        rows = np.arange(len(self)) % len(self._lap)
        instants = [self._capture_ns(index) for index in range(len(self))]
        return Trajectory(np.array(instants, np.int64), lap.world_from_camera[rows])

    def _capture_ns(self, index: int) -> int:
        return round(index * 1e9 / self.frame_rate_hz)

    def __len__(self) -> int:
        return len(self._lap) + self._again

    def frames(self, limit: int | None = None, start: int = 0) -> Iterator[ingest_pb2.Frame]:
        """At most `limit` frames from `start`, in order."""
        stop = len(self) if limit is None else min(len(self), start + limit)
        index = start
        while index < stop:
            at = index % len(self._lap)
            count = min(stop - index, len(self._lap) - at)
            for frame in self._lap.frames(count, at):
                yield self._renumbered(frame, index)
                index += 1

    def _renumbered(self, frame: ingest_pb2.Frame, index: int) -> ingest_pb2.Frame:
        copy = ingest_pb2.Frame()
        copy.CopyFrom(frame)
        copy.index, copy.capture_ns = index, self._capture_ns(index)
        return copy
