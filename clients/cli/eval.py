"""`mapcast eval`: a replay, held against the recording's ground truth."""

from clients.cli.replay import PathArgument


def evaluate(path: PathArgument) -> None:
    """Replay a recording; measure its path and its map against the truth."""
    raise NotImplementedError(path)
