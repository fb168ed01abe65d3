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


class Depth(StrEnum):
    """Where the depth of a recording without it comes from."""

    auto = "auto"
    motion = "motion"
    network = "network"
    fused = "fused"

    @property
    def wire_name(self) -> str:
        """The name that sessions are opened with."""
        return "motion_stereo" if self is Depth.motion else self.value


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
TokenOption = Annotated[
    str,
    typer.Option(
        "--token",
        envvar="MAPCAST_TOKEN",
        show_envvar=True,
        metavar="TOKEN",
        help="What a closed server wants. Other users of this machine see command lines, "
        "not the environment.",
    ),
]
CaOption = Annotated[
    Path | None,
    typer.Option(
        "--ca",
        envvar="MAPCAST_CA",
        metavar="PEM",
        help="The server's certificate, where no authority vouches for it; turns TLS on.",
    ),
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
VoxelOption = Annotated[
    float | None,
    typer.Option(
        "--voxel",
        metavar="METRES",
        help="Edge of a voxel; of a map without a scale, in its own unit, about the depth of "
        "what the first frames see.",
    ),
]
VocabularyOption = Annotated[
    Path | None,
    typer.Option("--vocabulary", metavar="PATH", help="ORB vocabulary (DBoW2 text)."),
]
BackendOption = Annotated[
    str | None,
    typer.Option(
        "--backend",
        metavar="auto|cpu|cuda|opencl|webgpu[:DEVICE]",
        help="Where volumes are fused; auto: the first GPU, else the CPU. See `mapcast doctor`.",
    ),
]
FilterDepthOption = Annotated[
    bool,
    typer.Option(
        "--filter-depth",
        help="Smooth a depth sensor's noise before fusion, drop flying pixels and weigh what is "
        "near more. Not for estimated depth.",
    ),
]
MonoOption = Annotated[
    bool, typer.Option("--mono", help="Leave a recording's depth out, as a plain camera would.")
]
DepthOption = Annotated[
    Depth,
    typer.Option(
        "--depth",
        help="Monocular: motion stereo, a depth network, or both fused. "
        "auto: fused with --model, else motion.",
    ),
]
ModelOption = Annotated[
    str | None,
    typer.Option(
        "--model",
        metavar="FILE.toml",
        help="Monocular: a depth network's description; with --server the name of one it has.",
    ),
]
SceneDepthOption = Annotated[
    float,
    typer.Option(
        "--scene-depth",
        metavar="METRES",
        help="Monocular: the median depth of what the first frames see declares the scale.",
    ),
]
CameraOption = Annotated[
    str | None,
    typer.Option(
        "--camera",
        metavar="FX,FY,CX,CY[,K1,K2,P1,P2[,K3]]|FILE|offered",
        help="Monocular, and recorded sessions: the calibration, in pixels of the upright "
        "picture; or a TOML or YAML file; or the one that the recorded session was offered. "
        "Without: as recorded, else guessed.",
    ),
]
FreeIntrinsicsOption = Annotated[
    bool,
    typer.Option(
        "--free-intrinsics",
        help="Estimate the focal lengths, too, and say which camera fits; with --server, that "
        "has to refine.",
    ),
]
