from dataclasses import replace

import cv2
import numpy as np
import pytest
from scipy.spatial.transform import Rotation
from textured_planes import BLANK, BOX, WALL

from fusion.depth.rectified_pair import RectifiedPair, StereoCalibration
from fusion.depth.source import CONFIDENCE_MAX, DepthContext
from fusion.depth.stereo import StereoDepth, StereoDepthSettings
from gpu.stereo_search import MatchSettings
from mapcast_client.errors import FrameError, InputError
from slam.camera import Camera
from slam.frame import Frame
from slam.geometry import rigid

LEFT = Camera(320, 240, 290.0, 292.0, 161.0, 117.0, (-0.12, 0.05, 0.001, -0.002))
RIGHT = Camera(320, 240, 284.0, 287.0, 155.5, 122.5, (-0.08, 0.02, -0.001, 0.001, 0.0))
TURN = Rotation.from_rotvec((0.03, -0.05, 0.02)).as_matrix()
LEFT_FROM_RIGHT = rigid(TURN, np.array((0.12, 0.004, -0.006)))
RIG = StereoCalibration(LEFT, RIGHT, LEFT_FROM_RIGHT)
PLAIN = Camera(320, 240, 290.0, 290.0, 161.0, 117.0)
SIDE_BY_SIDE = StereoCalibration(PLAIN, PLAIN, rigid(np.eye(3), np.array((0.12, 0.0, 0.0))))
NOWHERE = DepthContext(np.eye(4), np.empty((0, 3), np.float32))


def picture(planes, camera, world_from_camera):
    """What a camera, distortion and all, sees of planes: gray, and depth along its +Z."""
    v, u = np.mgrid[: camera.height_px, : camera.width_px]
    seen_x = (u - camera.cx_px) / camera.fx_px
    seen_y = (v - camera.cy_px) / camera.fy_px
    k1, k2, p1, p2, k3 = (*camera.distortion, 0, 0, 0, 0, 0)[:5]
    x, y = seen_x, seen_y
    for _ in range(30):
        r2 = x * x + y * y
        radial = 1 + r2 * (k1 + r2 * (k2 + r2 * k3))
        across = 2 * p1 * x * y + p2 * (r2 + 2 * x * x)
        down = p1 * (r2 + 2 * y * y) + 2 * p2 * x * y
        x, y = (seen_x - across) / radial, (seen_y - down) / radial
    rays = np.stack([x, y, np.ones_like(x)], -1)
    rays_world = rays @ world_from_camera[:3, :3].T
    origin = world_from_camera[:3, 3]
    depth, gray = np.full(u.shape, np.inf), np.zeros(u.shape, np.uint8)
    for plane in planes:
        z = (plane.offset - origin @ plane.normal) / (rays_world @ plane.normal)
        on_plane = (rays_world * z[..., None] + origin)[..., :2].transpose(2, 0, 1)
        hit = (z > 0) & (z < depth) & (np.abs(on_plane).max(0) < plane.half_size)
        texel = (on_plane / 0.012 + 350).astype(np.float32)
        seen = cv2.remap(plane.texture, *texel, cv2.INTER_CUBIC, borderMode=cv2.BORDER_WRAP)
        depth, gray = np.where(hit, z, depth), np.where(hit, seen, gray)
    return gray, depth


def pair(planes, rig):
    left, _ = picture(planes, rig.left, np.eye(4))
    right, _ = picture(planes, rig.right, rig.left_from_right)
    return left, right


def truth_of(planes, rig):
    return picture(planes, replace(rig.left, distortion=()), np.eye(4))[1]


@pytest.mark.parametrize("rig", [SIDE_BY_SIDE, RIG], ids=["plain", "turned and distorted"])
def test_depth_of_a_slanted_wall_is_true(rig):
    estimated = StereoDepth(rig).measure(*pair([WALL], rig))
    truth = truth_of([WALL], rig)
    known = estimated.depth_m > 0
    assert known[:, 30:].mean() > 0.9
    error = (estimated.depth_m / truth - 1)[known]
    assert np.median(np.abs(error)) < 0.005
    assert abs(np.median(error)) < 0.001
    assert (np.abs(error) > 0.03).mean() < 0.005


