"""`mapcast serve`: the server, until it is told to stop."""

import asyncio
import gc
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from clients.cli.connection import web_bundle
from clients.cli.interrupt import on_interrupt
from clients.cli.options import BackendOption, VocabularyOption
from clients.cli.progress import console
from slam.refine import why_unavailable
from stream.addresses import lan_addresses, with_port
from stream.config import ServerConfig, user_data
from stream.server import RunningServer
from stream.server import serve as run_server


def serve(
    config: Annotated[
        Path | None, typer.Option("--config", metavar="TOML", help="Settings; options win.")
    ] = None,
    host: Annotated[
        str | None, typer.Option("--host", help="Address to listen on; 0.0.0.0: all.")
    ] = None,
    http_port: Annotated[
        int | None, typer.Option("--http-port", help="Viewer, REST, WebSocket; 0: any free.")
    ] = None,
    grpc_port: Annotated[int | None, typer.Option("--grpc-port", help="gRPC; 0: any free.")] = None,
    access: Annotated[
        str | None,
        typer.Option(
            "--access",
            metavar="open|closed|auto",
            help="closed: tokens are needed; auto: open on loopback, closed elsewhere.",
        ),
    ] = None,
    api_token: Annotated[
        str | None,
        typer.Option(
            "--api-token",
            metavar="TOKEN",
            help="A closed server's token; without, one is made. Better by MAPCAST_API_TOKEN: "
            "other users of this machine see command lines.",
        ),
    ] = None,
    tls: Annotated[
        str | None,
        typer.Option("--tls", metavar="off|auto", help="auto: HTTPS with a self-made certificate."),
    ] = None,
    cert: Annotated[
        Path | None, typer.Option("--cert", metavar="PEM", help="A certificate; turns TLS on.")
    ] = None,
    key: Annotated[Path | None, typer.Option("--key", metavar="PEM", help="Its key.")] = None,
    cors_origins: Annotated[
        str | None,
        typer.Option("--cors", metavar="ORIGIN,…", help="Pages elsewhere that may use it; *: all."),
    ] = None,
    depth_models: Annotated[
        Path | None,
        typer.Option("--depth-models", metavar="FOLDER", help="Depth networks, each a NAME.toml."),
    ] = None,
    recordings: Annotated[
        Path | None,
        typer.Option(
            "--recordings",
            metavar="FOLDER",
            help="Where sessions are recorded; without: in your data folder.",
        ),
    ] = None,
    record: Annotated[
        bool, typer.Option("--record/--no-record", help="Record what comes, or do not.")
    ] = True,
    refine: Annotated[
        bool | None,
        typer.Option(
            "--refine/--no-refine",
            help="Refine keyframes in the background; without: where pycolmap is installed.",
        ),
    ] = None,
    vocabulary: VocabularyOption = None,
    backend: BackendOption = None,
) -> None:
    """Serve sessions until Ctrl-C: gRPC, WebRTC and WebSocket in; gRPC, WebSocket and REST out."""
    logging.getLogger("stream").setLevel(logging.INFO)
    settings = ServerConfig.load(
        config,
        defaults={
            "recordings": user_data() / "recordings",
            "maps": user_data() / "maps",
            "refine": not why_unavailable(),
        },
        recordings=recordings if record else "off",
        host=host,
        http_port=http_port,
        grpc_port=grpc_port,
        access=access,
        api_token=api_token,
        tls=tls,
        tls_certificate=cert,
        tls_key=key,
        cors_origins=cors_origins,
        depth_models=depth_models,
        refine=refine,
        vocabulary=vocabulary,
        backend=backend,
        web_dir=web_bundle(),
    )
    asyncio.run(_serve(settings))


async def _serve(settings: ServerConfig) -> None:
    stopping = on_interrupt()
    async with run_server(settings) as running:
        _introduce(settings, running)
        gc.collect()
        gc.freeze()  # a full collection went through all that is imported: 55 ms of the event loop
        await stopping.wait()
        console.print("stopping …", style="dim")


def _introduce(settings: ServerConfig, running: RunningServer) -> None:
    """Say where the server is and what it wants.

    Its token is shown on a terminal only: what else standard output is, is a log.
    """
    token = running.api_token if console.is_terminal else ""
    urls = running.public_urls or (running.http_url,)
    for what, page in (("viewer", "/"), ("camera", "/camera.html")):
        for url in urls if settings.web_dir is not None else ():
            _show(what, f"{url}{page}{f'#token={token}' if token else ''}")
    _show("REST", f"{urls[0]}/docs")
    port = int(running.grpc_address.rpartition(":")[2])
    for address in [with_port(host, port) for host in lan_addresses(settings.host)] or [
        running.grpc_address
    ]:
        _show("gRPC", address)
    _show("backend", settings.backend)
    if settings.recordings is not None:
        _show("recordings", str(settings.recordings))
    if token:
        _show("token", token)
    if running.certificate is not None:
        _show("certificate", str(running.certificate))
    for note in _notes(settings, running):
        console.print(note, style="yellow", soft_wrap=True)
    console.print("Ctrl-C stops it.", style="dim")


def _show(what: str, value: str) -> None:
    console.print(f"{what:<13}[bold]{escape(value)}[/]", soft_wrap=True, highlight=False)


def _notes(settings: ServerConfig, running: RunningServer) -> Iterator[str]:
    if settings.web_dir is None:
        yield "no viewer: its bundle was not built (make web)"
    if running.public_urls and running.certificate is None:
        yield "phones give their camera to HTTPS pages only: see --tls auto"
    if running.api_token and not settings.api_token and not console.is_terminal:
        yield "the server is closed and its token went nowhere: set MAPCAST_API_TOKEN"
