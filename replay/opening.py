"""Opening a recording: which format it has."""

from pathlib import Path

from mapcast_client.errors import InputError
from replay.rendered import RenderedSequence, RenderedSettings
from replay.sequence import Sequence
from replay.seven_scenes import SevenScenesSequence
from replay.tum import TumSequence


def open_sequence(source: Path | str, cache: Path | None = None) -> Sequence:
    """Open a recording; its format is recognised by what is in the folder.

    `rendered`, or `rendered:frames=900,seed=3,noise=0`, is the built-in room; its frames are kept
    in the folder `cache` if one is given. Raises InputError.
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
    raise InputError(
        f"{path}: no known recording. Looked for 7-Scenes (frame-000000.color.jpg or .png beside "
        "frame-000000.depth.png) and TUM RGB-D (rgb.txt and depth.txt); the name `rendered` "
        "stands for the built-in room"
    )
