import math

import numpy as np
import pytest

from replay.evaluate_depth import DepthQuality, DepthTrial


def image(*values: float):
    return np.array([values], np.float32)


def test_errors_are_over_pixels_that_have_both() -> None:
    quality = DepthQuality.of(image(1.1, 4, 0, 3), image(1, 2, 5, 0))
    assert quality.abs_rel == pytest.approx((0.1 + 1) / 2)
    assert quality.rmse_log == pytest.approx(math.sqrt((math.log(1.1) ** 2 + math.log(2) ** 2) / 2))
    assert quality.delta1 == 0.5
    assert quality.coverage == pytest.approx(2 / 3)


def test_an_estimate_that_is_too_near_fails_delta_as_one_too_far() -> None:
    assert DepthQuality.of(image(1, 1), image(1.3, 1.2)).delta1 == 0.5


def test_without_a_common_pixel_errors_are_unknown() -> None:
    quality = DepthQuality.of(image(0, 1), image(1, 0))
    assert math.isnan(quality.abs_rel)
    assert quality.coverage == 0


def test_the_mean_counts_every_image_the_same_and_unknown_errors_not() -> None:
    mean = DepthQuality.mean(
        [
            DepthQuality(0.1, 0.2, 0.9, 1.0),
            DepthQuality(0.3, 0.4, 0.7, 0.5),
            DepthQuality(math.nan, math.nan, math.nan, 0.0),
        ]
    )
    assert mean == DepthQuality(
        pytest.approx(0.2), pytest.approx(0.3), pytest.approx(0.8), pytest.approx(0.5)
    )


def test_the_mean_of_nothing_covers_nothing() -> None:
    mean = DepthQuality.mean([])
    assert math.isnan(mean.abs_rel)
    assert mean.coverage == 0


def test_sources_are_compared_in_metres_and_on_shared_pixels() -> None:
    trial = DepthTrial(image(2, 2, 2, 0), {"a": image(1, 0, 1.5, 1), "b": image(1, 1, 0, 1)})
    assert trial.quality("a", 2.0).abs_rel == pytest.approx(0.25)
    assert trial.quality("a", 2.0).coverage == pytest.approx(2 / 3)
    shared = trial.quality("a", 2.0, trial.answered("a") & trial.answered("b"))
    assert (shared.abs_rel, shared.coverage) == (0, 1)


def test_a_source_that_said_nothing_covers_nothing() -> None:
    trial = DepthTrial(image(2, 2), {"a": image(1, 1)})
    assert trial.quality("b", 1.0).coverage == 0
    assert not trial.answered("b").any()
    assert math.isnan(trial.quality("a", 1.0, trial.answered("b")).abs_rel)
