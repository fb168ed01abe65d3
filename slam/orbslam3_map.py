"""Which map ORB-SLAM3 is in, and where its keyframes are: learnt by polling its keyframe file."""

from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from slam.geometry import Mat4

_NO_KEYFRAMES: Mapping[int, Mat4] = MappingProxyType({})


class SessionMap:
    """The keyframes of the session's map: the first map that ORB-SLAM3 began.

    ORB-SLAM3 writes out the keyframes of its *active* map only. When it gives up a map and begins
    another, the two sets have no keyframe in common; when it merges them, they have again, in the
    coordinates of the older map. (After it *discards* a map of few keyframes, they never will.)
    """

    def __init__(self, write_keyframes: Callable[[str], None], file: Path) -> None:
        self._write_keyframes = write_keyframes
        self._file = file
        self._keyframes: Mapping[int, Mat4] = _NO_KEYFRAMES
        self._connected = True
        self._active_keyframes = 0

    @property
    def begun(self) -> bool:
        """Whether there is a session's map at all."""
        return bool(self._keyframes)

    @property
    def connected(self) -> bool:
        """Whether the active map was the session's at the last poll."""
        return self._connected

    @property
    def keyframes(self) -> Mapping[int, Mat4]:
        """time_us → tracker_from_keyframe at the last poll that was connected."""
        return self._keyframes

    @property
    def active_keyframes(self) -> int:
        """How many keyframes the active map had at the last poll."""
        return self._active_keyframes

    def poll(self) -> None:
        """Read the active map's keyframes: about 15 µs each."""
        self._write_keyframes(str(self._file))
        polled = parse_keyframes(self._file.read_text())
        self._active_keyframes = len(polled)
        self._connected = not self.begun or not self._keyframes.keys().isdisjoint(polled)
        if self._connected:
            self._keyframes = MappingProxyType(polled)


def parse_keyframes(text: str) -> dict[int, Mat4]:
    """Microseconds → pose, of lines of `seconds tx ty tz qx qy qz qw`."""
    table = np.array(text.split(), np.float64).reshape(-1, 8)
    poses: NDArray[np.float64] = np.zeros((len(table), 4, 4))
    if len(table):
        poses[:, :3, :3] = Rotation.from_quat(table[:, 4:]).as_matrix()
        poses[:, :3, 3] = table[:, 1:4]
        poses[:, 3, 3] = 1.0
    times_us = np.rint(table[:, 0] * 1e6).astype(np.int64)
    return dict(zip(times_us.tolist(), poses, strict=True))
