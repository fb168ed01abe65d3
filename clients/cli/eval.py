"""`mapcast eval`: a replay, held against the recording's ground truth."""

import asyncio
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table

from clients.cli.accuracy import FEWEST_POSES
from clients.cli.connection import Credentials, reach
from clients.cli.files import write_json
from clients.cli.mesh_comparison import Reference, compare
from clients.cli.monocular import MonocularOptions
from clients.cli.opening import rendered_by
from clients.cli.options import (
    CameraOption,
    CaOption,
    Depth,
    DepthOption,
    HttpOption,
    JsonOption,
    LimitOption,
    ModelOption,
    MonoOption,
    Poses,
    PosesOption,
    SceneDepthOption,
    ServerOption,
    TokenOption,
    VocabularyOption,
    VoxelOption,
)
from clients.cli.progress import console, print_report
from clients.cli.replay import PathArgument, replayed
from clients.cli.streaming import StreamedMap, StreamOptions
from clients.cli.tally import Report
from mapcast_client.errors import InputError
from replay.evaluate import RelativeError, relative_error
from replay.evaluate_mesh import MeshQuality
from replay.sequence import MONO, Sequence
from slam.trajectory import Trajectory

_DELTA_FRAMES = 30


@dataclass(frozen=True, slots=True)
class Evaluation:
    """A replay's report and how far its path and map are from the truth."""

    report: Report
    relative: RelativeError | None
    """Drift over 30 frames of the final path; None for shorter ones and those without a scale."""
    mesh: list[MeshQuality]
    """At 2, 5 and 10 cm; empty without a reference surface."""

    def to_json(self) -> dict[str, Any]:
        """Give what `--json` writes: the report's keys, `rpe`, `mesh` (at 2 cm) and `mesh_at`."""
        return {
            **self.report.to_json(),
            "rpe": None if self.relative is None else asdict(self.relative),
            "mesh": asdict(self.mesh[0]) if self.mesh else None,
            "mesh_at": [asdict(quality) for quality in self.mesh],
        }


def evaluate(
    path: PathArgument,
    server: ServerOption = None,
    http: HttpOption = None,
    token: TokenOption = "",
    ca: CaOption = None,
    limit: LimitOption = None,
    json: JsonOption = None,
    poses: PosesOption = Poses.tracked,
    voxel: VoxelOption = None,
    vocabulary: VocabularyOption = None,
    mono: MonoOption = False,
    depth: DepthOption = Depth.auto,
    model: ModelOption = None,
    scene_depth: SceneDepthOption = 0.0,
    camera: CameraOption = None,
    reference: Annotated[
        Path | None,
        typer.Option(
            "--reference",
            metavar="FOLDER",
            help="Compare the map with the one that `mapcast demo` left there, of the same frames.",
        ),
    ] = None,
    scale: Annotated[
        bool, typer.Option("--scale", help="Align maps by a similarity; monocular: always.")
    ] = False,
) -> None:
    """Replay a recording; measure its path and its map against the truth."""
    monocular = MonocularOptions(mono, depth, model, scene_depth, camera)
    models = monocular.models_folder(server)
    sequence = monocular.open(path, limit)
    options = StreamOptions(
        limit, poses=poses.value, voxel_size_m=voxel, depth=monocular.session_depth()
    )
    if sequence.ground_truth is None and reference is None:
        raise InputError(
            f"{path} has no ground truth to evaluate against: give a --reference, or use "
            "`mapcast replay`"
        )
    surface = None if reference is None else Reference.of_folder(reference)

    async def run() -> tuple[Report, StreamedMap]:
        async with (
            reach(server, http, vocabulary, models, Credentials(token, ca)) as reached,
            replayed(reached, sequence, options) as done,
        ):
            return done.report, done.streamed

    report, streamed = asyncio.run(run())
    print_report(report, sequence.name)
    with console.status("comparing the map with the truth …"):
        evaluation = _evaluation(report, streamed, sequence, surface, scale)
    _print(evaluation)
    if json is not None:
        write_json(json, evaluation.to_json())


def _evaluation(
    report: Report,
    streamed: StreamedMap,
    sequence: Sequence,
    reference: Reference | None,
    scale: bool,
) -> Evaluation:
    path, room = streamed.trajectory, rendered_by(sequence)
    if reference is None and room is not None:
        reference = Reference.of_room(room, report.frames)
    mesh: list[MeshQuality] = []
    if report.triangles and reference is not None and len(path) >= FEWEST_POSES:
        scaled = scale or sequence.sensor == MONO
        mesh = compare(streamed.followed.mesh(), path, reference, scaled=scaled)
    return Evaluation(report, _drift(path, sequence.ground_truth, report.map_frame.units), mesh)


def _drift(path: Trajectory, truth: Trajectory | None, units: str) -> RelativeError | None:
    if truth is None or units != "m":
        return None
    try:
        return relative_error(path, truth, _DELTA_FRAMES)
    except InputError:
        return None  # the path is shorter than that


def _print(evaluation: Evaluation) -> None:
    table = Table(show_header=False)
    table.add_column(style="cyan", no_wrap=True)
    table.add_column()
    relative = evaluation.relative
    if relative is not None:
        table.add_row(
            f"RPE over {_DELTA_FRAMES} frames",
            f"{relative.translation_rmse_m:.4f} m, {relative.rotation_rmse_deg:.2f}° RMSE",
        )
    if not evaluation.mesh:
        table.add_row("mesh", "no reference surface comes with this recording")
        console.print(table)
        return
    for what in ("accuracy", "completeness"):
        at = [(quality.within_m, getattr(quality, what)) for quality in evaluation.mesh]
        shares = ", ".join(
            f"{100 * found.share_within:.1f} % within {1e2 * within_m:g} cm"
            for within_m, found in at
        )
        found = at[0][1]
        table.add_row(
            f"mesh {what}",
            f"{1e3 * found.median_m:.1f} mm median, {1e3 * found.p95_m:.1f} mm p95, {shares}",
        )
    console.print(table)
