from pathlib import Path

import numpy as np
import pytest
from recordings import SIZE_PX, turned, write_images, write_seven_scenes

from mapcast_client.errors import InputError
from mapcast_client.v1 import ingest_pb2
from replay.seven_scenes import SevenScenesSequence


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_seven_scenes(tmp_path / "kitchen", 5)


def test_frames_are_the_files(folder: Path) -> None:
    sequence = SevenScenesSequence(folder)
    frames = list(sequence.frames(limit=2, start=2))
    assert [frame.index for frame in frames] == [2, 3]
    assert [frame.capture_ns for frame in frames] == [66_666_666, 100_000_000]
    assert frames[0].color.data == (folder / "frame-000002.color.jpg").read_bytes()
    assert frames[0].color.encoding == ingest_pb2.IMAGE_ENCODING_JPEG
    assert frames[1].depth.data == (folder / "frame-000003.depth.png").read_bytes()
    assert frames[1].depth.encoding == ingest_pb2.IMAGE_ENCODING_PNG


def test_calibration_is_the_data_set_s_or_the_folder_s(folder: Path) -> None:
    calibration = SevenScenesSequence(folder).calibration
    assert (calibration.depth_scale_m, calibration.depth_invalid) == (0.001, 65535)
    assert calibration.camera.fx_px == 585
    (folder / "camera-intrinsics.txt").write_text("500 0 310\n0 505 230\n0 0 1\n")
    camera = SevenScenesSequence(folder).calibration.camera
    assert (camera.fx_px, camera.fy_px, camera.cx_px, camera.cy_px) == (500, 505, 310, 230)


def test_ground_truth_is_rigid_and_in_step(folder: Path) -> None:
    sequence = SevenScenesSequence(folder)
    truth = sequence.ground_truth
    assert truth is not None
    assert truth.capture_ns.tolist() == [f.capture_ns for f in sequence.frames()]
    for i, pose in enumerate(truth.world_from_camera):
        np.testing.assert_allclose(pose, turned(2.0 * i, 0.1 * i), atol=1e-9)


def test_a_sequence_without_poses_has_no_truth(folder: Path) -> None:
    for pose in folder.glob("*.pose.txt"):
        pose.unlink()
    assert SevenScenesSequence(folder).ground_truth is None


def test_png_colour(tmp_path: Path) -> None:
    write_images(tmp_path / "frame-000000.color.png", tmp_path / "frame-000000.depth.png", 0)
    assert SevenScenesSequence.recognises(tmp_path)
    (frame,) = SevenScenesSequence(tmp_path).frames()
    assert frame.color.encoding == ingest_pb2.IMAGE_ENCODING_PNG


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        ("1 0 0\n0 1 0\n", r"has 6 numbers, must be 4 × 4"),
        ("one two", "not a matrix of numbers"),
        ("nan " * 16, "NaN"),
        ("2 0 0 0\n0 2 0 0\n0 0 2 0\n0 0 0 1", "not a rigid transform"),
    ],
)
def test_a_bad_pose_names_its_file(folder: Path, content: str, complaint: str) -> None:
    (folder / "frame-000003.pose.txt").write_text(content)
    with pytest.raises(InputError, match=rf"frame-000003\.pose\.txt.*{complaint}"):
        SevenScenesSequence(folder)


def test_a_missing_pose_names_its_file(folder: Path) -> None:
    (folder / "frame-000003.pose.txt").unlink()
    with pytest.raises(InputError, match=r"frame-000003\.pose\.txt"):
        SevenScenesSequence(folder)


def test_a_gap_in_the_numbers(folder: Path) -> None:
    (folder / "frame-000002.color.jpg").unlink()
    with pytest.raises(InputError, match=r"frame-000002\.color\.jpg .*is missing"):
        SevenScenesSequence(folder)


def test_files_that_break_on_the_way(folder: Path) -> None:
    sequence = SevenScenesSequence(folder)
    (folder / "frame-000002.depth.png").unlink()
    (folder / "frame-000001.color.jpg").write_bytes(b"no image")
    frames = sequence.frames()
    assert next(frames).index == 0
    with pytest.raises(InputError, match=r"frame-000001\.color\.jpg: neither JPEG, PNG nor WebP"):
        next(frames)
    with pytest.raises(InputError, match=r"frame-000002\.depth\.png: No such file"):
        list(sequence.frames(start=2))


def test_images_have_the_expected_size(folder: Path) -> None:
    import cv2

    frame = next(SevenScenesSequence(folder).frames())
    color = cv2.imdecode(np.frombuffer(frame.color.data, np.uint8), cv2.IMREAD_COLOR)
    assert color is not None
    assert color.shape == (SIZE_PX[1], SIZE_PX[0], 3)


@pytest.mark.data
def test_red_kitchen(red_kitchen: Path) -> None:
    sequence = SevenScenesSequence(red_kitchen)
    assert len(sequence) == 700
    assert sequence.ground_truth is not None
    assert len(sequence.ground_truth) == 700
    assert [frame.index for frame in sequence.frames(limit=5, start=695)] == [*range(695, 700)]
