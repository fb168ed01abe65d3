import numpy as np
import pytest
from textured_planes import CAMERA, at

from fusion.depth.source import View
from fusion.depth.views import RecentViews, ViewSettings
from mapcast_client.errors import InputError

GRAY = np.zeros((CAMERA.height_px, CAMERA.width_px), np.uint8)
DEPTH = 2.0


class Walk:
    """Views of a camera, all of which stay where they were unless told otherwise."""

    def __init__(self, settings=None):
        self.recent = RecentViews(CAMERA, settings)
        self.poses = {}

    def step(self, world_from_camera, map_number=0):
        """Take in the next view; the context, if its depth is wanted."""
        capture_ns = 1000 + len(self.poses)
        self.poses[capture_ns] = world_from_camera
        view = View(capture_ns, GRAY, world_from_camera)
        x, y = np.meshgrid(np.linspace(-0.3, 0.3, 5), np.linspace(-0.2, 0.2, 5))
        points = np.stack([x.ravel(), y.ravel(), np.ones(25)], -1) * DEPTH
        points_world = points @ world_from_camera[:3, :3].T + world_from_camera[:3, 3]
        context = self.recent.context(
            view, points_world.astype(np.float32), self.poses.__getitem__, map_number
        )
        self.recent.add(view)
        return context


def baselines(context):
    here = context.world_from_camera[:3, 3]
    return [
        float(np.linalg.norm(view.world_from_camera[:3, 3] - here)) / DEPTH
        for view in context.views
    ]


def sideways(walk, steps, step_m=0.021):
    return [walk.step(at(step_m * number)) for number in range(steps)]


def test_views_are_those_nearest_to_the_baselines_aimed_at():
    contexts = sideways(Walk(), 40)
    last = [context for context in contexts if context is not None][-1]
    np.testing.assert_allclose(baselines(last), [0.1, 0.06, 0.15, 0.2], atol=0.006)
    assert all(view.capture_ns < 1040 for view in last.views)


def test_depth_is_wanted_once_there_are_views_and_then_every_so_often():
    wanted = [number for number, context in enumerate(sideways(Walk(), 40)) if context]
    # Two views at least three hundredths of the depth away; then every four hundredths.
    assert wanted[0] == 4
    assert set(np.diff(wanted)) == {4}


def test_a_camera_that_stands_or_only_turns_gets_no_depth():
    walk = Walk()
    assert not any(walk.step(at(0.0)) for _ in range(20))
    walk = Walk()
    assert not any(walk.step(at(0.0, yaw=0.02 * number)) for number in range(40))


def test_a_turn_to_something_new_is_worth_depth():
    walk = Walk()
    sideways(walk, 40)
    turned = [walk.step(at(39 * 0.021, yaw=-0.02 * number)) is not None for number in range(1, 14)]
    assert sum(turned) == 1


def test_views_that_see_something_else_are_not_used():
    walk = Walk()
    sideways(walk, 40)
    assert walk.step(at(0.8, yaw=0.7)) is None


def test_a_move_straight_ahead_without_parallax_is_not_measured():
    settings = ViewSettings(parallax_min_rad=0.05)
    walk = Walk(settings)
    assert not any(walk.step(at(0, 0, 0.02 * number)) for number in range(15))
    assert any(sideways(Walk(settings), 15))


def test_poses_are_those_of_now():
    walk = Walk()
    sideways(walk, 38)
    shift = np.array([0.0, 0.05, 0.0])
    for capture_ns, pose in walk.poses.items():
        walk.poses[capture_ns] = pose.copy()
        walk.poses[capture_ns][:3, 3] += shift
    context = next(filter(None, (walk.step(at(0.021 * n, 0.05)) for n in range(38, 46))))
    assert {view.world_from_camera[1, 3] for view in context.views} == {0.05}
    assert {view.world_from_camera[1, 3] for view in context.references} == {0.05}


def test_references_are_the_last_frames_with_depth_latest_first():
    contexts = [context for context in sideways(Walk(), 40) if context]
    assert contexts[0].references == ()
    times = [view.capture_ns for view in contexts[-1].references]
    assert times == [1032, 1028, 1024, 1020]


def test_as_many_views_are_kept_as_asked_for():
    """Of a camera that stands still one is enough."""
    settings = ViewSettings(capacity=8)
    walk = Walk(settings)
    sideways(walk, 40)
    for _ in range(30):
        walk.step(at(0.82))
    context = next(filter(None, (walk.step(at(0.82 + 0.021 * n)) for n in range(1, 10))))
    assert len(context.views) == 4
    assert min(view.capture_ns for view in context.views) > 1025


def test_the_map_number_is_passed_on():
    walk = Walk()
    contexts = [walk.step(at(0.021 * number), map_number=3) for number in range(10)]
    assert {context.map_number for context in contexts if context} == {3}


@pytest.mark.parametrize(
    "wrong",
    [{"views_min": 0}, {"views_min": 5}, {"capacity": 3}, {"baseline_min": 0.5}],
)
def test_settings_are_checked(wrong):
    with pytest.raises(InputError, match=next(iter(wrong))):
        ViewSettings(**wrong)
