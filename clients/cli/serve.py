"""`mapcast serve`: the server, until it is told to stop."""

import asyncio
import logging
from pathlib import Path
from typing import Annotated

import typer

from clients.cli.connection import web_bundle
from clients.cli.interrupt import on_interrupt
from clients.cli.options import VocabularyOption
from clients.cli.progress import console
from stream.config import ServerConfig
from stream.server import serve as run_server


def serve(
    config: Annotated[
        Path | None, typer.Option("--config", metavar="TOML", help="Settings; options win.")
    ] = None,
    host: Annotated[str | None, typer.Option("--host", help="Address to listen on.")] = None,
    http_port: Annotated[
        int | None, typer.Option("--http-port", help="Viewer, REST, WebSocket; 0: any free.")
    ] = None,
    grpc_port: Annotated[int | None, typer.Option("--grpc-port", help="gRPC; 0: any free.")] = None,
    vocabulary: VocabularyOption = None,
) -> None:
    """Serve sessions until Ctrl-C: gRPC in, gRPC, WebSocket and REST out."""
    logging.getLogger("stream").setLevel(logging.INFO)
    settings = ServerConfig.load(
        config,
        host=host,
        http_port=http_port,
        grpc_port=grpc_port,
        vocabulary=vocabulary,
        web_dir=web_bundle(),
    )
    asyncio.run(_serve(settings))


async def _serve(settings: ServerConfig) -> None:
    stopping = on_interrupt()
    async with run_server(settings) as running:
        console.print(f"viewer and REST  [bold]{running.http_url}[/]  (API: /docs)")
        console.print(f"gRPC             [bold]{running.grpc_address}[/]")
        if settings.web_dir is None:
            console.print("[yellow]no viewer: its bundle was not built (make web)[/]")
        console.print("Ctrl-C stops it.", style="dim")
        await stopping.wait()
        console.print("stopping …", style="dim")
