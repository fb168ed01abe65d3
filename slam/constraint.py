"""What is known about two keyframes beside what the tracker says."""

from dataclasses import dataclass
from typing import Literal

from slam.geometry import Mat4

ConstraintSource = Literal["refinement", "alignment"]


@dataclass(frozen=True, slots=True)
class Constraint:
    """A measured relative pose between two keyframes, with how sure it is."""

    source: ConstraintSource
    first_ns: int
    """capture_ns of the one keyframe."""
    second_ns: int
    first_from_second: Mat4
    """World units; rigid."""
    sigma_m: float
    """Standard deviation of the translation, per axis."""
    sigma_rad: float
    """Standard deviation of the rotation, per axis."""
    scale: float = 1.0
    """Monocular: the second keyframe's scale in terms of the first one's."""
    sigma_log_scale: float = 0.0
    """Standard deviation of its logarithm; 0: the scale is not measured."""
