"""Which map ORB-SLAM3 is in, and where its keyframes are: learnt by polling its keyframe file."""

import math
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from slam.geometry import Mat4, distance

_NO_KEYFRAMES: Mapping[int, Mat4] = MappingProxyType({})


_DISCARDED_KEYFRAMES = 10
"""ORB-SLAM3 throws a map away when it loses track in it with so many keyframes or fewer."""

_RESCALED = math.log(1.03)
"""A map whose scale changed by more is another map: at 3 m, surfaces would be 9 cm apart."""

_MOVED = 0.05
"""Metres plus radians."""


class SessionMap:
    """The keyframes of the session's map: the first map that ORB-SLAM3 began, and kept.

    ORB-SLAM3 writes out the keyframes of its *active* map only. When it gives up a map and begins
    another, the two sets have no keyframe in common; when it merges them, they have again, in the
    coordinates of the older map. After it *discards* a map, as it does with a young one, they
    never will: then its next map is the session's, under another number.
    """

    def __init__(
        self, write_keyframes: Callable[[str], None], file: Path, young_s: float = 0.0
    ) -> None:
        """`young_s`: ORB-SLAM3 discards maps that span less time, whatever their keyframes."""
        self._write_keyframes = write_keyframes
        self._file = file
        self._young_us = young_s * 1e6
        self._keyframes: Mapping[int, Mat4] = _NO_KEYFRAMES
        self._connected = True
        self._active_keyframes = 0
        self._begin_us = 0
        self._number = 0

    @property
    def begun(self) -> bool:
        """Whether there is a session's map at all."""
        return bool(self._keyframes)

    @property
    def connected(self) -> bool:
        """Whether the active map was the session's at the last poll."""
        return self._connected

    @property
    def is_young(self) -> bool:
        """Whether ORB-SLAM3 discards the session's map when it loses track in it."""
        if len(self._keyframes) <= _DISCARDED_KEYFRAMES:
            return True
        return max(self._keyframes) - min(self._keyframes) < self._young_us

    @property
    def number(self) -> int:
        """Grows when the session's map becomes another, in other coordinates."""
        return self._number

    @property
    def keyframes(self) -> Mapping[int, Mat4]:
        """time_us → tracker_from_keyframe at the last poll that was connected."""
        return self._keyframes

    @property
    def active_keyframes(self) -> int:
        """How many keyframes the active map had at the last poll."""
        return self._active_keyframes

    def poll(self, may_begin: bool = True) -> None:
        """Read the active map's keyframes: about 15 µs each.

        `may_begin`: whether the active map, if it is not the session's, is fit to become it.
        """
        self._write_keyframes(str(self._file))
        polled = parse_keyframes(self._file.read_text())
        self._active_keyframes = len(polled)
        if self.begun:
            self._connected = not self._keyframes.keys().isdisjoint(polled)
        if self.begun and self._connected:
            # Keyframes from before its first: it was merged into a map that was given up for it.
            self._take(polled, is_another=min(polled) < self._begin_us)
        elif polled and may_begin and (not self.begun or self.is_young):
            self._take(polled, is_another=self.begun)
            self._connected = True

    def renumber(self) -> None:
        """Count the map as another from now on: it was changed as a whole."""
        self._number += 1

    def _take(self, polled: Mapping[int, Mat4], is_another: bool) -> None:
        if is_another:
            self._number += 1
        if is_another or not self.begun:
            self._begin_us = min(polled)
        self._keyframes = MappingProxyType(polled)


class MapWatch:
    """Notices that a map was changed as a whole, in one step or several.

    Inertial adjustments scale and move all that was there, some seconds after the map began.
    """

    def __init__(self) -> None:
        self._as_first_seen: dict[int, Mat4] = {}

    def restart(self, keyframes: Mapping[int, Mat4]) -> None:
        """Compare with these keyframes from now on, and with those that will be new."""
        self._as_first_seen = dict(keyframes)

    def is_rescaled(self, keyframes: Mapping[int, Mat4]) -> bool:
        """Whether the map's scale is another by more than 3 %."""
        self._as_first_seen = {**keyframes, **self._as_first_seen}
        return abs(math.log(scale_between(self._as_first_seen, keyframes))) > _RESCALED

    def is_moved(self, keyframes: Mapping[int, Mat4]) -> bool:
        """Whether most keyframes have moved by more than 5 cm, or turned by as many radians."""
        moves = [
            distance(self._as_first_seen[key], pose)
            for key, pose in keyframes.items()
            if key in self._as_first_seen
        ]
        return bool(moves) and float(np.median(moves)) > _MOVED


def scale_between(before: Mapping[int, Mat4], after: Mapping[int, Mat4]) -> float:
    """The size of `after` by that of `before`: of the spread of the keyframes that are in both.

    1 when there are fewer than three, or they are all in one place.
    """
    common = before.keys() & after.keys()
    if len(common) < 3:
        return 1.0
    spread_before, spread_after = (
        float(np.linalg.norm(centres - centres.mean(axis=0)))
        for centres in (
            np.array([keyframes[key][:3, 3] for key in common]) for keyframes in (before, after)
        )
    )
    return spread_after / spread_before if min(spread_before, spread_after) > 0 else 1.0


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
