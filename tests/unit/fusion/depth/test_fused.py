from dataclasses import dataclass

import numpy as np
import pytest

from fusion.depth.align import align
from fusion.depth.description import Quantity
from fusion.depth.fused import FusedDepth, filled
from fusion.depth.known import KnownDepth
from fusion.depth.network import PLAIN_CONFIDENCE
from fusion.depth.prediction import HostPrediction, Placement
from fusion.depth.source import DepthContext, EstimatedDepth
from slam.camera import Camera
from slam.frame import Frame

CAMERA = Camera(320, 240, 250.0, 250.0, 159.5, 119.5)
FRAME = Frame(0, 0, np.zeros((240, 320, 3), np.uint8))
NOWHERE = DepthContext(np.eye(4), np.empty((0, 3), np.float32))
NO_POINTS = KnownDepth.of_image(np.zeros((240, 320), np.float32), 1)
HOLE = np.s_[80:160, 120:220]


def slope_m():
    v, u = np.mgrid[:240, :320]
    return (1 + u / 320 + v / 480).astype(np.float32)


def with_hole(depth_m, confidence: int = 5) -> EstimatedDepth:
    depth_m = depth_m.copy()
    depth_m[HOLE] = 0
    return EstimatedDepth(depth_m, np.where(depth_m > 0, confidence, 0).astype(np.uint8))


@dataclass
class Scripted:
    """A depth source that always answers the same."""

    answer: EstimatedDepth | None
    camera: Camera = CAMERA

    def depth(self, frame: Frame, context: DepthContext) -> EstimatedDepth | None:
        return self.answer


@dataclass
class ScriptedNetwork(Scripted):
    """A network that always predicts the same."""

    guess_m: np.ndarray | None = None

    def prediction(self, frame: Frame) -> HostPrediction:
        return HostPrediction(self.guess_m, Placement(320, 240, 1, 1))

    def align(self, prediction: HostPrediction, known: KnownDepth):
        return align(prediction.at(known), known.depth_m, Quantity.METRIC)


def test_holes_are_filled_and_what_was_measured_stays() -> None:
    truth_m = slope_m()
    measured = with_hole(truth_m)
    fused = FusedDepth(Scripted(measured), ScriptedNetwork(None, guess_m=truth_m * 1.7))
    assert fused.camera is CAMERA
    estimated = fused.depth(FRAME, NOWHERE)
    there = measured.depth_m > 0
    np.testing.assert_array_equal(estimated.depth_m[there], measured.depth_m[there])
    np.testing.assert_array_equal(estimated.confidence[there], 5)
    np.testing.assert_allclose(estimated.depth_m[HOLE], truth_m[HOLE], rtol=0.01)
    assert (estimated.confidence[HOLE] == PLAIN_CONFIDENCE).all()
    assert not estimated.depth_m.flags.writeable
    assert not estimated.confidence.flags.writeable


def test_a_guess_that_is_bent_meets_the_measured_depth_without_a_step() -> None:
    truth_m = slope_m()
    v, u = np.mgrid[:240, :320]
    bent_m = truth_m * (1 + 0.3 * np.sin(u / 60) * np.cos(v / 50)).astype(np.float32)
    estimated = filled(with_hole(truth_m), bent_m, NO_POINTS)
    rows, columns = HOLE
    for side in (np.s_[rows.start, columns], np.s_[rows.stop - 1, columns]):
        np.testing.assert_allclose(estimated.depth_m[side], truth_m[side], rtol=0.03)
    bent_error = np.abs(bent_m[HOLE] / truth_m[HOLE] - 1).mean()
    assert np.abs(estimated.depth_m[HOLE] / truth_m[HOLE] - 1).mean() < bent_error / 2


def test_map_points_in_a_hole_bend_the_fill() -> None:
    truth_m = slope_m()
    guess_m = truth_m.copy()
    guess_m[HOLE] *= 0.75
    inside = np.zeros_like(truth_m)
    inside[88:152:8, 128:212:8] = truth_m[88:152:8, 128:212:8]
    points = KnownDepth.of_image(inside, 1000)
    inner = np.s_[96:144, 136:204]
    without = filled(with_hole(truth_m), guess_m, NO_POINTS).depth_m[inner]
    with_points = filled(with_hole(truth_m), guess_m, points).depth_m[inner]
    assert np.abs(without / truth_m[inner] - 1).mean() > 0.2
    assert np.abs(with_points / truth_m[inner] - 1).mean() < 0.06


def test_nothing_is_filled_across_an_edge_of_the_guess() -> None:
    guess_m = np.full((240, 320), 2, np.float32)
    guess_m[:, 170:] = 3
    estimated = filled(with_hole(guess_m), guess_m, NO_POINTS)
    assert not estimated.depth_m[HOLE][:, 49:51].any()
    assert not estimated.confidence[HOLE][:, 49:51].any()


def test_where_stereo_says_nothing_the_network_answers() -> None:
    alone = with_hole(slope_m(), 1)
    fused = FusedDepth(Scripted(None), ScriptedNetwork(alone))
    assert fused.depth(FRAME, NOWHERE) is alone


@pytest.mark.parametrize("guess_m", [np.full((240, 320), np.nan, np.float32)])
def test_where_the_network_cannot_be_aligned_stereo_answers_alone(guess_m) -> None:
    measured = with_hole(slope_m())
    fused = FusedDepth(Scripted(measured), ScriptedNetwork(None, guess_m=guess_m))
    assert fused.depth(FRAME, NOWHERE) is measured
