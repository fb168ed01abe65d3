"""How the stereo bench counts: by hand, on a few pixels."""

import cv2
import numpy as np
import pytest

from clients.cli.bench.sgbm import SgbmSettings, tuned
from clients.cli.bench.stereo_scenes import StereoScene, score
from gpu.stereo import StereoMatcher


def scene(truth, left=None, right=None):
    truth = np.array(truth, np.float32)
    nothing = np.zeros(truth.shape, np.uint8)
    left, right = (nothing if side is None else side for side in (left, right))
    return StereoScene("made up", left, right, truth)


def test_what_something_nearer_hides_or_lies_outside_is_not_visible():
    truth = [[2, 1, 1, 1, 1, 1, 4, 4, 0]]
    # u − d:  -2 0 1 2 3 4 2 3
    np.testing.assert_array_equal(
        scene(truth).visible, [[False, True, True, False, False, True, True, True, False]]
    )


def test_pixels_without_a_disparity_are_bad():
    truth = scene([[1, 1, 1, 1, 1, 1, 1, 1, 0, 0]])
    found = score(truth, np.array([[9, 0, 1, 2.9, 3.1, 1, 0, 1, 50, 0]], np.float32))
    assert found.bad_known == pytest.approx(100 * 4 / 8)
    assert found.bad_visible == pytest.approx(100 * 3 / 7)
    assert found.bad_given == pytest.approx(100 * 1 / 5)
    assert found.density == pytest.approx(100 * 6 / 8)


def test_the_peer_is_tuned_to_be_better_than_as_it_comes():
    rng = np.random.default_rng(3)
    texture = cv2.GaussianBlur(rng.random((60, 260)), (0, 0), 1.2)
    texture = 128 + 45 * (texture - texture.mean()) / texture.std()
    gray = np.clip(texture, 0, 255).astype(np.uint8)
    truth = np.full((60, 240), 9, np.float32)
    shifted = scene(truth, gray[:, :240].copy(), gray[:, 9:249].copy())
    _, best = tuned(shifted)
    plain = score(shifted, SgbmSettings().disparities(shifted.left, shifted.right))
    assert best.bad_visible < 1 < 20 < plain.bad_visible
    ours = StereoMatcher().match(shifted.left, shifted.right).disparity_px
    assert score(shifted, ours).bad_visible < 1
