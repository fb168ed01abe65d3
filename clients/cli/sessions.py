"""`mapcast sessions`: what a server has, and maps that outlive it."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, TypeVar
from urllib.parse import quote

import typer
from rich.table import Table

from clients.cli.connection import Credentials, Server, newest_session, reach
from clients.cli.map_frame import MapFrame
from clients.cli.offered_camera import OfferedCamera
from clients.cli.options import CaOption, HttpOption, RunningServer, TokenOption
from clients.cli.progress import console
from mapcast_client.client import DEFAULT_ADDRESS
from mapcast_client.v1 import maps_pb2

sessions = typer.Typer(help="List sessions; save their maps, and go on with them.")

Answer = TypeVar("Answer")
NameArgument = Annotated[str, typer.Argument(metavar="NAME", help="The saved map's name.")]
SessionArgument = Annotated[
    str | None,
    typer.Argument(metavar="SESSION", help="The session's id; the newest without one."),
]


@sessions.command("list")
def list_sessions(
    server: RunningServer = DEFAULT_ADDRESS,
    http: HttpOption = None,
    token: TokenOption = "",
    ca: CaOption = None,
) -> None:
    """Show the sessions of a server and the maps that it keeps."""

    async def run(reached: Server) -> tuple[list[Any], list[dict[str, Any]]]:
        async with reached.client() as client:
            found = await client.sessions()
        maps = json.loads(await reached.get("/v1/maps"))["maps"]
        return found, maps

    found, maps = _with_server(run, server, http, token, ca)
    table = Table(title="sessions", title_justify="left", title_style="bold")
    for heading in ("session", "name", "state", "frames", "blocks", "since", ""):
        table.add_column(heading)
    for info in found:
        since = datetime.fromtimestamp(info.created_ns / 1e9).strftime("%Y-%m-%d %H:%M")
        numbers = (str(info.frames), str(info.blocks))
        table.add_row(info.session, info.name, info.state, *numbers, since, info.reason)
    console.print(table)
    table = Table(title="saved maps", title_justify="left", title_style="bold")
    for heading in ("name", "blocks", "voxel", "size", ""):
        table.add_column(heading)
    for saved in maps:
        table.add_row(*_map_row(saved))
    console.print(table)


@sessions.command("show")
def show(
    session: SessionArgument = None,
    server: RunningServer = DEFAULT_ADDRESS,
    http: HttpOption = None,
    token: TokenOption = "",
    ca: CaOption = None,
) -> None:
    """Show one session: its state, its map, and the camera that it has or is offered."""

    async def run(reached: Server) -> maps_pb2.SessionInfo:
        async with reached.client() as client:
            return await client.session(session or await newest_session(client, server))

    info = _with_server(run, server, http, token, ca)
    table = Table(title=info.name, title_justify="left", show_header=False, title_style="bold")
    for heading, words in _described(info).items():
        table.add_row(heading, words)
    console.print(table)


def _described(info: maps_pb2.SessionInfo) -> dict[str, str]:
    frame, offered = MapFrame.of(info), OfferedCamera.of(info)
    rows = {
        "session": info.session,
        "state": f"{info.state}  {info.reason}".strip(),
        "frames": f"{info.frames:,}, {info.fused:,} in the map",
        "map": f"{info.blocks:,} blocks, {info.triangles:,} triangles",
        "scale": frame.scale_words,
        "calibration": frame.calibration_words,
    }
    return rows if offered is None else rows | {"camera": offered.words}


def _map_row(saved: dict[str, Any]) -> tuple[str, ...]:
    if "error" in saved:
        return (saved["name"], "", "", "", f"broken: {saved['error']}")
    voxel, size = f"{saved['voxel_size_m']:g} m", f"{saved['size_bytes'] / 1e6:.1f} MB"
    return (saved["name"], str(saved["blocks"]), voxel, size, "")


@sessions.command("save")
def save(
    name: NameArgument,
    session: SessionArgument = None,
    server: RunningServer = DEFAULT_ADDRESS,
    http: HttpOption = None,
    token: TokenOption = "",
    ca: CaOption = None,
) -> None:
    """Save a session's map on its server; a map of that name is replaced."""

    async def run(reached: Server) -> dict[str, Any]:
        async with reached.client() as client:
            wanted = session or await newest_session(client, server)
        path = f"/v1/sessions/{wanted}/save"
        answer: dict[str, Any] = json.loads(await reached.request("POST", path, {"name": name}))
        return answer

    saved = _with_server(run, server, http, token, ca)
    console.print(f"{name}: {saved['blocks']} blocks, {saved['size_bytes'] / 1e6:.1f} MB")


@sessions.command("load")
def load(
    name: NameArgument,
    localize: Annotated[
        bool, typer.Option("--localize", help="Only find the camera; leave the map as it is.")
    ] = False,
    server: RunningServer = DEFAULT_ADDRESS,
    http: HttpOption = None,
    token: TokenOption = "",
    ca: CaOption = None,
) -> None:
    """Open a session that goes on with a saved map, for its sender to join."""

    async def run(reached: Server) -> dict[str, Any]:
        wanted = {"name": name, "map": name, "localization_only": localize}
        answer: dict[str, Any] = json.loads(await reached.request("POST", "/v1/sessions", wanted))
        return answer

    opened = _with_server(run, server, http, token, ca)
    console.print(f"session {opened['session']}")


@sessions.command("delete")
def delete(
    name: NameArgument,
    server: RunningServer = DEFAULT_ADDRESS,
    http: HttpOption = None,
    token: TokenOption = "",
    ca: CaOption = None,
) -> None:
    """Remove a saved map from its server."""

    async def run(reached: Server) -> bytes:
        return await reached.request("DELETE", f"/v1/maps/{quote(name, safe='')}")

    _with_server(run, server, http, token, ca)


def _with_server(
    ask: Callable[[Server], Awaitable[Answer]],
    server: str,
    http: str | None,
    token: str,
    ca: Path | None,
) -> Answer:
    """What a running server answers."""

    async def run() -> Answer:
        async with reach(server, http, credentials=Credentials(token, ca)) as reached:
            return await ask(reached)

    return asyncio.run(run())
