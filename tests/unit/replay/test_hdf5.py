from pathlib import Path

import cv2
import h5py
import numpy as np
import pytest
from recordings import write_seven_scenes

from mapcast_client.errors import InputError
from replay.hdf5 import Hdf5Sequence, write_hdf5
from replay.monocular import Monocular
from replay.opening import open_sequence
from replay.rendered import RenderedSequence, RenderedSettings
from slam.images import decode_frame, decode_monocular_frame


def test_what_is_written_is_read_pixel_for_pixel(tmp_path: Path) -> None:
    source = RenderedSequence(RenderedSettings(frames=3))
    assert write_hdf5(source, tmp_path / "room.h5") == 3
    copy = open_sequence(tmp_path / "room.h5")
    assert isinstance(copy, Hdf5Sequence)
    assert (len(copy), copy.sensor, copy.name) == (3, "rgbd", source.name)
    assert copy.calibration == source.calibration
    for before, after in zip(source.frames(), copy.frames(), strict=True):
        a = decode_frame(before, source.calibration)
        b = decode_frame(after, copy.calibration)
        assert (a.index, a.capture_ns, a.depth_scale_m) == (b.index, b.capture_ns, b.depth_scale_m)
        np.testing.assert_array_equal(a.color, b.color)
        np.testing.assert_array_equal(a.depth, b.depth)
    truth = copy.ground_truth
    assert truth is not None
    np.testing.assert_allclose(
        truth.world_from_camera, source.ground_truth.world_from_camera, atol=1e-12
    )


def test_invalid_depth_becomes_zero(tmp_path: Path) -> None:
    depth = np.full((480, 640), 1500, np.uint16)
    depth[100] = 0xFFFF  # 7-Scenes' "no depth"
    (tmp_path / "kitchen").mkdir()
    for name, pixels in (("color", np.zeros((480, 640, 3), np.uint8)), ("depth", depth)):
        assert cv2.imwrite(str(tmp_path / f"kitchen/frame-000000.{name}.png"), pixels)
    write_hdf5(open_sequence(tmp_path / "kitchen"), tmp_path / "kitchen.h5")
    with h5py.File(tmp_path / "kitchen.h5") as file:
        assert np.unique(file["depth"][0]).tolist() == [0, 1500]
        assert np.unique(np.flatnonzero(file["depth"][0, :, 0] == 0)).tolist() == [100]


def test_frames_of_another_size_are_refused(tmp_path: Path) -> None:
    recording = open_sequence(write_seven_scenes(tmp_path / "kitchen", 2))
    with pytest.raises(InputError, match="must be 640x480"):  # these pictures are smaller
        write_hdf5(recording, tmp_path / "kitchen.h5")


def test_without_depth_and_calibration(tmp_path: Path) -> None:
    source = RenderedSequence(RenderedSettings(frames=2))
    mono = Monocular(source)
    write_hdf5(mono, tmp_path / "mono.h5", limit=1)
    copy = Hdf5Sequence(tmp_path / "mono.h5")
    assert (len(copy), copy.sensor, copy.calibration) == (1, "mono", mono.calibration)
    before, after = next(iter(source.frames())), next(iter(copy.frames()))
    camera = source.calibration.camera
    np.testing.assert_array_equal(
        decode_monocular_frame(before, camera).color, decode_monocular_frame(after, camera).color
    )


def test_frames_are_chunks_so_that_memory_holds_one(tmp_path: Path) -> None:
    write_hdf5(RenderedSequence(RenderedSettings(frames=2)), tmp_path / "room.h5")
    with h5py.File(tmp_path / "room.h5") as file:
        assert file["color"].chunks == (1, 480, 640, 3)
        assert file["depth"].chunks == (1, 480, 640)


@pytest.fixture
def arrays(tmp_path: Path) -> Path:
    """A file as a user would write it: float depth, no truth."""
    path = tmp_path / "user.hdf5"
    with h5py.File(path, "w") as file:
        file["capture_ns"] = np.array([0, 100, 200])
        file["color"] = np.zeros((3, 48, 64, 3), np.uint8)
        file["depth"] = np.full((3, 48, 64), 1.5, np.float32)
        file.attrs["camera"] = [50.0, 50.0, 32.0, 24.0]
    return path


def test_a_users_own_arrays(arrays: Path) -> None:
    sequence = Hdf5Sequence(arrays)
    assert sequence.ground_truth is None
    frame = decode_frame(next(iter(sequence.frames(start=2))), sequence.calibration)
    assert frame.index == 2
    assert (frame.depth == 1.5).all()


@pytest.mark.parametrize(("kind", "value"), [(">f4", 1.5), (">u2", 1500)])
def test_depth_of_the_other_byte_order(arrays: Path, kind: str, value: float) -> None:
    with h5py.File(arrays, "a") as file:
        del file["depth"]
        file["depth"] = np.full((3, 48, 64), value, kind)
    sequence = Hdf5Sequence(arrays)
    assert (decode_frame(next(iter(sequence.frames())), sequence.calibration).depth == value).all()


def test_a_camera_of_too_few_numbers(arrays: Path) -> None:
    with h5py.File(arrays, "a") as file:
        file.attrs["camera"] = [50.0, 50.0]
    with pytest.raises(InputError, match="`camera` has 2 numbers, must begin with fx fy cx cy"):
        Hdf5Sequence(arrays)


@pytest.mark.parametrize(
    ("name", "value", "complaint"),
    [
        ("color", None, "has no dataset /color"),
        ("color", np.zeros((3, 48, 64), np.uint8), "/color is uint8 with 3 dimensions"),
        ("depth", np.zeros((2, 48, 64), np.float32), r"/depth is float32 \(2, 48, 64\), must be"),
        ("depth", np.zeros((3, 48, 64), np.float64), r"/depth is float64 .* must be uint16 or"),
        ("capture_ns", np.array([0, 100, 100]), "in the order of time"),
        ("world_from_camera", np.zeros((3, 4)), r"/world_from_camera is \(3, 4\)"),
    ],
)
def test_another_layout_is_named(
    arrays: Path, name: str, value: np.ndarray | None, complaint: str
) -> None:
    with h5py.File(arrays, "a") as file:
        if name in file:
            del file[name]
        if value is not None:
            file[name] = value
    with pytest.raises(InputError, match=complaint):
        Hdf5Sequence(arrays)


def test_depth_needs_a_camera(arrays: Path) -> None:
    with h5py.File(arrays, "a") as file:
        del file.attrs["camera"]
    with pytest.raises(InputError, match="no attribute `camera`"):
        Hdf5Sequence(arrays)


def test_what_is_no_hdf5(tmp_path: Path) -> None:
    (tmp_path / "x.h5").write_bytes(b"not HDF5")
    with pytest.raises(InputError, match=r"x\.h5: cannot be opened as HDF5"):
        open_sequence(tmp_path / "x.h5")