def test_what_hides_and_what_is_hidden_keep_their_depths():
    estimated = StereoDepth(RIG).measure(*pair([WALL, BOX], RIG))
    truth = truth_of([WALL, BOX], RIG)
    box = truth == 1.2
    assert 0.1 < box.mean() < 0.3
    for part in (box, ~box):
        known = (estimated.depth_m > 0) & part
        error = np.abs(estimated.depth_m / truth - 1)[known]
        assert known[:, 40:].sum() > 0.85 * part[:, 40:].sum()
        assert np.median(error) < 0.005
        assert (error > 0.05).mean() < 0.02


def test_depth_along_the_axis_of_the_left_camera_not_of_the_rectified_one():
    """The right one is ahead: rectified ones look 12° aside, where 5 % more is between the two."""
    rig = StereoCalibration(PLAIN, PLAIN, rigid(np.eye(3), np.array((0.12, 0.0, 0.025))))
    wall = replace(WALL, normal=(0.0, 0.0, 1.0))
    estimated = StereoDepth(rig).measure(*pair([wall], rig))
    known = estimated.depth_m > 0
    assert known.mean() > 0.6
    assert np.abs(np.median(estimated.depth_m[known]) - 2) < 0.005
    for side in (slice(60, 100), slice(220, 260)):
        depths = estimated.depth_m[:, side]
        assert np.abs(np.median(depths[depths > 0]) - 2) < 0.01


def test_rectified_rows_are_the_same_lines():
    rectified = RectifiedPair(RIG)
    rows_seen = []
    for point in ((0.3, -0.2, 1.5), (-0.4, 0.3, 2.5), (0.0, 0.0, 4.0)):
        seen = []
        for camera, here_from_left in (
            (RIG.left, np.eye(4)),
            (RIG.right, np.linalg.inv(RIG.left_from_right)),
        ):
            there = here_from_left[:3, :3] @ point + here_from_left[:3, 3]
            at, _ = cv2.projectPoints(
                there[None], np.zeros(3), np.zeros(3), camera.matrix, np.array(camera.distortion)
            )
            dot = np.zeros((240, 320), np.uint8)
            u, v = np.rint(at.ravel()).astype(int)
            dot[v - 1 : v + 2, u - 1 : u + 2] = 255
            seen.append(dot)
        rows = [np.average(np.nonzero(image)[0]) for image in rectified.rectify(*seen)]
        columns = [np.average(np.nonzero(image)[1]) for image in rectified.rectify(*seen)]
        rows_seen.append(rows)
        depth = rectified.disparity_m_px / (columns[0] - columns[1])
        assert abs(depth / point[2] - 1) < 0.1
    np.testing.assert_allclose(*np.transpose(rows_seen), atol=1.0)
    assert abs(rectified.baseline_m - np.linalg.norm(LEFT_FROM_RIGHT[:3, 3])) < 1e-6


def test_a_plain_rig_is_taken_as_it_is():
    rectified = RectifiedPair(SIDE_BY_SIDE)
    left, right = pair([WALL], SIDE_BY_SIDE)
    for given, resampled in zip((left, right), rectified.rectify(left, right), strict=True):
        np.testing.assert_array_equal(resampled, given)
    assert rectified.camera.fx_px == PLAIN.fx_px
    assert rectified.left_seen.all()


def test_confidence_is_where_depth_is_and_within_its_bounds():
    estimated = StereoDepth(RIG).measure(*pair([WALL, BOX], RIG))
    np.testing.assert_array_equal(estimated.confidence > 0, estimated.depth_m > 0)
    assert estimated.confidence.dtype == np.uint8
    assert estimated.depth_m.dtype == np.float32
    assert CONFIDENCE_MAX / 2 < estimated.confidence.max() <= CONFIDENCE_MAX
    assert not estimated.depth_m.flags.writeable
    assert not estimated.confidence.flags.writeable


def test_far_depth_is_worth_less_than_near_depth():
    """At 1/4 px: 2 cm at 1.6 m, 8 cm at 3.2 m."""
    settings = StereoDepthSettings(precise_m=0.02)
    medians = []
    for depth_m in (1.6, 3.2):
        wall = replace(WALL, normal=(0.0, 0.0, 1.0), offset=depth_m)
        estimated = StereoDepth(SIDE_BY_SIDE, settings).measure(*pair([wall], SIDE_BY_SIDE))
        medians.append(np.median(estimated.confidence[estimated.confidence > 0]))
    assert medians[0] >= 5
    assert medians[1] == 1


def test_depth_that_is_too_coarse_is_dropped():
    settings = StereoDepthSettings(error_max_m=0.02)
    estimated = StereoDepth(RIG, settings).measure(*pair([WALL, BOX], RIG))
    truth = truth_of([WALL, BOX], RIG)
    assert (estimated.depth_m[truth == 1.2] > 0).mean() > 0.8
    assert (estimated.depth_m[truth > 1.8] > 0).mean() < 0.01


