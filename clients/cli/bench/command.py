"""`mapcast bench`: figures against their peers, measured on this machine."""

import importlib
import os
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from clients.cli.bench.figure import Figure
from clients.cli.files import write_json
from clients.cli.options import JsonOption
from clients.cli.progress import console
from mapcast_client.errors import InputError

DATA_VARIABLE = "MAPCAST_DATA"
DEFAULT_RECORDING = "7scenes-redkitchen"


class Bench(StrEnum):
    """What can be measured; each is the module of its name beside this one."""

    tsdf = "tsdf"
    pipeline = "pipeline"
    latency = "latency"
    viewer = "viewer"
    live = "live"
    record = "record"
    correct = "correct"
    refine = "refine"
    align = "align"
    recover = "recover"
    gpu = "gpu"


MADE_UP = {
    Bench.viewer: Path(),
    Bench.live: Path("rendered"),
    Bench.correct: Path("rendered"),
    Bench.recover: Path("rendered"),
}
"""What can be measured on something made up, and on what."""
NEEDS_TRUTH = (Bench.correct,)
"""What is measured on that alone: against surfaces that are known exactly."""


def bench(
    name: Annotated[Bench, typer.Argument(help="What to measure.")],
    data: Annotated[
        Path | None,
        typer.Option(
            "--data",
            metavar="PATH",
            help=f"An RGB-D recording; without: {DEFAULT_RECORDING} in ${DATA_VARIABLE}.",
        ),
    ] = None,
    json: JsonOption = None,
) -> None:
    """Measure and compare with the peers, in minutes."""
    recording = data or _default_recording(name)
    module = importlib.import_module(f"clients.cli.bench.{name.value}")
    figures: list[Figure] = module.run(recording)
    _print(name.value, figures)
    if json is not None:
        write_json(json, [figure.to_json() for figure in figures])


def _default_recording(name: Bench) -> Path:
    folder = os.environ.get(DATA_VARIABLE)
    if name in MADE_UP and (not folder or name in NEEDS_TRUTH):
        return MADE_UP[name]
    if not folder:
        raise InputError(f"no recording: give --data, or set {DATA_VARIABLE} to their folder")
    return Path(folder) / DEFAULT_RECORDING


def _print(title: str, figures: list[Figure]) -> None:
    table = Table(title=title, title_justify="left", title_style="bold")
    table.add_column("figure")
    for heading in ("value", "peer's", "ratio", "target"):
        table.add_column(heading, justify="right")
    table.add_column("holds")
    for figure in figures:
        row = figure.to_json()
        peer = "" if row["peer_value"] is None else f"{row['peer_value']:.4g} ({row['peer']})"
        table.add_row(
            figure.figure,
            f"{figure.value:.4g} {figure.unit}",
            peer,
            "" if row["ratio"] is None else f"{row['ratio']:.2f}×",
            "" if figure.target is None else f"{figure.target:.4g}",
            {True: "[green]yes[/]", False: "[red]no[/]", None: ""}[figure.holds],
        )
    console.print(table)
