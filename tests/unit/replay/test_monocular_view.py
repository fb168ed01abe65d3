import threading
from pathlib import Path

from recordings import write_seven_scenes

from replay.intrinsics import Intrinsics
from replay.monocular import Monocular
from replay.seven_scenes import SevenScenesSequence


def test_the_colour_and_the_truth_stay(tmp_path: Path) -> None:
    recording = SevenScenesSequence(write_seven_scenes(tmp_path / "kitchen", 4))
    colours = Monocular(recording)
    assert (colours.sensor, len(colours), colours.frame_rate_hz) == ("mono", 4, 30.0)
    assert colours.name == "kitchen, colour only"
    assert colours.ground_truth is recording.ground_truth
    assert colours.calibration.camera == recording.calibration.camera
    for seen, whole in zip(colours.frames(2, start=1), recording.frames(2, start=1), strict=True):
        assert (seen.index, seen.capture_ns) == (whole.index, whole.capture_ns)
        assert seen.color == whole.color
        assert whole.HasField("depth")
        assert not seen.HasField("depth")


def test_the_colour_camera_may_have_numbers_of_its_own(tmp_path: Path) -> None:
    recording = SevenScenesSequence(write_seven_scenes(tmp_path, 1))
    camera = Monocular(recording, Intrinsics(550, 550, 320, 240)).calibration.camera
    assert (camera.width_px, camera.fx_px) == (640, 550)
    assert recording.calibration.camera.fx_px == 585


def test_closing_ends_the_thread(tmp_path: Path) -> None:
    frames = Monocular(SevenScenesSequence(write_seven_scenes(tmp_path, 12))).frames()
    next(frames)
    frames.close()  # type: ignore[attr-defined]
    assert not [thread for thread in threading.enumerate() if thread.name == "read-ahead"]
