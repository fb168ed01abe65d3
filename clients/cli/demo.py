"""`mapcast demo`: a sequence streamed live through a real server, and what it leaves behind."""

import asyncio
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Annotated

import typer

from clients.cli.connection import Credentials, Server, reach
from clients.cli.files import write_bytes, write_json
from clients.cli.interrupt import on_interrupt
from clients.cli.monocular import MonocularOptions
from clients.cli.options import (
    BackendOption,
    CameraOption,
    CaOption,
    Depth,
    DepthOption,
    FilterDepthOption,
    HttpOption,
    JsonOption,
    ModelOption,
    MonoOption,
    Policy,
    PolicyOption,
    RateOption,
    SceneDepthOption,
    ServerOption,
    TokenOption,
    VocabularyOption,
    VoxelOption,
)
from clients.cli.overview import encode_png, overview
from clients.cli.progress import console, print_report, shown_link
from clients.cli.replay import Replayed, replayed
from clients.cli.streaming import StreamOptions
from replay.sequence import Sequence

_VOXEL_M = 0.02
"""What two cores fuse and publish at camera rate."""


def demo(
    path: Annotated[
        str,
        typer.Argument(metavar="PATH", help="A recording, video or picture folder, not the room."),
    ] = "rendered",
    server: ServerOption = None,
    http: HttpOption = None,
    token: TokenOption = "",
    ca: CaOption = None,
    limit: Annotated[
        int, typer.Option("--limit", metavar="N", help="Stream at most N frames.")
    ] = 900,
    json: JsonOption = None,
    rate: RateOption = 1.0,
    policy: PolicyOption = Policy.live,
    voxel: VoxelOption = None,
    vocabulary: VocabularyOption = None,
    backend: BackendOption = None,
    out: Annotated[
        Path, typer.Option("--out", metavar="FOLDER", help="Where the map's files go.")
    ] = Path("out"),
    keep: Annotated[
        bool, typer.Option("--keep", help="Stay up at the end, for the viewer; Ctrl-C ends it.")
    ] = False,
    mono: MonoOption = False,
    depth: DepthOption = Depth.auto,
    model: ModelOption = None,
    scene_depth: SceneDepthOption = 0.0,
    camera: CameraOption = None,
    filter_depth: FilterDepthOption = False,
) -> None:
    """Stream a sequence at camera rate; leave its map, path and picture in `out`."""
    monocular = MonocularOptions(mono, depth, model, scene_depth, camera)
    models = monocular.models_folder(server)
    sequence = monocular.open(path, limit)
    voxel_size = monocular.voxel_size(sequence, voxel, _VOXEL_M)
    options = StreamOptions(
        limit,
        rate,
        policy.value,
        voxel_size_m=voxel_size,
        depth=monocular.session_depth(),
        filter_depth=filter_depth,
    )
    credentials = Credentials(token, ca)
    reached = reach(server, http, vocabulary, models, credentials, backend=backend)
    asyncio.run(_run(sequence, options, reached, out, json, keep))


async def _run(
    sequence: Sequence,
    options: StreamOptions,
    reached: AbstractAsyncContextManager[Server],
    out: Path,
    json: Path | None,
    keep: bool,
) -> None:
    async with reached as server, replayed(server, sequence, options) as done:
        print_report(done.report, sequence.name)
        if json is not None:
            write_json(json, done.report.to_json())
        done.report.require_a_frame()
        await _leave(done, server, out)
        if keep:
            link = shown_link(done.viewer_url)
            console.print(f"\nThe map stays at {link} until Ctrl-C.", soft_wrap=True)
            await on_interrupt().wait()


async def _leave(done: Replayed, server: Server, out: Path) -> None:
    """Write the map's files. Raises InputError when that cannot be."""
    session = done.streamed.session
    with console.status("writing the map …"):
        for file_format in ("glb", "ply"):
            data = await done.client.export(session, file_format)
            _write(out / f"map.{file_format}", data)
        tum = await server.get(f"/v1/sessions/{session}/trajectory.tum")
        _write(out / "trajectory.tum", tum)
        mesh = done.streamed.followed.mesh()
        picture = await overview(done.client, session, mesh, done.streamed.trajectory)
        _write(out / "map.png", await encode_png(picture))


def _write(path: Path, data: bytes) -> None:
    write_bytes(path, data)
    console.print(f"  {path}  [dim]{len(data) / 1e6:.1f} MB[/]", soft_wrap=True)
