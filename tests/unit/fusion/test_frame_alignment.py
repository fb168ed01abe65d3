"""Aligning a view to a volume: what it finds, what it leaves alone, and what it refuses."""

from itertools import pairwise

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from fusion.align import Aligner, AlignmentSettings
from fusion.volume import Volume, VolumeSettings
from mapcast_client.errors import InputError
from replay.rendered import CAMERA, RenderedSequence, RenderedSettings
from slam.camera import Camera
from slam.frame import Frame
from slam.geometry import Mat4, inverse, rigid
from slam.images import decode_frame

SMALL = Camera(160, 120, 150.0, 150.0, 79.5, 59.5)
DENSE = AlignmentSettings(stride_px=5)
CORNER = ((0.0, 0.0, 1.0, 2.0), (0.8, 0.0, 0.6, 1.6), (0.0, 0.8, 0.6, 1.5))
"""Planes n · p = d: a wall, and two that lean against it."""
WALL = CORNER[:1]


def seen(planes: tuple[tuple[float, ...], ...], world_from_camera: Mat4, index: int = 0) -> Frame:
    """The nearest of some planes, exactly."""
    v, u = np.mgrid[: SMALL.height_px, : SMALL.width_px]
    rays = np.stack([u, v, np.ones_like(u)], -1) @ np.linalg.inv(SMALL.matrix).T
    rays_world = rays @ world_from_camera[:3, :3].T
    depth_m = np.full(u.shape, np.inf)
    for *normal, offset_m in planes:
        height_m = offset_m - np.dot(normal, world_from_camera[:3, 3])
        depth_m = np.minimum(depth_m, height_m / np.maximum(rays_world @ normal, 1e-6))
    color = np.full((*u.shape, 3), 128, np.uint8)
    return Frame(index, index * 33_000_000, color, depth_m.astype(np.float32))


def moved_by(x_m: float, y_m: float, z_m: float, *turn_deg: float) -> Mat4:
    turn = Rotation.from_euler("xyz", turn_deg or (0, 0, 0), degrees=True)
    return rigid(turn.as_matrix(), np.array([x_m, y_m, z_m]))


def volume_of(planes: tuple[tuple[float, ...], ...]) -> Volume:
    volume = Volume(VolumeSettings(max_blocks=8192), SMALL)
    for index in range(4):
        pose = moved_by(0.02 * index, -0.01 * index, 0.0, 0.5 * index, -0.5 * index, 0)
        volume.integrate(seen(planes, pose, index), pose)
    return volume


def error(found: Mat4, true: Mat4) -> tuple[float, float]:
    """Metres and degrees between two poses."""
    offset = inverse(true) @ found
    turn_deg = np.degrees(Rotation.from_matrix(offset[:3, :3]).magnitude())
    return float(np.linalg.norm(offset[:3, 3])), float(turn_deg)


@pytest.fixture(scope="module")
def corner() -> Volume:
    return volume_of(CORNER)


@pytest.fixture(scope="module")
def wall() -> Volume:
    return volume_of(WALL)


def test_a_small_offset_is_undone_to_less_than_a_millimetre(corner: Volume) -> None:
    true = moved_by(0.03, -0.01, 0.01, 1.0, 0.5, -0.5)
    start = true @ moved_by(0.015, -0.01, 0.012, 0.5, -0.6, 0.4)

    found = Aligner(corner, DENSE).align(seen(CORNER, true), start)

    assert found is not None
    assert found.is_complete
    assert found.known_share > 0.9
    distance_m, turn_deg = error(found.world_from_camera, true)
    assert distance_m < 0.001
    assert turn_deg < 0.05


def test_from_the_right_pose_it_does_not_go_away(corner: Volume) -> None:
    true = moved_by(0.02, 0.0, 0.0, 0.5, 0, 0)

    found = Aligner(corner, DENSE).align(seen(CORNER, true), true)

    assert found is not None
    assert found.moved_m < 0.001


def test_a_wall_leaves_motion_along_it_alone(wall: Volume) -> None:
    true = moved_by(0.02, 0.0, 0.0)
    aside = moved_by(0.012, -0.009, 0.0, 0, 0, 0.7)
    start = true @ aside @ moved_by(0, 0, 0.015)

    found = Aligner(wall, DENSE).align(seen(WALL, true), start)

    assert found is not None
    assert found.directions == 3
    distance_m, turn_deg = error(found.world_from_camera, true @ aside)
    assert distance_m < 0.001
    assert turn_deg < 0.05


