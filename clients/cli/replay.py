"""`mapcast replay`: stream a recording through a server and report how it went."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Annotated

import typer
from rich.console import RenderableType
from rich.markup import escape

from clients.cli.accuracy import RunningAte, path_error_m
from clients.cli.connection import Server, reach
from clients.cli.files import write_json
from clients.cli.opening import open_for_streaming
from clients.cli.options import (
    HttpOption,
    JsonOption,
    LimitOption,
    Policy,
    PolicyOption,
    Poses,
    PosesOption,
    RateOption,
    ServerOption,
    VocabularyOption,
    VoxelOption,
)
from clients.cli.progress import console, live_line, print_report, replay_line
from clients.cli.streaming import SequenceStream, StreamedMap, StreamOptions
from clients.cli.tally import Report, Tally
from mapcast_client import AsyncClient, connect
from replay.sequence import Sequence
from slam.trajectory import Trajectory

PathArgument = Annotated[
    str,
    typer.Argument(metavar="PATH", help="A recording's folder, or `rendered`: the built-in room."),
]


def replay(
    path: PathArgument,
    server: ServerOption = None,
    http: HttpOption = None,
    limit: LimitOption = None,
    json: JsonOption = None,
    rate: RateOption = 0.0,
    policy: PolicyOption = Policy.lossless,
    poses: PosesOption = Poses.tracked,
    voxel: VoxelOption = 0.01,
    vocabulary: VocabularyOption = None,
) -> None:
    """Stream a recording through a server and report tracking, speed and map."""
    options = StreamOptions(limit, rate, policy.value, poses.value, voxel)
    sequence = open_for_streaming(path, limit)

    async def run() -> Report:
        async with (
            reach(server, http, vocabulary) as reached,
            replayed(reached, sequence, options) as done,
        ):
            return done.report

    report = asyncio.run(run())
    print_report(report, sequence.name)
    if json is not None:
        write_json(json, report.to_json())


@dataclass(frozen=True, slots=True)
class Replayed:
    """A replay that is over, its session still on the server."""

    report: Report
    streamed: StreamedMap
    live: Trajectory
    """The poses as they were answered."""
    client: AsyncClient
    viewer_url: str


@asynccontextmanager
async def replayed(
    server: Server, sequence: Sequence, options: StreamOptions
) -> AsyncIterator[Replayed]:
    """Stream a sequence with a live line on the terminal; the client stays connected."""
    stream = SequenceStream(server, sequence, options)
    async with connect(server.grpc_address) as client:
        with console.status("opening a session: the worker starts and compiles …"):
            session = await stream.open(client)
        viewer_url = server.viewer_url(session.viewer_path)
        console.print(f"[bold]{escape(sequence.name)}[/] → {viewer_url}", soft_wrap=True)
        running = RunningAte(stream.tally, sequence.ground_truth)

        def line() -> RenderableType:
            return replay_line(stream.tally, stream.frame_count, running.rmse_m())

        async with live_line(line):
            streamed = await stream.run(client, session)
        live = stream.tally.live_trajectory()
        report = _report(stream.tally, streamed, live, sequence.ground_truth)
        yield Replayed(report, streamed, live, client, viewer_url)


def _report(
    tally: Tally, streamed: StreamedMap, live: Trajectory, truth: Trajectory | None
) -> Report:
    return Report(
        frames=len(tally.results),
        tracked=tally.tracked,
        ate_live_rmse_m=path_error_m(live, truth),
        ate_final_rmse_m=path_error_m(streamed.trajectory, truth),
        frames_per_s=round(tally.frames_per_s, 2),
        latency_ms=tally.latency_ms(),
        stage_ms=tally.stage_ms(),
        blocks=streamed.info.blocks,
        triangles=streamed.info.triangles,
        delta_bytes=tally.delta_bytes,
        dropped=tally.dropped,
        map_hash=str(streamed.info.map_hash),
    )
