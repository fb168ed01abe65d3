from dataclasses import replace

import numpy as np
import pytest
from textured_planes import (
    BLANK,
    BOX,
    CAMERA,
    WALL,
    at,
    context_of,
    frame_at,
    render,
    view_at,
)

from fusion.depth.motion_stereo import MotionStereo, StereoSettings
from fusion.depth.source import CONFIDENCE_MAX, DepthContext, View
from mapcast_client.errors import FrameError, InputError
from slam.camera import Camera

HERE = at(0.0)
AROUND = [at(0.2, 0.02), at(-0.15, 0.1, 0.03, 0.05), at(0.1, -0.12, -0.02, -0.04), at(-0.3, 0.0)]


def measured(planes, pose=HERE, around=AROUND, source=None):
    """The depth of the picture at `pose`, and the truth."""
    views = [view_at(planes, number + 1, there) for number, there in enumerate(around)]
    source = source or MotionStereo(CAMERA)
    estimated = source.depth(frame_at(planes, 9, pose), context_of(planes, pose, views))
    return estimated, render(planes, pose)[1]


def errors(estimated, truth):
    known = estimated.depth_m > 0
    return np.abs(estimated.depth_m / truth - 1)[known]


def test_slanted_plane_is_measured_between_planes():
    """A plane is 2.2 % of the depth from the next: the error is a fifth of that."""
    estimated, truth = measured([WALL])
    known = estimated.depth_m > 0
    assert known.mean() > 0.9
    assert np.median(errors(estimated, truth)) < 0.004
    assert abs(np.median(estimated.depth_m[known] / truth[known]) - 1) < 0.001
    assert (errors(estimated, truth) > 0.03).mean() < 0.01
    assert estimated.depth_m.dtype == np.float32


def test_what_some_views_see_hidden_is_measured_from_others():
    estimated, truth = measured([WALL, BOX])
    box = truth == 1.2
    assert 0.1 < box.mean() < 0.3
    for part in (box, ~box):
        known = (estimated.depth_m > 0) & part
        error = np.abs(estimated.depth_m / truth - 1)[known]
        assert known.sum() > 0.8 * part.sum()
        assert np.median(error) < 0.005
        assert (error > 0.05).mean() < 0.04


def test_confidence_is_where_depth_is_and_within_its_bounds():
    estimated, _ = measured([WALL, BOX])
    np.testing.assert_array_equal(estimated.confidence > 0, estimated.depth_m > 0)
    assert estimated.confidence.dtype == np.uint8
    assert estimated.confidence.max() <= CONFIDENCE_MAX
    assert not estimated.depth_m.flags.writeable
    assert not estimated.confidence.flags.writeable


def test_a_blank_wall_gives_nothing():
    estimated, _ = measured([BLANK])
    assert not estimated.confidence.any()


def test_what_no_view_sees_gives_nothing():
    """All views look at the left half."""
    estimated, truth = measured([WALL], around=[at(x, 0, 0, -0.6) for x in (0.1, 0.15, 0.2)])
    known = estimated.depth_m > 0
    assert known[:, 95:].mean() < 0.02 < known[:, :60].mean()
    assert np.median(errors(estimated, truth)) < 0.01


def test_a_surface_out_of_range_gives_nothing_rather_than_something_else():
    """Map points lie on the wall only: the box is nearer than anything searched."""
    planes = [WALL, replace(BOX, offset=0.55, half_size=0.1)]
    views = [view_at(planes, number + 1, pose) for number, pose in enumerate(AROUND)]
    source = MotionStereo(CAMERA)
    estimated = source.depth(frame_at(planes, 9, HERE), context_of([WALL], HERE, views))
    _, truth = render(planes, HERE)
    box = truth == 0.55
    assert box.sum() > 500
    assert (estimated.depth_m > 0)[box].mean() < 0.1


