from pathlib import Path

import numpy as np
import pytest
from recordings import turned, write_images

from mapcast_client.errors import InputError
from replay.tum import TumSequence, camera_of, interpolate
from slam.geometry import pose_vector
from slam.trajectory import Trajectory

START_S = 1_305_031_102


def stamp(milliseconds: float) -> str:
    microseconds = round(milliseconds * 1000)
    return f"{START_S + microseconds // 1_000_000}.{microseconds % 1_000_000:06d}"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Six frames at 30 Hz; depth is 8 ms late, the fourth depth image is missing."""
    folder = tmp_path / "rgbd_dataset_freiburg2_desk"
    rgb, depth = ["# color images"], ["# depth maps"]
    for i in range(6):
        color_at, depth_at = stamp(33.3 * i), stamp(33.3 * i + 8)
        write_images(folder / f"rgb/{color_at}.png", folder / f"depth/{depth_at}.png", i)
        rgb.append(f"{color_at} rgb/{color_at}.png")
        if i != 3:
            depth.append(f"{depth_at} depth/{depth_at}.png")
    truth = ["# timestamp tx ty tz qx qy qz qw"]
    for i in range(-1, 25):
        numbers = " ".join(f"{x:.9f}" for x in pose_vector(turned(i, 0.01 * i)))
        truth.append(f"{stamp(10 * i + 5) if i >= 0 else f'{START_S - 1}.995000'} {numbers}")
    for name, lines in (("rgb", rgb), ("depth", depth), ("groundtruth", truth)):
        (folder / f"{name}.txt").write_text("\n".join(lines) + "\n")
    return folder


def test_colour_and_depth_are_associated(folder: Path) -> None:
    assert TumSequence.recognises(folder)
    sequence = TumSequence(folder)
    frames = list(sequence.frames())
    assert [frame.index for frame in frames] == [0, 1, 2, 3, 4]
    # Nanosecond-exact: 1305031102.0999 s would lose digits as a float.
    expected = [START_S * 10**9 + round(33_300 * i) * 1000 for i in (0, 1, 2, 4, 5)]
    assert [frame.capture_ns for frame in frames] == expected
    assert frames[3].color.data == (folder / f"rgb/{stamp(33.3 * 4)}.png").read_bytes()
    assert frames[3].depth.data == (folder / f"depth/{stamp(33.3 * 4 + 8)}.png").read_bytes()


def test_calibration(folder: Path) -> None:
    calibration = TumSequence(folder).calibration
    assert calibration.camera == camera_of("freiburg2")
    assert calibration.depth_scale_m == 1 / 5000
    assert calibration.frame_rate_hz == pytest.approx(30, abs=0.1)
    assert len(camera_of("rgbd_dataset_freiburg1_xyz").distortion) == 5
    assert camera_of("freiburg3_office").distortion == ()
    assert camera_of("my own").fx_px == 525


def test_ground_truth_is_interpolated_at_the_frames(folder: Path) -> None:
    sequence = TumSequence(folder)
    truth = sequence.ground_truth
    assert truth is not None
    assert truth.capture_ns.tolist() == [frame.capture_ns for frame in sequence.frames()]
    for milliseconds, pose in zip(
        (33.3 * i for i in (0, 1, 2, 4, 5)), truth.world_from_camera, strict=True
    ):
        steps = (milliseconds - 5) / 10
        np.testing.assert_allclose(pose, turned(steps, 0.01 * steps), atol=2e-6)


def test_truth_is_unknown_in_gaps_and_outside() -> None:
    second = 10**9
    times = np.array([0, second // 20, second, second + second // 20], np.int64)
    truth = Trajectory(times, np.array([turned(i, i) for i in range(4)]))
    wanted = np.array([-1, 0, second // 40, second // 2, second, 2 * second], np.int64)
    assert interpolate(truth, wanted).capture_ns.tolist() == [0, second // 40, second]
    alone = Trajectory(times[:1], truth.world_from_camera[:1])
    assert len(interpolate(alone, wanted)) == 0


def test_without_ground_truth(folder: Path) -> None:
    (folder / "groundtruth.txt").unlink()
    assert TumSequence(folder).ground_truth is None


@pytest.mark.parametrize("line", ["12.5", "abc rgb/a.png", "1.5 a b", "-3.0 rgb/a.png"])
def test_a_bad_list_names_the_line(folder: Path, line: str) -> None:
    (folder / "rgb.txt").write_text(f"# color\n{line}\n")
    with pytest.raises(InputError, match=r"rgb\.txt, line 2: needs a time and a file"):
        TumSequence(folder)


def test_a_bad_truth_names_the_line(folder: Path) -> None:
    (folder / "groundtruth.txt").write_text("1.0 1 2 3\n")
    with pytest.raises(InputError, match=r"groundtruth\.txt, line 1"):
        TumSequence(folder)


def test_nothing_belongs_together(folder: Path) -> None:
    (folder / "depth.txt").write_text("17.0 depth/a.png\n")
    with pytest.raises(InputError, match=r"no image of rgb\.txt \(6\) is within 20 ms"):
        TumSequence(folder)


def test_an_image_that_is_not_there(folder: Path) -> None:
    sequence = TumSequence(folder)
    missing = folder / f"depth/{stamp(33.3 + 8)}.png"
    missing.unlink()
    frames = sequence.frames()
    assert next(frames).index == 0
    with pytest.raises(InputError, match=rf"{missing.name}: No such file"):
        next(frames)
