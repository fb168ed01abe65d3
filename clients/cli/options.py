"""Options that several commands share, so that each reads the same everywhere."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer


class Policy(StrEnum):
    """What happens to frames that the server cannot take at once."""

    live = "live"
    lossless = "lossless"


class Poses(StrEnum):
    """Where poses come from."""

    tracked = "tracked"
    given = "given"


ServerOption = Annotated[
    str | None,
    typer.Option(
        "--server", metavar="HOST:PORT", help="A running server's gRPC port. Without: start one."
    ),
]
RunningServer = Annotated[
    str, typer.Option("--server", metavar="HOST:PORT", help="The server's gRPC port.")
]
HttpOption = Annotated[
    str | None,
    typer.Option("--http", metavar="URL", help="That server's HTTP port. Without: 8430 there."),
]
LimitOption = Annotated[
    int | None, typer.Option("--limit", metavar="N", help="Stream at most N frames.")
]
JsonOption = Annotated[
    Path | None, typer.Option("--json", metavar="FILE", help="Write the figures to FILE.")
]
RateOption = Annotated[
    float,
    typer.Option("--rate", metavar="X", help="1: the camera's rate; 0: as fast as possible."),
]
PolicyOption = Annotated[
    Policy,
    typer.Option("--policy", help="lossless: every frame counts; live: the newest win."),
]
PosesOption = Annotated[
    Poses, typer.Option("--poses", help="tracked by ORB-SLAM3, or given: the ground truth.")
]
VoxelOption = Annotated[float, typer.Option("--voxel", metavar="METRES", help="Edge of a voxel.")]
VocabularyOption = Annotated[
    Path | None,
    typer.Option("--vocabulary", metavar="PATH", help="ORB vocabulary (DBoW2 text)."),
]
