import numba
import numpy as np
import pytest
from numpy.typing import NDArray

from mapcast_client.errors import InputError
from replay.rendered import CAMERA, DEPTH_SCALE_M, RenderedSequence, RenderedSettings
from replay.room.room import Room
from replay.room.sensor import sense
from slam.geometry import inverse
from slam.images import decode_frame


@pytest.fixture(scope="module")
def sequence() -> RenderedSequence:
    return RenderedSequence(RenderedSettings(frames=900))


@pytest.fixture(scope="module")
def room(sequence: RenderedSequence) -> Room:
    return sequence.room


def points_of(
    depth_m: NDArray[np.float32], world_from_camera: NDArray[np.float64]
) -> NDArray[np.float64]:
    v, u = np.mgrid[0 : CAMERA.height_px, 0 : CAMERA.width_px]
    rays = np.stack([(u - 319.5) / 525, (v - 239.5) / 525, np.ones(u.shape)], axis=-1)
    points = (rays * depth_m[..., None]).reshape(-1, 3)
    world: NDArray[np.float64] = points @ world_from_camera[:3, :3].T + world_from_camera[:3, 3]
    return world


def test_settings_are_read_and_checked() -> None:
    parse = RenderedSettings.parse
    assert parse("rendered") == RenderedSettings(900, 0, True)
    assert parse("rendered:frames=12,seed=3,noise=0") == RenderedSettings(12, 3, False)
    with pytest.raises(InputError, match="'fps=3' is not one of"):
        parse("rendered:frames=12,fps=3")
    with pytest.raises(InputError, match="'seed=x' is not one of"):
        parse("rendered:seed=x")
    with pytest.raises(InputError, match="frames is 0, must be 1 to"):
        parse("rendered:frames=0")


@pytest.mark.parametrize("index", [0, 200, 500, 700])
def test_every_pixel_s_depth_lies_on_a_surface(
    sequence: RenderedSequence, room: Room, index: int
) -> None:
    points = points_of(sequence.view(index).depth_m, sequence.ground_truth.world_from_camera[index])
    distances_m = room.surface_distance(points)
    assert np.percentile(distances_m, 99.9) < 1e-6
    assert distances_m.max() < 1e-4  # single precision where a ray grazes an edge


def test_depth_of_the_floor_is_that_of_a_plane(sequence: RenderedSequence) -> None:
    view = sequence.view(0)
    pose = sequence.ground_truth.world_from_camera[0]
    v, u = np.nonzero(view.face == 4)  # the room's −z side
    assert len(v) > 1000
    down = pose[2, 0] * (u - 319.5) / 525 + pose[2, 1] * (v - 239.5) / 525 + pose[2, 2]
    np.testing.assert_allclose(view.depth_m[v, u], -pose[2, 3] / down, rtol=1e-6)


def test_one_view_predicts_another(sequence: RenderedSequence) -> None:
    first, second = sequence.view(300), sequence.view(306)
    poses = sequence.ground_truth.world_from_camera
    points = points_of(first.depth_m, poses[300])
    second_from_world = inverse(poses[306])
    x, y, z = (points @ second_from_world[:3, :3].T + second_from_world[:3, 3]).T
    u, v = np.rint(x / z * 525 + 319.5).astype(int), np.rint(y / z * 525 + 239.5).astype(int)
    inside = (u >= 0) & (u < 640) & (v >= 0) & (v < 480)
    assert inside.mean() > 0.7
    u, v, z = u[inside], v[inside], z[inside]
    same_face = first.face.ravel()[inside] == second.face[v, u]
    # The rest is what the camera's motion uncovers.
    assert same_face.mean() > 0.97
    depth_error = np.abs(second.depth_m[v, u] - z)[same_face]
    assert np.percentile(depth_error, 99) < 0.02
    before = first.color.reshape(-1, 3)[inside][same_face].astype(int)
    after = second.color[v, u][same_face].astype(int)
    # Half a pixel of rounding, on textures: small in the median, no shift in the mean.
    assert np.median(np.abs(before - after)) <= 6
    assert np.abs((before - after).mean(axis=0)).max() < 0.5


