"""A camera's path: instants and poses; TUM text files."""

from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np
from numpy.typing import NDArray

from mapcast_client.errors import InputError
from slam.geometry import from_pose_vector, pose_vector


@dataclass(frozen=True, slots=True)
class Trajectory:
    """N poses in the order of time."""

    capture_ns: NDArray[np.int64]
    """(N,)"""
    world_from_camera: NDArray[np.float64]
    """(N, 4, 4)"""

    def __len__(self) -> int:
        return len(self.capture_ns)

    def to_tum(self) -> str:
        """Lines of `timestamp_s tx ty tz qx qy qz qw`, nanosecond-exact."""
        lines = []
        for capture_ns, pose in zip(self.capture_ns, self.world_from_camera, strict=True):
            numbers = " ".join(f"{x:.9g}" for x in pose_vector(pose))
            lines.append(f"{_seconds(int(capture_ns))} {numbers}\n")
        return "".join(lines)

    @classmethod
    def from_tum(cls, text: str, source: str | Path = "TUM trajectory") -> Self:
        """Read TUM lines; `#` begins a comment. Raises InputError with the line's number."""
        capture_ns, poses = [], []
        for number, line in enumerate(text.splitlines(), 1):
            fields = line.split("#", 1)[0].split()
            if not fields:
                continue
            try:
                values = np.array(fields[1:], np.float64)
                instant_ns = _nanoseconds(fields[0])
            except (ValueError, OverflowError):
                raise InputError(f"{source}, line {number}: not numbers: {line!r}") from None
            if values.shape != (7,) or not np.isfinite(values).all() or not values[3:].any():
                raise InputError(
                    f"{source}, line {number}: needs time, 3 coordinates and a quaternion, "
                    f"has {len(fields)} fields: {line!r}"
                )
            capture_ns.append(instant_ns)
            poses.append(from_pose_vector(values))
        return cls(np.array(capture_ns, np.int64), np.array(poses).reshape(-1, 4, 4))


def _seconds(instant_ns: int) -> str:
    """Decimal seconds with all nine places."""
    seconds, nanoseconds = divmod(abs(instant_ns), 1_000_000_000)
    return f"{'-' if instant_ns < 0 else ''}{seconds}.{nanoseconds:09d}"


def _nanoseconds(seconds: str) -> int:
    """Exact nanoseconds of decimal seconds; further places are cut off.

    Raises ValueError if it is no decimal number, OverflowError beyond 64 bits.
    """
    whole, _, fraction = seconds.removeprefix("-").partition(".")
    if not (whole + fraction).isdecimal():
        raise ValueError(seconds)
    magnitude_ns = int(whole or "0") * 1_000_000_000 + int(fraction[:9].ljust(9, "0"))
    return int(np.int64(-magnitude_ns if seconds.startswith("-") else magnitude_ns))
