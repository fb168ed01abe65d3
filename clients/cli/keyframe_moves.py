"""How often keyframes were corrected, and how far."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

_Position = tuple[float, ...]


@dataclass(slots=True)
class KeyframeMoves:
    """Where each keyframe was told to be, and how often it was told to be elsewhere."""

    corrections: int = 0
    """Times that a keyframe moved after it had been told."""
    furthest_m: float = 0.0
    """The largest of these moves, in units of the map."""
    _epoch: int = 0
    _positions: dict[int, _Position] = field(default_factory=dict)

    @property
    def keyframes(self) -> int:
        """How many there are."""
        return len(self._positions)

    def put(self, epoch: int, capture_ns: int, world_from_keyframe: Sequence[float]) -> None:
        """Take note of a keyframe's (7,) pose; another epoch begins with none."""
        if epoch != self._epoch:
            self._epoch, self._positions = epoch, {}
        position = tuple(world_from_keyframe[:3])
        known = self._positions.get(capture_ns)
        if known is not None and known != position:
            self.corrections += 1
            self.furthest_m = max(self.furthest_m, math.dist(known, position))
        self._positions[capture_ns] = position

    def words(self) -> str:
        """For people."""
        told = f"{self.keyframes:,} keyframe{'' if self.keyframes == 1 else 's'}"
        if not self.corrections:
            return told
        return f"{told} (moved {self.corrections:,}×, ≤ {100 * self.furthest_m:.1f} cm)"
