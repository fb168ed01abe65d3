"""Opening a recording: which format it has."""

from pathlib import Path

from mapcast_client.errors import InputError
from replay.images import ImagesSequence
from replay.intrinsics import Intrinsics
from replay.monocular import Monocular
from replay.rendered import RenderedSequence, RenderedSettings
from replay.sequence import RgbdSequence, Sequence
from replay.seven_scenes import SevenScenesSequence
from replay.tum import TumSequence
from replay.video import VideoSequence


def open_sequence(
    source: Path | str,
    cache: Path | None = None,
    *,
    mono: bool = False,
    intrinsics: Intrinsics | None = None,
) -> Sequence:
    """Open a recording; its format is recognised by what is in the folder or file.

    `rendered`, or `rendered:frames=900,seed=3,noise=0`, is the built-in room; its frames are kept
    in the folder `cache` if one is given. `mono` leaves out the depth of a recording that has it;
    `intrinsics` are for recordings without. Raises InputError.
    """
    path = Path(source)
    if path.is_file():
        return VideoSequence(path, intrinsics)
    recording = _open_with_depth(source, cache)
    if recording is not None and mono:
        return Monocular(recording, intrinsics)
    if recording is not None and intrinsics is not None:
        raise InputError(f"{path}: depth and colour share its own calibration; open it as mono")
    if recording is not None:
        return recording
    if ImagesSequence.recognises(path):
        return ImagesSequence(path, intrinsics)
    raise InputError(
        f"{path}: no known recording. Looked for 7-Scenes (frame-000000.color.jpg or .png beside "
        "frame-000000.depth.png), TUM RGB-D (rgb.txt and depth.txt) and pictures (.jpg, .png or "
        ".webp); a file is taken as a video; the name `rendered` stands for the built-in room"
    )


def open_rgbd_sequence(source: Path | str, cache: Path | None = None) -> RgbdSequence:
    """Open a recording with depth, as `open_sequence` does. Raises InputError for one without."""
    recording = _open_with_depth(source, cache)
    if recording is None:
        raise InputError(
            f"{source}: no recording with depth. Looked for 7-Scenes (frame-000000.color.jpg or "
            ".png beside frame-000000.depth.png) and TUM RGB-D (rgb.txt and depth.txt)"
        )
    return recording


def _open_with_depth(source: Path | str, cache: Path | None) -> RgbdSequence | None:
    """The recording, if it is one with depth. Raises InputError where there is nothing."""
    if str(source).partition(":")[0] == "rendered":
        return RenderedSequence(RenderedSettings.parse(str(source)), cache)
    path = Path(source)
    if not path.exists():
        raise InputError(f"{path}: no such file or folder")
    if SevenScenesSequence.recognises(path):
        return SevenScenesSequence(path)
    if TumSequence.recognises(path):
        return TumSequence(path)
    return None