def test_a_blank_wall_gives_next_to_nothing():
    estimated = StereoDepth(SIDE_BY_SIDE).measure(*pair([BLANK], SIDE_BY_SIDE))
    assert not estimated.confidence.any()


def test_holes_are_filled_from_behind_and_worth_one_observation():
    left, right = pair([WALL, BOX], RIG)
    holed = StereoDepth(RIG).measure(left, right)
    filled = StereoDepth(RIG, StereoDepthSettings(hole_px=40)).measure(left, right)
    truth = truth_of([WALL, BOX], RIG)
    new = (filled.depth_m > 0) & (holed.depth_m == 0)
    new[:, :60] = False
    assert new.sum() > 500
    assert (filled.confidence[new] == 1).all()
    behind = new & (truth > 1.5)
    assert (filled.depth_m[behind] > 1.5).mean() > 0.95
    assert np.median(np.abs(filled.depth_m / truth - 1)[behind]) < 0.06
    old = holed.depth_m > 0
    np.testing.assert_array_equal(filled.depth_m[old], holed.depth_m[old])
    np.testing.assert_array_equal(filled.confidence[old], holed.confidence[old])


def test_what_the_right_camera_does_not_see_has_no_depth():
    """Its picture ends: what the left one shows at its left lies outside."""
    estimated = StereoDepth(RIG).measure(*pair([WALL], RIG))
    assert not estimated.confidence[:, :5].any()


def test_a_frame_finds_the_right_picture_of_its_instant():
    left, right = pair([WALL], RIG)
    source = StereoDepth(RIG)
    color = np.repeat(left[..., None], 3, axis=2)
    assert source.depth(Frame(0, 100, color), NOWHERE) is None
    source.take_right(200, right)
    source.take_right(300, left)
    found = source.depth(Frame(1, 200, color), NOWHERE)
    expected = source.measure(left, right)
    assert found is not None
    np.testing.assert_array_equal(found.depth_m, expected.depth_m)
    assert source.depth(Frame(2, 201, color), NOWHERE) is None


def test_the_nearest_depth_follows_from_the_disparities():
    source = StereoDepth(SIDE_BY_SIDE, StereoDepthSettings(MatchSettings(disparities=32)))
    np.testing.assert_allclose(source.depth_min_m, 290 * 0.12 / 31, rtol=1e-6)
    assert source.camera == PLAIN


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"right": replace(RIGHT, width_px=322)},
            r"left camera is \(320, 240\) px .* \(322, 240\)",
        ),
        ({"left_from_right": np.eye(4)}, r"at \(0, 0, 0\) m, must be to the right"),
        (
            {"left_from_right": rigid(np.eye(3), np.array((-0.1, 0, 0)))},
            r"at \(-0.1, 0, 0\) m, must be to the right",
        ),
        (
            {"left_from_right": rigid(np.eye(3), np.array((0.1, 0.2, 0)))},
            r"at \(0.1, 0.2, 0\) m",
        ),
        (
            {
                "left_from_right": rigid(
                    Rotation.from_rotvec((0, 1.0, 0)).as_matrix(), np.array((0.1, 0, 0))
                )
            },
            r"by 57\.3°, must be at most 45°",
        ),
        ({"left_from_right": 2 * np.eye(4)}, r"left_from_right: last row"),
    ],
)
def test_a_rig_that_cannot_be_is_refused(change, message):
    with pytest.raises(InputError, match=message):
        replace(RIG, **change)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"precise_m": 0.0}, "precise_m is 0.0"),
        ({"error_max_m": -1.0}, "error_max_m is -1.0"),
        ({"hole_px": -1}, "hole_px is -1"),
        ({"uniqueness": ()}, "uniqueness has 0 levels, must be 1 to 8"),
    ],
)
def test_settings_out_of_range_are_refused(settings, message):
    with pytest.raises(InputError, match=message):
        StereoDepthSettings(**settings)


def test_a_picture_of_another_size_is_refused():
    left, right = pair([WALL], RIG)
    with pytest.raises(FrameError, match=r"right picture is uint8 \(240, 319\), must be .*320"):
        StereoDepth(RIG).measure(left, right[:, 1:])
    with pytest.raises(FrameError, match=r"left picture is float64"):
        StereoDepth(RIG).measure(left.astype(np.float64), right)
