"""Which views move, in which order, for how long, and which cannot."""

from collections.abc import Sequence
from itertools import count

import numpy as np
import pytest
from numpy.typing import NDArray

from fusion.frame_prefetch import AHEAD, FramePrefetch
from fusion.mesh import Mesher
from fusion.reintegrate import Reintegrator
from fusion.volume import Volume, VolumeSettings
from mapcast_client.errors import InputError
from slam.camera import Camera
from slam.frame import Frame
from slam.geometry import Mat4

CAMERA = Camera(32, 24, 30.0, 30.0, 15.5, 11.5)
SETTINGS = VolumeSettings(voxel_size_m=0.04, depth_max_m=2.0, max_blocks=4096)


def wall(capture_ns: int) -> Frame:
    """A wall 1 m ahead, of another colour for each instant."""
    color = np.full((24, 32, 3), 10 * (capture_ns % 25), np.uint8)
    return Frame(capture_ns, capture_ns, color, np.full((24, 32), 1000, np.uint16), 0.001)


def at(x_m: float) -> Mat4:
    """A camera that looks along +Z."""
    world_from_camera = np.eye(4)
    world_from_camera[0, 3] = x_m
    return world_from_camera


class Shelf:
    """Frames by instant; notes who was asked for."""

    def __init__(self) -> None:
        self.frames: dict[int, Frame] = {}
        self.asked: list[int] = []

    def put(self, view: Frame) -> None:
        """Keep it."""
        self.frames[view.capture_ns] = view

    def get(self, capture_ns: int) -> Frame | None:
        """Give it."""
        self.asked.append(capture_ns)
        return self.frames.get(capture_ns)


