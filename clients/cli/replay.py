"""`mapcast replay`: stream a recording through a server and report how it went."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Annotated

import typer
from rich.console import RenderableType
from rich.markup import escape

from clients.cli.accuracy import RunningAte, path_error_m, true_scale
from clients.cli.connection import Credentials, Server, reach
from clients.cli.files import write_json
from clients.cli.map_frame import MapFrame
from clients.cli.monocular import MonocularOptions
from clients.cli.offered_camera import OfferedCamera
from clients.cli.options import (
    BackendOption,
    CameraOption,
    CaOption,
    Depth,
    DepthOption,
    FilterDepthOption,
    FreeIntrinsicsOption,
    HttpOption,
    JsonOption,
    LimitOption,
    ModelOption,
    MonoOption,
    Policy,
    PolicyOption,
    Poses,
    PosesOption,
    RateOption,
    SceneDepthOption,
    ServerOption,
    TokenOption,
    VocabularyOption,
    VoxelOption,
)
from clients.cli.progress import console, live_line, print_report, replay_line, shown_link
from clients.cli.streaming import SequenceStream, StreamedMap, StreamOptions
from clients.cli.tally import Report, Tally
from mapcast_client import AsyncClient
from replay.sequence import MONO, Sequence
from slam.trajectory import Trajectory

PathArgument = Annotated[
    str,
    typer.Argument(
        metavar="PATH",
        help="A recording's folder, a video, a folder of pictures, or `rendered`: the built-in "
        "room.",
    ),
]


def replay(
    path: PathArgument,
    server: ServerOption = None,
    http: HttpOption = None,
    token: TokenOption = "",
    ca: CaOption = None,
    limit: LimitOption = None,
    json: JsonOption = None,
    rate: RateOption = 0.0,
    policy: PolicyOption = Policy.lossless,
    poses: PosesOption = Poses.tracked,
    voxel: VoxelOption = None,
    vocabulary: VocabularyOption = None,
    backend: BackendOption = None,
    mono: MonoOption = False,
    depth: DepthOption = Depth.auto,
    model: ModelOption = None,
    scene_depth: SceneDepthOption = 0.0,
    camera: CameraOption = None,
    free_intrinsics: FreeIntrinsicsOption = False,
    filter_depth: FilterDepthOption = False,
) -> None:
    """Stream a recording through a server and report tracking, speed and map."""
    monocular = MonocularOptions(mono, depth, model, scene_depth, camera)
    models = monocular.models_folder(server)
    sequence = monocular.open(path, limit)
    options = StreamOptions(
        limit,
        rate,
        policy.value,
        poses.value,
        voxel,
        monocular.session_depth(),
        free_intrinsics,
        filter_depth,
    )
    credentials = Credentials(token, ca)

    async def run() -> Report:
        async with (
            reach(
                server, http, vocabulary, models, credentials, free_intrinsics, backend
            ) as reached,
            replayed(reached, sequence, options) as done,
        ):
            return done.report

    report = asyncio.run(run())
    print_report(report, sequence.name)
    if free_intrinsics and report.offered_camera is None:
        doubt = "" if server is None else ", or the server does not refine"
        console.print(
            f"a camera that fits better: none was found{doubt}; --rate 1 gives refinement more time"
        )
    if json is not None:
        write_json(json, report.to_json())
    report.require_a_frame()


@dataclass(frozen=True, slots=True)
class Replayed:
    """A replay that is over, its session still on the server."""

    report: Report
    streamed: StreamedMap
    live: Trajectory
    """The poses of the final map's epoch, as they were answered."""
    client: AsyncClient
    viewer_url: str


@asynccontextmanager
async def replayed(
    server: Server, sequence: Sequence, options: StreamOptions
) -> AsyncIterator[Replayed]:
    """Stream a sequence with a live line on the terminal; the client stays connected."""
    stream = SequenceStream(server, sequence, options)
    async with server.client() as client:
        with console.status("opening a session: the worker starts and compiles …"):
            session = await stream.open(client)
        viewer_url = server.viewer_url(session.viewer_path)
        link = shown_link(viewer_url)
        console.print(f"[bold]{escape(sequence.name)}[/] → {link}", soft_wrap=True)
        scaled = sequence.sensor == MONO
        running = RunningAte(stream.tally, sequence.ground_truth, scaled)

        def line() -> RenderableType:
            return replay_line(stream.tally, stream.frame_count, running.rmse_m())

        async with live_line(line):
            streamed = await stream.run(client, session)
        live = stream.tally.live_trajectory()
        report = _report(stream.tally, streamed, live, sequence)
        yield Replayed(report, streamed, live, client, viewer_url)


def _report(tally: Tally, streamed: StreamedMap, live: Trajectory, sequence: Sequence) -> Report:
    truth, is_mono = sequence.ground_truth, sequence.sensor == MONO
    return Report(
        frames=len(tally.results),
        tracked=tally.tracked,
        ate_live_rmse_m=path_error_m(live, truth, scaled=is_mono),
        ate_final_rmse_m=path_error_m(streamed.trajectory, truth, scaled=is_mono),
        frames_per_s=round(tally.frames_per_s, 2),
        latency_ms=tally.latency_ms(),
        stage_ms=tally.stage_ms(),
        blocks=streamed.info.blocks,
        triangles=streamed.info.triangles,
        delta_bytes=tally.delta_bytes,
        dropped=tally.dropped,
        map_hash=str(streamed.info.map_hash),
        sensor=sequence.sensor,
        fused=streamed.info.fused,
        rejected=tally.rejected,
        rejection=tally.rejection,
        device=streamed.info.device,
        map_frame=MapFrame.of(streamed.info),
        true_scale=true_scale(streamed.trajectory, truth) if is_mono else None,
        keyframes=tally.moves.keyframes,
        corrections=tally.moves.corrections,
        largest_correction_m=round(tally.moves.furthest_m, 4),
        offered_camera=OfferedCamera.of(streamed.info),
    )
