"""`mapcast watch`, `export` and `eval` as a user runs them, beside a server."""

import asyncio
import sys
from asyncio.subprocess import PIPE, STDOUT
from pathlib import Path

import pytest
import trimesh

from mapcast_client import AsyncClient
from mapcast_client.v1 import ingest_pb2
from replay.sequence import Sequence
from stream.server import RunningServer

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def mapcast(server: RunningServer, folder: Path, *arguments: str) -> tuple[int | None, str]:
    """A command's exit code and output."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "clients.cli.main", *arguments, "--server", server.grpc_address),
        cwd=folder,
        stdout=PIPE,
        stderr=STDOUT,
    )
    try:
        async with asyncio.timeout(60):
            output, _ = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
    return process.returncode, output.decode()


async def test_the_newest_session_is_watched_and_exported_without_its_name(
    server: RunningServer,
    client: AsyncClient,
    room: Sequence,
    posed_frames: list[ingest_pb2.Frame],
    coarse: ingest_pb2.FusionSettings,
    tmp_path: Path,
) -> None:
    code, output = await mapcast(server, tmp_path, "export", "-o", "map.ply")
    assert code == 1
    assert "has no sessions" in output
    calibration = room.calibration.to_message()
    older = await client.open(calibration, "older", "lossless", "given", fusion=coarse)
    await older.finish()
    newest = await client.open(calibration, "newest", "lossless", "given", fusion=coarse)
    for frame in posed_frames[:6]:
        await newest.send(frame)
    await newest.finish()

    code, output = await mapcast(server, tmp_path, "watch")
    assert code == 0, output
    assert newest.id in output
    assert "hash ok" in output
    code, output = await mapcast(server, tmp_path, "export", "-o", "map.ply")
    assert code == 0, output
    triangles = (await client.session(newest.id)).triangles
    assert len(trimesh.load(tmp_path / "map.ply", force="mesh").faces) == triangles > 0


async def test_a_server_that_does_not_refine_may_be_why_no_camera_was_found(
    server: RunningServer, tmp_path: Path
) -> None:
    arguments = ["replay", "rendered:frames=2", "--free-intrinsics", "--http", server.http_url]
    code, output = await mapcast(server, tmp_path, *arguments)
    assert code == 0, output
    assert "none was found, or the server does not refine" in " ".join(output.split())


async def test_a_reference_that_does_not_fit_costs_no_report(
    server: RunningServer, tmp_path: Path
) -> None:
    reference = tmp_path / "other"
    reference.mkdir()
    trimesh.creation.box().export(reference / "map.ply")
    path = [f"{1e6 + i:.1f} 0 0 {i} 0 0 0 1" for i in range(4)]
    (reference / "trajectory.tum").write_text("\n".join(path))
    arguments = ["eval", "rendered:frames=6", "--poses", "given", "--voxel", "0.05"]
    arguments += ["--http", server.http_url, "--reference", str(reference)]
    code, output = await mapcast(server, tmp_path, *arguments)
    assert code == 1, output
    assert "error" in output
    assert "6 of 6" in output