class Places:
    """Views along x that can be moved."""

    def __init__(self, xs_m: Sequence[float]) -> None:
        self.revision = 0
        self.xs_m = dict(enumerate(xs_m))

    def move(self, **by_m: float) -> None:
        """Move views, given as `v3=0.1`."""
        self.revision += 1
        for name, off_m in by_m.items():
            self.xs_m[int(name[1:])] += off_m

    def world_from_cameras(
        self, capture_ns: NDArray[np.int64]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Where they are."""
        poses = [at(self.xs_m[instant]) for instant in capture_ns.tolist()]
        return np.array(poses).reshape(-1, 4, 4), np.ones(len(poses))


class Scene:
    """Five views in a volume. Every look at the clock takes a second."""

    def __init__(self, frames: Shelf | None) -> None:
        self.volume = Volume(SETTINGS, CAMERA)
        self.mesher = Mesher(self.volume)
        self.places = Places([0.0, 0.1, 0.2, 0.3, 0.4])
        seconds = count()
        self.views = Reintegrator(
            *(self.volume, self.mesher, self.places, frames), clock=lambda: float(next(seconds))
        )
        for instant, x_m in self.places.xs_m.items():
            self.views.add(wall(instant), at(x_m))

    def xs_m(self) -> list[float]:
        """Where the views are in the volume."""
        xs_m: list[float] = self.views.views().world_from_camera[:, 0, 3].round(6).tolist()
        return xs_m


@pytest.fixture
def shelf() -> Shelf:
    return Shelf()


@pytest.fixture
def scene(shelf: Shelf) -> Scene:
    return Scene(shelf)


def test_views_that_are_off_by_more_than_half_a_voxel_move(scene: Scene) -> None:
    scene.places.move(v1=0.019, v3=0.021)
    assert scene.views.tick(100)
    assert scene.xs_m() == [0.0, 0.1, 0.2, 0.321, 0.4]
    assert (scene.views.moved_count, scene.views.pending_count) == (1, 0)
    scene.places.move(v1=0.002)  # since it was put in, that makes 21 mm
    assert scene.views.settle()
    assert scene.xs_m() == [0.0, 0.121, 0.2, 0.321, 0.4]


def test_what_is_farthest_off_moves_first_within_the_budget(scene: Scene) -> None:
    scene.places.move(v0=0.1, v2=0.3, v4=-0.2)
    assert scene.views.tick(2.5)
    assert scene.xs_m() == [0.0, 0.1, 0.5, 0.3, 0.4]
    assert scene.views.pending_count == 2
    assert not scene.views.settle(1.5)
    assert scene.xs_m() == [0.0, 0.1, 0.5, 0.3, 0.2]
    assert scene.views.settle()
    assert scene.xs_m() == [0.1, 0.1, 0.5, 0.3, 0.2]
    assert not scene.views.tick(100)


def test_small_moves_wait_when_asked_to(scene: Scene) -> None:
    scene.places.move(v1=0.03, v2=0.2)
    assert scene.views.tick(100, least_vox=2.0)
    assert scene.xs_m() == [0.0, 0.1, 0.4, 0.3, 0.4]
    assert scene.views.pending_count == 1
    assert not scene.views.tick(100, least_vox=2.0)
    assert scene.views.tick(100)
    assert scene.xs_m() == [0.0, 0.13, 0.4, 0.3, 0.4]


def test_a_pose_corrected_while_its_view_waits_counts_as_it_is_then(scene: Scene) -> None:
    scene.places.move(v0=0.3, v2=0.2)
    scene.views.tick(2.5)
    scene.places.move(v2=0.5)
    assert scene.views.settle()
    assert scene.xs_m() == [0.3, 0.1, 0.9, 0.3, 0.4]


def test_views_that_are_not_stored_any_more_stay_and_are_counted(
    scene: Scene, shelf: Shelf
) -> None:
    del shelf.frames[1]
    scene.places.move(v1=0.1, v2=0.1)
    assert scene.views.settle()
    assert scene.xs_m() == [0.0, 0.1, 0.3, 0.3, 0.4]
    assert (scene.views.frozen_count, scene.views.moved_count) == (1, 1)
    scene.places.move(v1=0.1)
    shelf.asked.clear()
    assert scene.views.settle()
    assert not shelf.asked


def test_views_whose_pose_leaves_the_grid_stay(scene: Scene) -> None:
    words = scene.volume.voxel_words()
    scene.places.move(v1=1e7)
    assert scene.views.settle()
    assert scene.views.frozen_count == 1
    np.testing.assert_array_equal(scene.volume.voxel_words(), words)


def test_without_a_store_nothing_moves() -> None:
    scene = Scene(None)
    scene.places.move(v1=0.5)
    assert not scene.views.tick(100)
    assert scene.views.settle()
    assert scene.xs_m() == [0.0, 0.1, 0.2, 0.3, 0.4]


def test_only_the_next_few_views_are_fetched(shelf: Shelf) -> None:
    for instant in range(20):
        shelf.put(wall(instant))
    prefetch = FramePrefetch(shelf)
    prefetch.expect(range(10))
    first = prefetch.take(0, None)
    assert first is not None
    assert first.capture_ns == 0
    prefetch.expect([7])
    assert prefetch.take(7, None) is shelf.frames[7]
    assert set(shelf.asked) <= {*range(AHEAD), 7}


def test_moving_a_view_is_taking_it_out_and_putting_it_in() -> None:
    one, two = Volume(SETTINGS, CAMERA), Volume(SETTINGS, CAMERA)
    for volume in (one, two):
        volume.integrate(wall(1), at(0.0))
        volume.integrate(wall(2), at(0.1))
    touched = one.move(wall(2), at(0.1), wall(2), at(1.5))
    taken = two.remove(wall(2), at(0.1))
    put = two.integrate(wall(2), at(1.5))
    assert touched.tolist() == sorted(set(taken.tolist()) | set(put.tolist()))
    np.testing.assert_array_equal(one.voxel_words(), two.voxel_words())
    with pytest.raises(InputError):
        one.move(wall(1), at(0.0), wall(1), at(1e7))
    np.testing.assert_array_equal(one.voxel_words(), two.voxel_words())
