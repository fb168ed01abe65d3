"""Opening a recording: which format it has."""

from pathlib import Path
from typing import TypeGuard

from mapcast_client.errors import InputError
from replay.hdf5 import Hdf5Sequence
from replay.images import ImagesSequence
from replay.intrinsics import Intrinsics
from replay.mcap import McapSequence
from replay.monocular import Monocular
from replay.rendered import RenderedSequence, RenderedSettings
from replay.rosbag import RosBagSequence, Topics
from replay.sequence import RGBD, RgbdSequence, Sequence
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
    `intrinsics` are for recordings without, and replace those of a recorded session. Raises
    InputError.
    """
    path = Path(source)
    recording = _open_calibrated(source, cache, mono, intrinsics)
    if recording is not None and mono and has_depth(recording):
        return Monocular(recording, intrinsics)
    if isinstance(recording, RosBagSequence | McapSequence):
        return recording
    if recording is not None and intrinsics is not None:
        raise InputError(f"{path}: it brings its own calibration; depth can be left out as mono")
    if recording is not None:
        return recording
    if path.is_file():
        return VideoSequence(path, intrinsics)
    if ImagesSequence.recognises(path):
        return ImagesSequence(path, intrinsics)
    raise InputError(
        f"{path}: no known recording. Looked for 7-Scenes (frame-000000.color.jpg or .png beside "
        "frame-000000.depth.png), TUM RGB-D (rgb.txt and depth.txt), a ROS 2 bag (metadata.yaml) "
        "a recorded session (000001.mcap) and pictures (.jpg, .png or .webp); a file may be HDF5 "
        "(.h5, .hdf5), MCAP (.mcap), a ROS 1 bag (.bag) or a video; the name `rendered` stands for "
        "the built-in room"
    )


def open_rgbd_sequence(source: Path | str, cache: Path | None = None) -> RgbdSequence:
    """Open a recording with depth, as `open_sequence` does. Raises InputError for one without."""
    recording = _open_calibrated(source, cache)
    if recording is None or not has_depth(recording):
        raise InputError(
            f"{source}: no recording with depth. Looked for 7-Scenes (frame-000000.color.jpg or "
            ".png beside frame-000000.depth.png), TUM RGB-D (rgb.txt and depth.txt), HDF5, "
            "ROS bags and recorded sessions"
        )
    return recording


def has_depth(recording: Sequence) -> TypeGuard[RgbdSequence]:
    """Whether it has depth, and so a camera that is known."""
    return recording.sensor == RGBD


def _open_calibrated(
    source: Path | str,
    cache: Path | None,
    mono: bool = False,
    intrinsics: Intrinsics | None = None,
) -> Sequence | None:
    """The recording, if it has a format that tells of its camera; None for mere pictures.

    A bag takes `mono` and `intrinsics` itself: an IMU goes with colour alone. Raises InputError
    where there is nothing.
    """
    if str(source).partition(":")[0] == "rendered":
        return RenderedSequence(RenderedSettings.parse(str(source)), cache)
    path = Path(source)
    if not path.exists():
        raise InputError(f"{path}: no such file or folder")
    if SevenScenesSequence.recognises(path):
        return SevenScenesSequence(path)
    if TumSequence.recognises(path):
        return TumSequence(path)
    if Hdf5Sequence.recognises(path):
        return Hdf5Sequence(path)
    if McapSequence.recognises(path):
        return McapSequence(path, intrinsics)
    if RosBagSequence.recognises(path):
        return RosBagSequence(path, Topics(depth=None if mono else ""), intrinsics)
    return None
