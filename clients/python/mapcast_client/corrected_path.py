"""A sender's own path: its frames' results and the corrections since, as poses by now."""

import numpy as np
from numpy.typing import NDArray

from mapcast_client.errors import InputError
from mapcast_client.pose_rows import KeyframeRow, PoseVector, hung
from mapcast_client.poses import matrix_of_vector, pose_vector
from mapcast_client.v1 import ingest_pb2


class CorrectedPath:
    """Where the frames that were sent are by now, in the newest epoch.

    Results and corrections may be taken in any order. Memory: a pose per frame and per keyframe.
    """

    def __init__(self) -> None:
        self._epoch = 0
        self._told: dict[int, PoseVector] = {}
        self._hangs: dict[int, tuple[int, PoseVector]] = {}
        self._keyframes: dict[int, KeyframeRow] = {}

    @property
    def epoch(self) -> int:
        """The newest that a result or a correction was of: poses of others are forgotten."""
        return self._epoch

    def __len__(self) -> int:
        return len(self._told)

    def add(self, result: ingest_pb2.FrameResult) -> None:
        """Take a frame's result; one without a pose changes nothing."""
        if not result.HasField("world_from_camera") or not self._enter(result.epoch):
            return
        self._told[result.capture_ns] = pose_vector(result.world_from_camera)
        if result.HasField("keyframe_from_camera"):
            hang = result.keyframe_ns, pose_vector(result.keyframe_from_camera)
            self._hangs.setdefault(result.capture_ns, hang)  # a correction of it may be newer

    def correct(self, corrections: ingest_pb2.Corrections) -> None:
        """Move keyframes, and hang frames on other ones."""
        if not self._enter(corrections.epoch):
            return
        for keyframe in corrections.keyframes:
            pose = pose_vector(keyframe.world_from_keyframe)
            row = KeyframeRow(keyframe.capture_ns, pose, keyframe.scale, 0)
            self._keyframes[keyframe.capture_ns] = row
        for frame in corrections.frames:
            hang = frame.keyframe_ns, pose_vector(frame.keyframe_from_camera)
            self._hangs[frame.capture_ns] = hang

    def world_from_camera(self, capture_ns: int) -> NDArray[np.float64]:
        """(4, 4) pose of the frame of an instant, as it is by now.

        Raises InputError if none with a pose was added.
        """
        if capture_ns not in self._told:
            raise InputError(f"no frame of capture_ns {capture_ns} has a pose in the newest epoch")
        return matrix_of_vector(self._vector(capture_ns))

    def poses(self) -> dict[int, NDArray[np.float64]]:
        """capture_ns → (4, 4) world_from_camera of all frames, in the order of time."""
        return {instant: self.world_from_camera(instant) for instant in sorted(self._told)}

    def _vector(self, capture_ns: int) -> PoseVector:
        """By its keyframe; where that is not known, as the result said."""
        keyframe_ns, keyframe_from_camera = self._hangs.get(capture_ns, (capture_ns, ()))
        keyframe = self._keyframes.get(keyframe_ns)
        if keyframe is None or not keyframe_from_camera:
            return self._told[capture_ns]
        return hung(keyframe, keyframe_from_camera)

    def _enter(self, epoch: int) -> bool:
        """Whether what is of an epoch counts; a newer one begins with nothing."""
        if epoch > self._epoch:
            self._epoch = epoch
            self._told, self._hangs, self._keyframes = {}, {}, {}
        return epoch == self._epoch
