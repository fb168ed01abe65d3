"""The NumPy specification of stereo matching, the CPU's kernels against it, and scenes that it
must get right."""

import numpy as np
import pytest

from gpu.kernels.stereo import STEPS_PER_PX, choose_disparities, match_costs, stereo_words
from gpu.stereo import StereoMatch, StereoMatcher
from gpu.stereo_search import MatchSettings
from mapcast_client.errors import InputError

SQUARE = [(v, u) for v in range(-2, 3) for u in range(-2, 3) if (v, u) != (0, 0)]
RIM = [(v, u) for v in (-3, 0, 3) for u in (-3, 0, 3) if (v, u) != (0, 0)]
NEIGHBOURS = sorted(SQUARE + RIM)
DEAD_ZONE = 2
HEIGHT, WIDTH, DISPARITIES = 23, 45, 16


@pytest.fixture
def rng():
    return np.random.default_rng(5)


def specified_words(gray):
    height, width = gray.shape
    padded = np.pad(gray.astype(int), 3, mode="edge")
    words = np.zeros((2, height, width), np.uint32)
    for k, (dv, du) in enumerate(NEIGHBOURS):
        brighter = padded[3 + dv : 3 + dv + height, 3 + du : 3 + du + width] - gray
        bits = (brighter > DEAD_ZONE) + 2 * (brighter < -DEAD_ZONE)
        words[k // 16] |= bits.astype(np.uint32) << np.uint32(2 * (k % 16))
    return words


def specified_choice(totals):
    """Disparity, least, margin and difference of one pixel after the other."""
    height, width, disparities = totals.shape
    chosen = np.zeros((4, height, width), np.int64)
    for v, u in np.ndindex(height, width):
        total = totals[v, u].astype(int)
        winner = int(total.argmin())
        others = [each for d, each in enumerate(total) if abs(d - winner) > 1]
        fraction = 0.0
        if 0 < winner < disparities - 1:
            left, middle, right = total[winner - 1 : winner + 2]
            steepest = max(left, right) - middle
            fraction = (left - right) / (2 * steepest) if steepest else 0.0
        seen = u - winner
        if seen >= 0:
            column = [totals[v, seen + d, d] for d in range(min(disparities, width - seen))]
            difference = abs(int(np.argmin(column)) - winner)
        else:
            difference = disparities
        whole, half_up = divmod(abs(fraction) * STEPS_PER_PX, 1)
        steps = int(whole) + (half_up >= 0.5)
        chosen[:, v, u] = (
            winner * STEPS_PER_PX + int(np.sign(fraction)) * steps,
            total[winner],
            min(others) - total[winner],
            difference,
        )
    return chosen


def test_words_compare_32_neighbours_with_a_dead_zone(rng):
    gray = rng.integers(0, 12, (HEIGHT, WIDTH), dtype=np.uint8)
    assert len(NEIGHBOURS) == 32
    np.testing.assert_array_equal(stereo_words(gray), specified_words(gray))


def test_costs_are_the_bits_that_differ_along_the_row(rng):
    left, right = rng.integers(0, 1 << 32, (2, 2, HEIGHT, WIDTH), dtype=np.uint32)
    costs = np.empty((HEIGHT, WIDTH, DISPARITIES), np.uint8)
    match_costs(left, right, costs)
    columns = np.maximum(np.arange(WIDTH)[:, None] - np.arange(DISPARITIES), 0)
    differing = left[..., None] ^ right[:, :, columns]
    np.testing.assert_array_equal(costs, np.bitwise_count(differing).sum(0))


@pytest.mark.parametrize("largest", [6, 60000])
def test_the_choice_is_the_specifications(rng, largest):
    """A few different totals, so that many are equal; and many of them."""
    totals = rng.integers(0, largest, (HEIGHT, WIDTH, DISPARITIES), dtype=np.uint16)
    disparity, difference = np.empty((2, HEIGHT, WIDTH), np.int32)
    least, margin = np.empty((2, HEIGHT, WIDTH), np.uint16)
    choose_disparities(totals, disparity, least, margin, difference)
    expected = specified_choice(totals)
    for found, specified in zip((disparity, least, margin, difference), expected, strict=True):
        np.testing.assert_array_equal(found, specified)


class Waves:
    """A texture that is known between pixels, too."""

    def __init__(self, seed):
        rng = np.random.default_rng(seed)
        self._waves = rng.uniform(-1.1, 1.1, (40, 2)), rng.uniform(0, 6.28, 40)

    def __call__(self, u, v):
        waves, phases = self._waves
        sums = sum(np.sin(a * u + b * v + c) for (a, b), c in zip(waves, phases, strict=True))
        return np.clip(np.rint(128 + 13 * sums), 0, 255).astype(np.uint8)


V, U = np.mgrid[:80, :160].astype(float)


@pytest.mark.parametrize("shift_px", [3.0, 7.25, 12.5, 20.8])
def test_a_shifted_picture_is_matched_between_pixels(shift_px):
    texture = Waves(1)
    match = StereoMatcher().match(texture(U, V), texture(U + shift_px, V))
    seen = match.disparity_px[:, 30:]
    assert (seen > 0).mean() > 0.98
    error_px = np.abs(seen - shift_px)[seen > 0]
    assert np.median(error_px) < 0.13
    assert np.quantile(error_px, 0.99) < 0.4
    # What the right picture does not show has no match.
    assert (match.disparity_px[:, : int(shift_px) - 1] == 0).all()


def test_a_slope_is_matched_between_pixels():
    """Disparity grows along the row: u in the left picture is s·u − 5 in the right one."""
    texture = Waves(2)
    right = texture((U + 5) / 0.9, V)
    match = StereoMatcher().match(texture(U, V), right)
    truth = U - (0.9 * U - 5)
    believed = match.disparity_px > 0
    assert believed[:, 25:].mean() > 0.98
    assert np.median(np.abs(match.disparity_px - truth)[believed]) < 0.12


def occluded():
    """A square 22 px near before a wall 6 px near: pictures, truth, what only the left one sees."""
    wall, square = Waves(3), Waves(4)
    inside = (abs(U - 90) < 24) & (abs(V - 40) < 22)
    inside_right = (abs(U + 22 - 90) < 24) & (abs(V - 40) < 22)
    left = np.where(inside, square(U, V), wall(U, V))
    right = np.where(inside_right, square(U + 22, V), wall(U + 6, V))
    hidden = ~inside & (abs(U - 6 + 22 - 90) < 24) & (abs(V - 40) < 22)
    return left, right, np.where(inside, 22.0, 6.0), hidden


def test_what_one_picture_hides_has_no_match():
    left, right, truth, hidden = occluded()
    match = StereoMatcher().match(left, right)
    assert hidden.sum() > 600
    assert (match.disparity_px[hidden] == 0).mean() > 0.8
    shown = ~hidden & (U > 8)
    believed = shown & (match.disparity_px > 0)
    assert believed.sum() > 0.95 * shown.sum()
    assert (np.abs(match.disparity_px - truth)[believed] > 1).mean() < 0.02


def test_what_is_hidden_is_filled_from_behind():
    left, right, truth, hidden = occluded()
    match = StereoMatcher().match(left, right)
    filled = match.filled(widest_px=30)
    assert (np.abs(filled - truth)[hidden] < 1).mean() > 0.9
    believed = match.disparity_px > 0
    np.testing.assert_array_equal(filled[believed], match.disparity_px[believed])


def matched(disparity_px):
    disparity_px = np.array(disparity_px, np.float32)
    nothing = np.zeros(disparity_px.shape)
    return StereoMatch(disparity_px, nothing.astype(np.float32), nothing.astype(np.int32))


def test_holes_take_the_lower_side_and_wide_ones_stay():
    row = [0, 0, 5, 0, 0, 0, 3.5, 0, 0, 0, 0, 7, 0]
    filled = matched([row] * 3).filled(widest_px=3)
    expected = [5, 5, 5, 3.5, 3.5, 3.5, 3.5, 0, 0, 0, 0, 7, 7]
    np.testing.assert_array_equal(filled, [expected] * 3)


def test_a_row_without_any_disparity_stays_empty():
    assert not matched(np.zeros((3, 8))).filled(widest_px=8).any()


def test_a_blank_wall_is_nowhere_unique():
    blank = np.full((60, 120), 90, np.uint8)
    match = StereoMatcher().match(blank, blank)
    assert match.uniqueness.max() == 0


def test_texture_is_unique():
    texture = Waves(6)
    match = StereoMatcher().match(texture(U, V), texture(U + 9, V))
    assert np.median(match.uniqueness) > 1


def test_exposure_does_not_matter():
    texture = Waves(7)
    right = (texture(U + 9, V) * 0.7 + 20).astype(np.uint8)
    match = StereoMatcher().match(texture(U, V), right)
    believed = match.disparity_px > 0
    assert believed[:, 12:].mean() > 0.95
    assert np.median(np.abs(match.disparity_px[believed] - 9)) < 0.15


def test_small_islands_are_dropped():
    """A square of 14 px that floats before a wall."""
    texture, square = Waves(8), Waves(10)(U, V)[:14, :14]
    left, right = texture(U, V), texture(U + 9, V)
    left[30:44, 85:99] = right[30:44, 60:74] = square
    kept = StereoMatcher(MatchSettings(speckle_px=0)).match(left, right).disparity_px
    dropped = StereoMatcher(MatchSettings(speckle_px=300)).match(left, right).disparity_px
    assert (np.abs(kept - 25) < 1).sum() > 80
    assert not (dropped > 12).any()
    assert ((dropped == 0) | (dropped == kept)).all()


def test_one_matcher_takes_pictures_of_any_size_and_forgets_them():
    texture = Waves(9)
    matcher = StereoMatcher(MatchSettings(disparities=32))
    left, right = texture(U, V), texture(U + 9, V)
    first = matcher.match(left, right)
    matcher.match(left[:40, :61], right[:40, :61])
    again = matcher.match(left, right)
    np.testing.assert_array_equal(first.disparity_px, again.disparity_px)
    assert not first.disparity_px.flags.writeable


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"disparities": 12}, "disparities is 12, must be 16 to 256"),
        ({"disparities": 66}, "disparities is 66, must be 16 to 256 and a multiple of 4"),
        ({"small_penalty": 0}, "small_penalty is 0 and large_penalty 100"),
        ({"large_penalty": 8128}, "large_penalty 8128, must be 0 < small ≤ large ≤ 8127"),
        ({"edge_levels": 0}, "edge_levels is 0, must be at least 1"),
        ({"tolerance_px": -1}, "tolerance_px is -1"),
        ({"speckle_px": -1}, "speckle_px is -1"),
    ],
)
def test_settings_out_of_range_are_refused(settings, message):
    with pytest.raises(InputError, match=message):
        MatchSettings(**settings)


def test_pictures_that_do_not_fit_are_refused():
    gray = np.zeros((20, 30), np.uint8)
    with pytest.raises(InputError, match=r"left image is \(20, 30\) and right one \(20, 29\)"):
        StereoMatcher().match(gray, gray[:, 1:])
    with pytest.raises(InputError, match="images are uint8 and uint16"):
        StereoMatcher().match(gray, gray.astype(np.uint16))
    huge = np.broadcast_to(np.uint8(0), (8192, 8192))
    with pytest.raises(InputError, match="must be at most 2147483647 in all"):
        StereoMatcher().match(huge, huge)
