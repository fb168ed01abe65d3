"""`mapcast vocabulary`: train and inspect ORB vocabularies."""

from pathlib import Path
from typing import Annotated

import typer
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

from clients.cli.progress import console
from mapcast_client.errors import InputError
from slam.vocabulary import VocabularyInfo
from slam.vocabulary import info as vocabulary_info
from slam.vocabulary import train as train_vocabulary

vocabulary = typer.Typer(help="Train and inspect ORB vocabularies.", no_args_is_help=True)


@vocabulary.command("train")
def train(
    images: Annotated[Path, typer.Argument(metavar="DIR", help="A folder of photos.")],
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="FILE", help="The vocabulary to write.")
    ],
    branching: Annotated[int, typer.Option(help="k: children per node.")] = 7,
    depth: Annotated[int, typer.Option(help="L: levels; ORB-SLAM3 wants 6.")] = 6,
) -> None:
    """Train a vocabulary on a folder of photos: half a minute for 500 of them."""
    if not output.parent.is_dir():
        raise InputError(f"cannot write {output}: {output.parent} is not a folder")
    columns = (TextColumn("training"), BarColumn(), TaskProgressColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console) as progress:
        task = progress.add_task("training", total=1.0)
        trained = train_vocabulary(
            images,
            output,
            branching,
            depth,
            progress=lambda fraction: progress.update(task, completed=fraction),
        )
    _print(output, trained)


@vocabulary.command("info")
def info(
    path: Annotated[Path, typer.Argument(metavar="FILE", help="A vocabulary in DBoW2's text.")],
) -> None:
    """Check a vocabulary and tell what it consists of."""
    _print(path, vocabulary_info(path))


def _print(path: Path, found: VocabularyInfo) -> None:
    console.print(path, style="bold", soft_wrap=True)
    table = Table(show_header=False)
    table.add_column(style="cyan")
    table.add_column(justify="right")
    table.add_row("branching k", str(found.branching))
    table.add_row("depth L", str(found.depth))
    table.add_row("nodes", f"{found.nodes:,}")
    table.add_row("words", f"{found.words:,}")
    table.add_row("size", f"{path.stat().st_size / 1e6:.1f} MB")
    console.print(table)