def test_the_same_bytes_on_any_number_of_threads() -> None:
    def frame_bytes(threads: int) -> list[bytes]:
        numba.set_num_threads(threads)
        Room.of.cache_clear()
        again = RenderedSequence(RenderedSettings(frames=60, seed=5))
        return [f.SerializeToString(deterministic=True) for f in again.frames(2, start=30)]

    most = numba.config.NUMBA_NUM_THREADS
    try:
        assert frame_bytes(1) == frame_bytes(most)
    finally:
        numba.set_num_threads(most)


def test_frames_decode_to_what_was_rendered(sequence: RenderedSequence) -> None:
    exact = RenderedSequence(RenderedSettings(frames=900, noise=False))
    (message,) = exact.frames(limit=1, start=123)
    frame = decode_frame(message, exact.calibration)
    assert message.index == 123
    assert frame.capture_ns == exact.ground_truth.capture_ns[123] == 4_100_000_000
    view = sequence.view(123)
    np.testing.assert_allclose(
        frame.depth * frame.depth_scale_m, view.depth_m, atol=DEPTH_SCALE_M / 2 + 1e-6
    )
    assert np.abs(frame.color.astype(int) - view.color).mean() < 4


def test_pictures_have_texture_everywhere_on_the_walk(sequence: RenderedSequence) -> None:
    for index in range(0, 900, 150):
        gray = sequence.view(index).color.astype(float).mean(axis=2)
        tiles = gray.reshape(6, 80, 8, 80).std(axis=(1, 3))
        assert (tiles > 4).mean() > 0.8, f"frame {index}"


def test_noise_grows_as_the_sensor_s(room: Room) -> None:
    sigmas, biases = [], []
    for z in (1.0, 2.0, 3.5):
        plane = np.full((200, 300), z, np.float32)
        seen = sense(plane, 525.0, 1)[:, 40:]
        assert (seen > 0).all()
        sigmas.append(seen.std())
        biases.append(abs(seen.mean() - z))
    expected = [0.0012 + 0.0019 * (z - 0.4) ** 2 for z in (1.0, 2.0, 3.5)]
    # Rounding to eighths of a pixel of disparity adds up to z² / (8 · 39.4) / √12.
    assert all(0.5 * e < s < 3 * e for s, e in zip(sigmas, expected, strict=True))
    assert sigmas == sorted(sigmas)
    assert max(biases) < 0.015
    assert (sense(plane, 525.0, 1) == sense(plane, 525.0, 1)).all()
    assert (sense(plane, 525.0, 1) != sense(plane, 525.0, 2)).any()


def test_noise_has_range_and_shadows() -> None:
    assert not sense(np.full((20, 30), 0.3, np.float32), 525.0, 0).any()
    assert not sense(np.full((20, 30), 5.0, np.float32), 525.0, 0).any()
    step = np.full((40, 200), 3.0, np.float32)
    step[:, 80:120] = 1.0
    seen = sense(step, 525.0, 0)
    # The projector's shadow of a near object: 39.4 · (1 − 1/3) = 26 columns on one side.
    hidden = (seen == 0).mean(axis=0) > 0.5
    assert 22 <= hidden[:80].sum() + hidden[120:].sum() <= 34


def test_the_sensor_loses_little_of_the_room(sequence: RenderedSequence) -> None:
    for index in (0, 300, 600):
        seen = sense(sequence.view(index).depth_m, 525.0, index)
        assert 0.6 < (seen > 0).mean() < 0.99


def test_the_reference_surface_is_its_own(sequence: RenderedSequence) -> None:
    surface = sequence.surface()
    points = surface.points()
    assert len(points) > 50_000
    assert surface.distance(points).max() < 1e-4
    assert surface.distance(np.array([[0.0, 0.0, 1.4]]))[0] > 0.4
