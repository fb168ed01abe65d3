"""The `mapcast` command: its subcommands, and errors in one line that says what to do."""

import logging
import sys
from importlib.metadata import version
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape
from typer.core import TyperGroup

from clients.cli import convert, demo, doctor, export, replay, serve, watch
from clients.cli.bench import command as bench
from clients.cli.evaluation import evaluation
from clients.cli.sessions import sessions
from clients.cli.vocabulary import vocabulary
from mapcast_client.errors import MapcastError

_LOG_FORMAT = "%(asctime)s %(levelname)s %(name)s: %(message)s"


class OneLineErrors(TyperGroup):
    """A group whose expected errors are one line on stderr and exit code 1."""

    def invoke(self, ctx: Any) -> Any:
        """Run the subcommand; `--verbose` lets errors through with their traceback."""
        try:
            return super().invoke(ctx)
        except (MapcastError, BaseExceptionGroup) as error:
            expected = first_expected(error)
            if expected is None or ctx.params.get("verbose"):
                raise
            Console(stderr=True).print(
                f"[bold red]error[/] {escape(str(expected))}", soft_wrap=True
            )
            raise typer.Exit(1) from None


def first_expected(error: BaseException) -> MapcastError | None:
    """Give the first of mapcast's own errors in a group of them; None if there is another kind."""
    if isinstance(error, MapcastError):
        return error
    if not isinstance(error, BaseExceptionGroup):
        return None
    found = [first_expected(inner) for inner in error.exceptions]
    return None if None in found else found[0]


app = typer.Typer(
    cls=OneLineErrors,
    help="Live dense maps from any RGB-D camera stream.",
    no_args_is_help=True,
    pretty_exceptions_show_locals=False,
    rich_markup_mode="rich",
    add_completion=False,
)
app.command("serve")(serve.serve)
app.command("demo")(demo.demo)
app.command("replay")(replay.replay)
app.command("convert")(convert.convert)
app.command("watch")(watch.watch)
app.command("export")(export.export)
app.command("bench")(bench.bench)
app.command("doctor")(doctor.doctor)
app.add_typer(evaluation, name="eval")
app.add_typer(sessions, name="sessions")
app.add_typer(vocabulary, name="vocabulary")


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"mapcast {version('mapcast')}")
        raise typer.Exit


@app.callback()
def main(
    verbose: Annotated[
        bool, typer.Option("--verbose", "-v", help="Log more, and show tracebacks of errors.")
    ] = False,
    show_version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_print_version, is_eager=True, help="Print the version and end."
        ),
    ] = False,
) -> None:
    """Set up logging for every subcommand."""
    level = logging.INFO if verbose else logging.WARNING
    logging.basicConfig(level=level, format=_LOG_FORMAT, stream=sys.stderr)


if __name__ == "__main__":
    app()