def test_depth_has_the_unit_of_the_poses():
    estimated, _ = measured([WALL])

    def enlarged(pose):
        pose = pose.copy()
        pose[:3, 3] *= 7
        return pose

    views = [view_at([WALL], number + 1, pose) for number, pose in enumerate(AROUND)]
    large = [replace(view, world_from_camera=enlarged(view.world_from_camera)) for view in views]
    context = context_of([WALL], HERE, large)
    context = replace(context, points_world=context.points_world * np.float32(7))
    again = MotionStereo(CAMERA).depth(frame_at([WALL], 9, HERE), context)
    both = (again.depth_m > 0) & (estimated.depth_m > 0)
    assert both.mean() > 0.9
    np.testing.assert_allclose(
        np.median(again.depth_m[both] / estimated.depth_m[both]), 7, rtol=1e-3
    )


def test_without_map_points_the_baseline_tells_where_to_search():
    views = tuple(view_at([WALL], number + 1, pose) for number, pose in enumerate(AROUND))
    context = DepthContext(HERE, np.empty((0, 3), np.float32), views)
    estimated = MotionStereo(CAMERA).depth(frame_at([WALL], 9, HERE), context)
    _, truth = render([WALL], HERE)
    assert (estimated.depth_m > 0).mean() > 0.7
    assert np.median(errors(estimated, truth)) < 0.02


def next_frame(source, planes, references, **more):
    """A second frame, a little further on, of which the first is a reference."""
    pose = at(0.05)
    views = [view_at(planes, number + 1, there) for number, there in enumerate(AROUND)]
    context = context_of(planes, pose, views, references=references, **more)
    return source.depth(frame_at(planes, 10, pose), context)


def test_earlier_depth_that_agrees_makes_sure():
    source = MotionStereo(CAMERA)
    measured([WALL], source=source)
    second = next_frame(source, [WALL], (View(9, None, HERE),))
    alone = next_frame(MotionStereo(CAMERA), [WALL], ())
    np.testing.assert_array_equal(
        second.depth_m[alone.depth_m > 0], alone.depth_m[alone.depth_m > 0]
    )
    both = (alone.confidence > 0) & (second.confidence > 0)
    gained = second.confidence[both].astype(int) - alone.confidence[both]
    assert np.median(gained) == 2
    assert gained.min() >= 0


def test_earlier_depth_that_sees_through_drops():
    """The box was not there when the first frame was taken."""
    source = MotionStereo(CAMERA)
    measured([WALL], source=source)
    second = next_frame(source, [WALL, BOX], (View(9, None, HERE),))
    alone = next_frame(MotionStereo(CAMERA), [WALL, BOX], ())
    box = render([WALL, BOX], at(0.05))[1] == 1.2
    assert (alone.depth_m > 0)[box].mean() > 0.8
    assert (second.depth_m > 0)[box].mean() < 0.1


def test_depth_of_another_map_is_not_compared():
    source = MotionStereo(CAMERA)
    measured([WALL], source=source)
    second = next_frame(source, [WALL, BOX], (View(9, None, HERE),), map_number=1)
    alone = next_frame(MotionStereo(CAMERA), [WALL, BOX], (), map_number=1)
    np.testing.assert_array_equal(second.confidence, alone.confidence)


def test_the_same_input_gives_the_same_bytes():
    one, other = measured([WALL, BOX])[0], measured([WALL, BOX])[0]
    assert one.depth_m.tobytes() == other.depth_m.tobytes()
    assert one.confidence.tobytes() == other.confidence.tobytes()


def test_without_views_there_is_no_depth():
    source = MotionStereo(CAMERA)
    assert source.depth(frame_at([WALL], 9, HERE), context_of([WALL], HERE, [])) is None


def test_what_does_not_fit_is_refused():
    views = [view_at([WALL], 1, AROUND[0])]
    frame = frame_at([WALL], 9, HERE)
    source = MotionStereo(CAMERA)
    with pytest.raises(FrameError, match="frame 9"):
        source.depth(replace(frame, color=frame.color[1:]), context_of([WALL], HERE, views))
    with pytest.raises(InputError, match="distortion"):
        MotionStereo(replace(CAMERA, distortion=(0.1, 0, 0, 0)))
    for wrong in ({"planes": 4}, {"small_penalty": 0}, {"large_penalty": 5}, {"tolerance": 0.5}):
        with pytest.raises(InputError, match=next(iter(wrong))):
            StereoSettings(**wrong)


def test_larger_pictures_are_measured_at_the_size_of_the_depth_camera():
    assert MotionStereo(Camera(640, 480, 500, 500, 320, 240)).camera.width_px == 320
