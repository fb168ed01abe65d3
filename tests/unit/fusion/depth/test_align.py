import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fusion.depth.align import FEWEST_POINTS, align
from fusion.depth.description import Quantity

DEPTH_M = np.random.default_rng(3).uniform(0.8, 4.0, 200).astype(np.float32)


def predicted(depth_m, quantity, scale, shift):
    """What a network says that errs by scale and shift only."""
    y = 1 / depth_m if quantity is Quantity.INVERSE else depth_m
    return ((y - shift) / scale).astype(np.float32)


def relative_error(aligned, depth_m):
    return np.abs(aligned / depth_m - 1)


@pytest.mark.parametrize("quantity", list(Quantity))
@settings(deadline=None, max_examples=25)
@given(scale=st.floats(0.01, 100), shift=st.floats(-0.2, 0.2), seed=st.integers(0, 100))
def test_scale_and_shift_are_found_though_a_third_of_the_points_is_wrong(
    quantity: Quantity, scale: float, shift: float, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    if quantity is Quantity.METRIC:
        shift = 0.0
    prediction = predicted(DEPTH_M, quantity, scale, shift)
    known = np.where(rng.random(200) < 0.33, DEPTH_M * rng.uniform(0.1, 8, 200), DEPTH_M)
    alignment = align(prediction, known.astype(np.float32), quantity)
    assert alignment is not None
    assert relative_error(alignment.depth_m(prediction), DEPTH_M).max() < 0.03


def test_a_metric_network_gets_a_shift_where_the_depths_tell_it() -> None:
    alignment = align(predicted(DEPTH_M, Quantity.METRIC, 0.7, 0.5), DEPTH_M, Quantity.METRIC)
    assert alignment is not None
    assert alignment.scale == pytest.approx(0.7, rel=0.03)
    assert alignment.shift == pytest.approx(0.5, abs=0.05)


def test_where_depths_hardly_differ_a_metric_network_gets_a_scale_only() -> None:
    depth_m = np.linspace(2.0, 2.1, 50, dtype=np.float32)
    noise = np.random.default_rng(0).normal(1, 0.05, 50).astype(np.float32)
    alignment = align(depth_m / 1.6 * noise, depth_m, Quantity.METRIC)
    assert alignment is not None
    assert alignment.shift == 0
    assert alignment.scale == pytest.approx(1.6, rel=0.02)


@pytest.mark.parametrize("quantity", [Quantity.RELATIVE, Quantity.INVERSE])
def test_where_depths_hardly_differ_a_shift_cannot_be_known(quantity: Quantity) -> None:
    depth_m = np.linspace(2.0, 2.1, 50, dtype=np.float32)
    assert align(predicted(depth_m, quantity, 3.0, 0.1), depth_m, quantity) is None


@pytest.mark.parametrize("quantity", list(Quantity))
@pytest.mark.parametrize("count", [0, 1, FEWEST_POINTS - 1])
def test_few_points_say_nothing(quantity: Quantity, count: int) -> None:
    assert align(DEPTH_M[:count], DEPTH_M[:count], quantity) is None


@pytest.mark.parametrize("quantity", [Quantity.RELATIVE, Quantity.INVERSE])
def test_a_prediction_that_is_the_same_everywhere_says_nothing(quantity: Quantity) -> None:
    assert align(np.ones(200, np.float32), DEPTH_M, quantity) is None


def test_a_network_that_sees_something_else_is_not_believed() -> None:
    rng = np.random.default_rng(0)
    known = np.geomspace(0.1, 100, 200).astype(np.float32)
    assert align(rng.permutation(known), known, Quantity.METRIC) is None


@pytest.mark.parametrize("quantity", list(Quantity))
def test_what_is_not_finite_is_left_out(quantity: Quantity) -> None:
    prediction = predicted(DEPTH_M, quantity, 2.0, 0.0)
    prediction[::5] = np.nan
    known = DEPTH_M.copy()
    known[1::5] = 0
    alignment = align(prediction, known, quantity)
    assert alignment is not None
    depth_m = alignment.depth_m(prediction)
    assert not depth_m[::5].any()
    assert relative_error(depth_m[2::5], DEPTH_M[2::5]).max() < 1e-3


@pytest.mark.parametrize("quantity", list(Quantity))
def test_depth_is_never_negative_nor_far_beyond_the_points(quantity: Quantity) -> None:
    alignment = align(predicted(DEPTH_M, quantity, 2.0, 0.1), DEPTH_M, quantity)
    assert alignment is not None
    depth_m = alignment.depth_m(np.linspace(-1000, 1000, 100_001, dtype=np.float32))
    there = depth_m[depth_m > 0]
    assert np.isfinite(depth_m).all()
    assert (depth_m >= 0).all()
    assert there.min() > DEPTH_M.min() / 5
    assert there.max() < DEPTH_M.max() * 5
