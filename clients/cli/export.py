"""`mapcast export`: a session's map as a file."""

import asyncio
from pathlib import Path
from typing import Annotated

import typer

from clients.cli.connection import newest_session
from clients.cli.files import write_bytes
from clients.cli.options import CaOption, RunningServer, TokenOption
from clients.cli.progress import console
from mapcast_client import connect
from mapcast_client.client import DEFAULT_ADDRESS
from mapcast_client.errors import InputError

_FORMATS = ("glb", "ply", "obj")


def export(
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="FILE", help="map.glb, map.ply or map.obj")
    ],
    session: Annotated[
        str | None,
        typer.Argument(metavar="SESSION", help="The session's id; the newest without one."),
    ] = None,
    server: RunningServer = DEFAULT_ADDRESS,
    token: TokenOption = "",
    ca: CaOption = None,
) -> None:
    """Write a session's map as GLB, PLY or OBJ, by the file's name."""
    file_format = output.suffix.removeprefix(".").lower()
    if file_format not in _FORMATS:
        raise InputError(f"{output} must end in one of .{', .'.join(_FORMATS)}")

    async def fetch() -> bytes:
        async with connect(server, token=token, ca=ca) as client:
            wanted = session or await newest_session(client, server)
            return await client.export(wanted, file_format)

    with console.status("fetching the map …"):
        data = asyncio.run(fetch())
    write_bytes(output, data)
    console.print(f"{output}  [dim]{len(data) / 1e6:.1f} MB[/]", soft_wrap=True)