def test_what_moved_in_front_of_the_surface_does_not_count(corner: Volume) -> None:
    true = moved_by(0.02, -0.01, 0.0)
    frame = seen(CORNER, true)
    assert frame.depth is not None
    depth_m: NDArray[np.float32] = frame.depth.astype(np.float32)
    depth_m[30:90, 40:80] -= 0.03
    changed = Frame(0, 0, frame.color, depth_m)

    found = Aligner(corner, DENSE).align(changed, true @ moved_by(0.008, 0.005, -0.008))

    assert found is not None
    assert error(found.world_from_camera, true)[0] < 0.002


def test_a_correction_beyond_the_bounds_is_refused(corner: Volume) -> None:
    aligner = Aligner(corner, AlignmentSettings(stride_px=5, most_m=0.01))
    true = moved_by(0.02, 0.0, 0.0)
    start = true @ moved_by(0.0, 0.0, 0.015)

    assert aligner.align(seen(CORNER, true), start) is None
    assert aligner.align(seen(CORNER, true), start, wider=2.0) is not None


def test_an_unknown_place_aligns_to_nothing(corner: Volume) -> None:
    away = moved_by(0, 0, 0, 0, 180, 0)
    behind = ((0.0, 0.0, -1.0, 2.0),)

    assert Aligner(corner, DENSE).align(seen(behind, away), away) is None


def test_a_view_without_enough_depth_aligns_to_nothing(corner: Volume) -> None:
    frame = seen(CORNER, np.eye(4))
    empty = Frame(0, 0, frame.color, np.zeros_like(frame.depth))

    assert Aligner(corner, DENSE).align(empty, np.eye(4)) is None


def test_depth_in_sensor_units_aligns_as_metres_do(corner: Volume) -> None:
    true = moved_by(0.03, 0.0, 0.0)
    frame = seen(CORNER, true)
    units = np.round(np.asarray(frame.depth) * 5000).astype(np.uint16)
    start = true @ moved_by(0.01, 0.0, 0.01)

    found = Aligner(corner, DENSE).align(Frame(0, 0, frame.color, units, 0.0002), start)

    assert found is not None
    assert error(found.world_from_camera, true)[0] < 0.001


def test_the_rendered_room_is_found_to_less_than_a_millimetre() -> None:
    sequence = RenderedSequence(RenderedSettings(frames=900, noise=False))
    truth = sequence.ground_truth.world_from_camera
    volume = Volume(VolumeSettings(), CAMERA)
    color = np.full((CAMERA.height_px, CAMERA.width_px, 3), 128, np.uint8)
    for index in (300, 303, 309, 312):
        depth_m = sequence.view(index).depth_m.astype(np.float32)
        volume.integrate(Frame(index, index, color, depth_m), truth[index])
    frame = Frame(306, 306, color, sequence.view(306).depth_m.astype(np.float32))

    start = truth[306] @ moved_by(0.012, -0.008, 0.015, 0.4, -0.5, 0.3)
    found = Aligner(volume).align(frame, start)

    assert found is not None
    assert found.is_complete
    distance_m, turn_deg = error(found.world_from_camera, truth[306])
    assert distance_m < 0.001
    assert turn_deg < 0.03


def test_what_is_too_far_to_be_measured_well_does_not_make_the_map_drift() -> None:
    room = RenderedSequence(RenderedSettings(frames=900))
    truth = room.ground_truth.world_from_camera
    walls_ahead = [decode_frame(message, room.calibration) for message in room.frames(80, 250)]
    ends_m = []
    for noisiest in (AlignmentSettings().noisiest, 10.0):
        volume, pose = Volume(VolumeSettings(), CAMERA), truth[250]
        aligner = Aligner(volume, AlignmentSettings(noisiest=noisiest))
        volume.integrate(walls_ahead[0], pose)
        for before, frame in pairwise(walls_ahead[::2]):
            start = pose @ inverse(truth[before.index]) @ truth[frame.index]
            found = aligner.align(frame, start)
            pose = start if found is None else found.world_from_camera
            volume.integrate(frame, pose)
        ends_m.append(error(pose, truth[frame.index])[0])
    assert ends_m[0] < 0.5 * ends_m[1]


@pytest.mark.parametrize(
    "settings", [{"stride_px": 2}, {"most_m": 0.0}, {"most_rad": 2.0}, {"noisiest": 0.0}]
)
def test_settings_that_make_no_sense_are_refused(settings: dict[str, float]) -> None:
    with pytest.raises(InputError):
        AlignmentSettings(**settings)  # type: ignore[arg-type]
