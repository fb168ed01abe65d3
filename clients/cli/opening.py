"""Opening what is to be streamed."""

from rich.progress import track

from clients.cli.progress import console
from replay.intrinsics import Intrinsics
from replay.monocular import Monocular
from replay.opening import open_sequence
from replay.rendered import RenderedSequence
from replay.sequence import Sequence
from stream.config import user_cache


def open_for_streaming(
    path: str, limit: int | None, mono: bool = False, intrinsics: Intrinsics | None = None
) -> Sequence:
    """Open a recording; frames of the rendered room are made before they are needed.

    Rendering takes as much CPU as tracking: a stream at camera rate could not have both. They are
    kept in the user's cache. `mono` and `intrinsics` as for `open_sequence`. Raises InputError.
    """
    sequence = open_sequence(path, user_cache(), mono=mono, intrinsics=intrinsics)
    if rendered_by(sequence) is not None:
        count = min(len(sequence), limit or len(sequence))
        if not console.is_terminal:
            console.print(f"rendering {count} frames of the room, or reading them from the cache …")
        frames = sequence.frames(limit)
        for _ in track(frames, "rendering the room", count, console=console, transient=True):
            pass
    return sequence


def rendered_by(sequence: Sequence) -> RenderedSequence | None:
    """The rendered room whose frames, or whose colours, a sequence gives; None for others."""
    recording = sequence.recording if isinstance(sequence, Monocular) else sequence
    return recording if isinstance(recording, RenderedSequence) else None
