"""Keyframes of the rendered room, as a refiner gets them, and poses that are a little wrong."""

from functools import cache

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from replay.rendered import RenderedSequence, RenderedSettings
from slam.constraint import Constraint
from slam.frame import Frame
from slam.geometry import Mat4, distance, inverse
from slam.images import decode_frame
from slam.refine_messages import Picture, RefineRequest

FRAMES, EVERY = 72, 6


@cache
def frames() -> tuple[Frame, ...]:
    """Every sixth frame of a short walk out and back."""
    walk = sequence()
    messages = [next(walk.frames(1, start)) for start in range(0, FRAMES, EVERY)]
    return tuple(decode_frame(message, walk.calibration) for message in messages)


@cache
def sequence() -> RenderedSequence:
    return RenderedSequence(RenderedSettings(frames=FRAMES))


def truth() -> dict[int, Mat4]:
    path = sequence().ground_truth
    return dict(zip(path.capture_ns.tolist(), path.world_from_camera, strict=True))


def picture(frame: Frame, *, is_monocular: bool = False) -> Picture:
    gray = np.asarray(cv2.cvtColor(frame.color, cv2.COLOR_RGB2GRAY), np.uint8)
    depth = None if is_monocular else frame.depth
    return Picture(frame.capture_ns, gray, depth, frame.depth_scale_m)


def request(poses: dict[int, Mat4], *, is_monocular: bool = False) -> RefineRequest:
    pictures = tuple(picture(frame, is_monocular=is_monocular) for frame in frames())
    return RefineRequest(pictures, poses, is_whole=True)


def shaken(sigma_m: float = 0.006, sigma_rad: float = 0.003) -> dict[int, Mat4]:
    """The true poses of the keyframes, each off by some millimetres and milliradians."""
    rng = np.random.default_rng(4)
    poses = {}
    for frame in frames():
        off = np.eye(4)
        off[:3, :3] = Rotation.from_rotvec(rng.normal(0, sigma_rad, 3)).as_matrix()
        off[:3, 3] = rng.normal(0, sigma_m, 3)
        poses[frame.capture_ns] = truth()[frame.capture_ns] @ off
    return poses


def errors(constraints: tuple[Constraint, ...], poses: dict[int, Mat4]) -> NDArray[np.float64]:
    """How far relative poses of pairs are from the truth: as measured, and as `poses` have them."""
    rows = []
    for each in constraints:
        true = relative(truth(), each)
        rows.append([distance(each.first_from_second, true), distance(relative(poses, each), true)])
    return np.array(rows)


def relative(poses: dict[int, Mat4], pair: Constraint) -> Mat4:
    return inverse(poses[pair.first_ns]) @ poses[pair.second_ns]
