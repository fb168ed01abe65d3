from dataclasses import replace
from typing import Any

import numpy as np
import plane_scene
import pytest

from mapcast_client.errors import FrameError
from slam.frame import FrameGate

FRAME = plane_scene.frame(7, 0, capture_ns=1000)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"color": np.zeros((0, 0, 3), np.uint8)}, r"colour image has shape \(0, 0, 3\)"),
        ({"color": np.zeros((240, 320), np.uint8)}, r"colour image.*must be \(240, 320, 3\)"),
        ({"color": np.zeros((240, 320, 3), np.float32)}, "colour image is float32, must be uint8"),
        ({"depth": np.zeros((240, 160), np.uint16)}, r"depth image has shape \(240, 160\)"),
        ({"depth": np.zeros((240, 320))}, "depth image is float64, must be uint16 or float32"),
        ({"depth_scale_m": float("nan")}, "depth_scale_m is nan, must be positive"),
    ],
)
def test_a_frame_that_does_not_fit_is_refused_by_name(change: Any, message: str) -> None:
    gate = FrameGate(plane_scene.CALIBRATION.camera)
    with pytest.raises(FrameError, match=f"frame 7: {message}"):
        gate.admit(replace(FRAME, **change))
    gate.admit(FRAME)


@pytest.mark.parametrize("capture_ns", [1000, 999, -(2**63)])
def test_time_does_not_go_back(capture_ns: int) -> None:
    gate = FrameGate(plane_scene.CALIBRATION.camera)
    gate.admit(FRAME)
    with pytest.raises(FrameError, match=f"frame 8: capture_ns is {capture_ns}, must be greater "):
        gate.admit(replace(FRAME, index=8, capture_ns=capture_ns))
    gate.admit(replace(FRAME, index=9, capture_ns=1001))


def test_depth_may_be_missing_only_where_it_is_not_needed() -> None:
    camera, colour_alone = plane_scene.CALIBRATION.camera, replace(FRAME, depth=None)
    with pytest.raises(FrameError, match="frame 7 has no depth, which RGB-D tracking needs"):
        FrameGate(camera).admit(colour_alone)
    FrameGate(camera, needs_depth=False).admit(colour_alone)
