"""`mapcast convert`: a recording in another format."""

from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

from clients.cli.progress import console
from mapcast_client.errors import InputError
from replay.hdf5 import SUFFIXES, write_hdf5
from replay.mcap import write_mcap
from replay.opening import open_sequence
from replay.rosbag import RosBagSequence, Topics
from replay.sequence import Sequence
from stream.config import user_cache

_WRITERS: dict[str, Callable[[Sequence, Path, int | None], int]] = {
    ".mcap": write_mcap,
    **dict.fromkeys(SUFFIXES, write_hdf5),
}


def convert(
    source: Annotated[str, typer.Argument(metavar="A", help="Whatever `mapcast replay` opens.")],
    target: Annotated[Path, typer.Argument(metavar="B", help="A new file: .h5, .hdf5 or .mcap.")],
    limit: Annotated[int | None, typer.Option(min=1, help="At most so many frames.")] = None,
    mono: Annotated[bool, typer.Option("--mono", help="Leave out the depth.")] = False,
    color_topic: Annotated[str, typer.Option(help="Of a ROS bag; found without.")] = "",
    depth_topic: Annotated[str, typer.Option(help="Of a ROS bag; found without.")] = "",
    imu_topic: Annotated[
        str, typer.Option(help="Of a ROS bag without depth; found without. `none` leaves it out.")
    ] = "",
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the file.")] = False,
) -> None:
    """Write a recording as HDF5 arrays or as MCAP, one frame in memory at a time."""
    write = _WRITERS.get(target.suffix.lower())
    if write is None:
        raise InputError(f"{target} must end in one of {', '.join(_WRITERS)}")
    if target.exists() and not overwrite:
        raise InputError(f"{target} exists already; --overwrite replaces it")
    if color_topic or depth_topic or imu_topic:
        if not RosBagSequence.recognises(Path(source)):
            raise InputError(f"{source} is no ROS bag: it has no topics to choose from")
        depth, imu = None if mono else depth_topic, None if imu_topic == "none" else imu_topic
        topics = Topics(color_topic, depth, imu)
        sequence: Sequence = RosBagSequence(Path(source), topics)
    else:
        sequence = open_sequence(source, user_cache(), mono=mono)
    # Half a file under the name of a whole one would be taken for it.
    unfinished = target.with_name(f".{target.name}.unfinished{target.suffix}")
    try:
        with console.status(f"converting {sequence.name} …"):
            count = write(sequence, unfinished, limit)
        unfinished.replace(target)
    except OSError as error:
        raise InputError(f"cannot write {target}: {error.strerror or error}") from None
    finally:
        unfinished.unlink(missing_ok=True)
    size_mb = target.stat().st_size / 1e6
    console.print(f"{target}  [dim]{count} frames, {size_mb:.1f} MB[/]", soft_wrap=True)
