"""`mapcast eval`: a replay, held against the recording's ground truth."""

import asyncio
from dataclasses import asdict, dataclass
from typing import Any

from rich.table import Table

from clients.cli.accuracy import FEWEST_POSES
from clients.cli.connection import reach
from clients.cli.files import write_json
from clients.cli.opening import open_for_streaming
from clients.cli.options import (
    HttpOption,
    JsonOption,
    LimitOption,
    Poses,
    PosesOption,
    ServerOption,
    VocabularyOption,
    VoxelOption,
)
from clients.cli.progress import console, print_report
from clients.cli.replay import PathArgument, replayed
from clients.cli.streaming import StreamedMap, StreamOptions
from clients.cli.tally import Report
from mapcast_client.errors import InputError
from mapcast_client.mesh import TriangleMesh
from replay.evaluate import RelativeError, relative_error, truth_from_estimated
from replay.evaluate_mesh import MeshQuality, mesh_quality
from replay.rendered import ObservedRoom, RenderedSequence
from replay.sequence import Sequence
from slam.trajectory import Trajectory

_DELTA_FRAMES = 30


@dataclass(frozen=True, slots=True)
class Evaluation:
    """A replay's report and how far its path and map are from the truth."""

    report: Report
    relative: RelativeError | None
    """Drift over 30 frames of the final path; None for shorter ones."""
    mesh: MeshQuality | None
    """None without a reference surface."""

    def to_json(self) -> dict[str, Any]:
        """Give what `--json` writes: the report's keys, `rpe` and `mesh`."""
        return {
            **self.report.to_json(),
            "rpe": None if self.relative is None else asdict(self.relative),
            "mesh": None if self.mesh is None else asdict(self.mesh),
        }


def evaluate(
    path: PathArgument,
    server: ServerOption = None,
    http: HttpOption = None,
    limit: LimitOption = None,
    json: JsonOption = None,
    poses: PosesOption = Poses.tracked,
    voxel: VoxelOption = 0.01,
    vocabulary: VocabularyOption = None,
) -> None:
    """Replay a recording; measure its path and its map against the truth."""
    options = StreamOptions(limit, poses=poses.value, voxel_size_m=voxel)
    sequence = open_for_streaming(path, limit)
    if sequence.ground_truth is None:
        raise InputError(f"{path} has no ground truth to evaluate against: use `mapcast replay`")
    truth = sequence.ground_truth

    async def run() -> tuple[Report, StreamedMap]:
        async with (
            reach(server, http, vocabulary) as reached,
            replayed(reached, sequence, options) as done,
        ):
            return done.report, done.streamed

    report, streamed = asyncio.run(run())
    with console.status("comparing the map with the truth …"):
        evaluation = _evaluation(report, streamed, sequence, truth)
    print_report(report, sequence.name)
    _print(evaluation)
    if json is not None:
        write_json(json, evaluation.to_json())


def _evaluation(
    report: Report, streamed: StreamedMap, sequence: Sequence, truth: Trajectory
) -> Evaluation:
    path = streamed.trajectory
    try:
        relative = relative_error(path, truth, _DELTA_FRAMES)
    except InputError:
        relative = None  # the path is shorter than that
    mesh = None
    if report.triangles and isinstance(sequence, RenderedSequence) and len(path) >= FEWEST_POSES:
        mesh = _mesh_quality(streamed.followed.mesh(), path, sequence, report.frames)
    return Evaluation(report, relative, mesh)


def _mesh_quality(
    mesh: TriangleMesh, path: Trajectory, sequence: RenderedSequence, frames: int
) -> MeshQuality:
    """Compare with what of the room the streamed part of the walk saw."""
    truth = sequence.ground_truth
    walked = Trajectory(truth.capture_ns[:frames], truth.world_from_camera[:frames])
    room = ObservedRoom(sequence.room, walked)
    return mesh_quality(mesh, room, truth_from_estimated(path, truth))


def _print(evaluation: Evaluation) -> None:
    table = Table(show_header=False)
    table.add_column(style="cyan", no_wrap=True)
    table.add_column()
    relative, mesh = evaluation.relative, evaluation.mesh
    if relative is not None:
        table.add_row(
            f"RPE over {_DELTA_FRAMES} frames",
            f"{relative.translation_rmse_m:.4f} m, {relative.rotation_rmse_deg:.2f}° RMSE",
        )
    if mesh is None:
        table.add_row("mesh", "no reference surface comes with this recording")
    else:
        for what, found in (("accuracy", mesh.accuracy), ("completeness", mesh.completeness)):
            table.add_row(
                f"mesh {what}",
                f"{1e3 * found.median_m:.1f} mm median, {1e3 * found.p95_m:.1f} mm p95, "
                f"{100 * found.share_within:.1f} % within {1e2 * mesh.within_m:g} cm",
            )
    console.print(table)
