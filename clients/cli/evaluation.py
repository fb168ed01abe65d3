"""`mapcast eval`: what is measured against a recording's truth."""

from typing import Any

import typer
from typer.core import TyperGroup

from clients.cli.eval import evaluate
from clients.cli.eval_depth import evaluate_depth

_DEFAULT = "map"


class MapByDefault(TyperGroup):
    """A group whose first word may be left out: `eval PATH` is `eval map PATH`."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Put in the default command where none is named."""
        if args and args[0] not in {*self.commands, *self.get_help_option_names(ctx)}:
            args = [_DEFAULT, *args]
        return super().parse_args(ctx, args)


evaluation = typer.Typer(
    cls=MapByDefault,
    help="Replay a recording and measure it against the truth: `eval PATH` its path and map.",
    no_args_is_help=True,
)
evaluation.command(_DEFAULT)(evaluate)
evaluation.command("depth")(evaluate_depth)
