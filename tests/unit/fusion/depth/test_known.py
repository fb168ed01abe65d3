import numpy as np

from fusion.depth.known import KnownDepth
from fusion.depth.source import DepthContext
from slam.camera import Camera
from slam.geometry import rigid

CAMERA = Camera(40, 30, 20.0, 20.0, 19.5, 14.5)
QUARTER_TURN = np.array([[0.0, 0, 1], [0, 1, 0], [-1, 0, 0]])


def test_points_are_seen_where_the_camera_stands() -> None:
    world_from_camera = rigid(QUARTER_TURN, np.array([1.0, 2.0, 3.0]))
    points_camera = np.array(
        [[0.1, -0.2, 2.0], [0, 0, -1], [9, 0, 1], [0, -9, 1], [0, 0, 0], [-0.975, -0.725, 1.0]]
    )
    points_world = points_camera @ world_from_camera[:3, :3].T + world_from_camera[:3, 3]
    known = KnownDepth.of_points(
        CAMERA, DepthContext(world_from_camera, points_world.astype(np.float32))
    )
    assert known.u_px.tolist() == [20, 0]
    assert known.v_px.tolist() == [12, 0]
    np.testing.assert_allclose(known.depth_m, [2, 1], rtol=1e-6)


def test_no_points_are_no_pixels() -> None:
    context = DepthContext(np.eye(4), np.empty((0, 3), np.float32))
    assert len(KnownDepth.of_points(CAMERA, context)) == 0


def test_pixels_of_an_image_are_those_with_depth_and_not_too_many() -> None:
    depth_m = np.zeros((30, 40), np.float32)
    depth_m[10:20, 5:35] = np.arange(300, dtype=np.float32).reshape(10, 30) + 1
    known = KnownDepth.of_image(depth_m, 50)
    assert 40 <= len(known) <= 50
    np.testing.assert_array_equal(known.of(depth_m), known.depth_m)
    assert known.depth_m.all()
    assert len(KnownDepth.of_image(depth_m, 1000)) == 300


def test_sums_hold_both() -> None:
    one = KnownDepth(np.array([1]), np.array([2]), np.array([3], np.float32))
    two = KnownDepth(np.array([4]), np.array([5]), np.array([6], np.float32))
    both = one + two
    assert (both.u_px.tolist(), both.v_px.tolist()) == ([1, 4], [2, 5])
    assert both.depth_m.tolist() == [3, 6]
