"""What goes between a worker and its refining process."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gpu.discovery import CPU
from slam.camera import Camera
from slam.constraint import Constraint
from slam.frame import DepthImage
from slam.geometry import Mat4


@dataclass(frozen=True, slots=True)
class Picture:
    """What refinement looks at of a keyframe; the arrays are read-only."""

    capture_ns: int
    gray: NDArray[np.uint8]
    """(H, W)"""
    depth: DepthImage | None
    """(H, W) along +Z, 0 = invalid; None: monocular."""
    depth_scale_m: float


@dataclass(frozen=True, slots=True)
class RefineRequest:
    """New keyframes, and where all keyframes are by now."""

    pictures: tuple[Picture, ...]
    world_from_keyframe: Mapping[int, Mat4]
    """By capture_ns; those whose picture never came are left alone."""
    is_whole: bool = False
    """Adjust everything that fits the bound, not only what surrounds the new keyframes."""


@dataclass(frozen=True, slots=True)
class CameraOffer:
    """A camera that fits a session's keyframes better than the one it was opened with."""

    camera: Camera
    """Of the frames as they came; where they are distorted, with the distortion that goes with it.
    """
    keyframes: int
    """That it rests on."""
    reprojection_px: float
    """Median over what they see."""


@dataclass(frozen=True, slots=True)
class RefineResult:
    """What a run found, and whether it is believed."""

    accepted: bool
    reason: str
    """Why the adjustment was rejected; empty if it was accepted."""
    constraints: tuple[Constraint, ...]
    """Between neighbouring keyframes if accepted, and those of `loops` in any case."""
    keyframes: tuple[int, ...]
    """capture_ns of those adjusted, in order of time."""
    new_keyframes: int
    loops: int
    """How many constraints join keyframes whose poses disagree with what both see."""
    reprojection_px: tuple[float, float]
    """Mean over the observations, before and after."""
    seconds: float
    """The run's CPU time."""
    offer: CameraOffer | None = None
    """The camera that was found, where intrinsics are free and this is news."""
    why_no_offer: str = ""
    """Why a camera that was found is not offered."""


@dataclass(frozen=True, slots=True)
class RefineStart:
    """What the process is told first."""

    camera: Camera
    """Of the frames; their distortion has been taken out of the pictures."""
    free_intrinsics: bool
    backend: str = CPU
    """Where features are matched: a choice as `gpu.discovery` takes it."""
