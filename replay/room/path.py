"""A hand-held walk around the room that ends where it began."""

import numpy as np
from numpy.typing import NDArray

from slam.geometry import rigid

_LAP_S = 30.0
_SHORTEST_LAP_S = 27.0
_RADII_M = (1.28, 0.86)
_EYE_M = 1.42


def walk(frames: int, frame_rate_hz: float, seed: int) -> NDArray[np.float64]:
    """(frames, 4, 4) world_from_camera, at most 0.5 m/s and 40°/s; frame `frames` would be frame 0.

    The camera goes round the table on an ellipse and looks between outward and across the room.
    Walks too short for a lap go out along the ellipse and come back.
    """
    rng = np.random.default_rng(seed)
    duration_s = frames / frame_rate_hz
    turn = 2 * np.pi * np.arange(frames) / frames
    if duration_s >= _SHORTEST_LAP_S:
        angle = int(duration_s / _SHORTEST_LAP_S) * turn
    else:
        # Its fastest moment, half way out, is as fast as a lap's mean.
        reach = 2 * duration_s / _LAP_S
        angle = reach * (1 - np.cos(turn)) / 2
    angle = angle + rng.uniform(0, 2 * np.pi)
    sway = _Sway(rng, duration_s, turn)
    x = _RADII_M[0] * np.cos(angle) + sway.slow(0.05) + sway.tremor(0.002)
    y = _RADII_M[1] * np.sin(angle) + sway.slow(0.05) + sway.tremor(0.002)
    z = _EYE_M + sway.slow(0.07) + sway.tremor(0.003)
    phase = rng.uniform(0, 2 * np.pi)
    across = np.radians(122 + 38 * np.sin(2 * angle + phase))
    yaw = angle + across + np.radians(sway.slow(2.5) + sway.tremor(0.12))
    pitch = np.radians(-19 + 6 * np.sin(3 * angle + phase) + sway.slow(2.5) + sway.tremor(0.12))
    roll = np.radians(sway.slow(2.0) + sway.tremor(0.1))
    return np.array([_looking(*values) for values in zip(x, y, z, yaw, pitch, roll, strict=True)])


class _Sway:
    """Sums of whole-numbered harmonics of the walk, so that they, too, end where they began."""

    def __init__(
        self, rng: np.random.Generator, duration_s: float, turn: NDArray[np.float64]
    ) -> None:
        self._rng, self._duration_s, self._turn = rng, duration_s, turn

    def slow(self, amplitude: float) -> NDArray[np.float64]:
        """Breathing and steps: 0.05 to 0.35 Hz."""
        return self._waves(amplitude, np.array([0.06, 0.13, 0.21, 0.33]))

    def tremor(self, amplitude: float) -> NDArray[np.float64]:
        """A hand's tremor: 1 to 3 Hz."""
        return self._waves(amplitude, np.array([1.1, 1.7, 2.6]))

    def _waves(self, amplitude: float, rates_hz: NDArray[np.float64]) -> NDArray[np.float64]:
        """Harmonics near the given rates with random phases; together at most `amplitude`."""
        harmonics = np.round(
            rates_hz * self._rng.uniform(0.8, 1.2, len(rates_hz)) * self._duration_s
        )
        phases = self._rng.uniform(0, 2 * np.pi, len(rates_hz))
        weights = self._rng.uniform(0.5, 1.0, len(rates_hz))
        waves = np.sin(np.outer(self._turn, harmonics) + phases) @ weights
        scaled: NDArray[np.float64] = amplitude * waves / weights.sum()
        return scaled


def _looking(
    x: float, y: float, z: float, yaw: float, pitch: float, roll: float
) -> NDArray[np.float64]:
    """(4, 4) world_from_camera of an optical frame at (x, y, z).

    At zero angles it looks along world +X with its +Y down.
    """
    forward = np.array([np.cos(pitch) * np.cos(yaw), np.cos(pitch) * np.sin(yaw), np.sin(pitch)])
    right = np.array([np.sin(yaw), -np.cos(yaw), 0.0])
    down = np.cross(forward, right)
    cos, sin = np.cos(roll), np.sin(roll)
    axes = np.stack([cos * right + sin * down, cos * down - sin * right, forward], axis=1)
    return rigid(axes, np.array([x, y, z]))
