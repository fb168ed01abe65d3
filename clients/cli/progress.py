"""What a person sees of a replay: a live line while it runs, a table at its end."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress

from rich.console import Console, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from clients.cli.tally import Report, Tally

console = Console(highlight=False)
_REFRESH_S = 0.25
_LOG_EVERY = 20
"""Refreshes per line where the output is no terminal."""
_STATE_STYLES = {"tracking": "green", "lost": "bold red", "relocalized": "yellow"}


def shown_link(url: str) -> str:
    """The link as it may be printed.

    The token in its fragment is shown on a terminal only: what else standard output is, is a log.
    """
    return url if console.is_terminal else url.partition("#")[0]


@asynccontextmanager
async def live_line(line: Callable[[], RenderableType]) -> AsyncIterator[None]:
    """Show `line` and keep it fresh for the time of the block, then leave its last state.

    Where the output is no terminal it prints a line every few seconds.
    """
    with Live(line(), console=console, auto_refresh=False, transient=False) as live:
        refreshing = asyncio.create_task(_refresh(live, line))
        try:
            yield
        finally:
            refreshing.cancel()
            with suppress(asyncio.CancelledError):
                await refreshing
            live.update(line(), refresh=True)
            if not console.is_terminal:
                live.stop()
                console.print()


async def _refresh(live: Live, line: Callable[[], RenderableType]) -> None:
    count = 0
    while True:
        await asyncio.sleep(_REFRESH_S)
        count += 1
        if console.is_terminal:
            live.update(line(), refresh=True)
        elif count % _LOG_EVERY == 0:
            console.print(line())


def replay_line(tally: Tally, frame_count: int, ate_m: float | None) -> RenderableType:
    """The state of a replay: frames, speed, tracking, ATE so far, drops, map."""
    done = len(tally.results)
    bar = ProgressBar(total=frame_count, completed=done, width=12)
    state = Text(f"{tally.state:<11}", style=_STATE_STYLES.get(tally.state, "yellow"))
    ate = "–" if ate_m is None else f"{100 * ate_m:.1f} cm"
    facts = f"{done}/{frame_count} {tally.frames_per_s:5.1f} frames/s"
    rest = f"ATE {ate}  dropped {tally.dropped}"
    line = Table.grid(padding=(0, 1, 0, 0))
    line.add_row(bar, Text(facts), state, Text(rest, no_wrap=True, overflow="ellipsis"))
    return line


def print_report(report: Report, title: str) -> None:
    """Print the table at the end of a replay."""
    table = Table(title=title, title_justify="left", show_header=False, title_style="bold")
    table.add_column(style="cyan", no_wrap=True)
    table.add_column()
    stages = "  ".join(f"{stage} {time_ms:.1f}" for stage, time_ms in report.stage_ms.items())
    table.add_row("frames", f"{report.frames:,}")
    table.add_row("tracked", _share(report.tracked, report.frames - report.dropped))
    table.add_row("dropped", f"{report.dropped:,}")
    if report.rejected:
        rejection = f"{report.rejected:,}, the first because: {report.rejection}"
        table.add_row("rejected", Text(rejection, style="red"))
    if report.sensor == "mono":
        _add_monocular_rows(table, report)
    scaled = ", scaled to fit" if report.sensor == "mono" else ""
    unknown = "no ground truth" if report.tracked else "no path"
    for which, rmse_m in (
        ("live poses", report.ate_live_rmse_m),
        ("final path", report.ate_final_rmse_m),
    ):
        error = unknown if rmse_m is None else f"{rmse_m:.4f} m RMSE{scaled}"
        table.add_row(f"ATE, {which}", error)
    if report.keyframes:
        moved = f"moved {report.corrections:,} times, by up to {report.largest_correction_m:.3f} m"
        table.add_row("keyframes", f"{report.keyframes:,}; {moved}")
    if report.offered_camera is not None:
        table.add_row("camera", Text(report.offered_camera.words, style="yellow"))
    table.add_row("speed", f"{report.frames_per_s:.1f} frames/s")
    latency = report.latency_ms
    table.add_row("latency", f"{latency.p50:.0f} ms median, {latency.p95:.0f} ms p95")
    table.add_row("stages, ms", stages)
    table.add_row("map", f"{report.blocks:,} blocks, {report.triangles:,} triangles")
    if report.device:
        table.add_row("fused on", Text(report.device))
    table.add_row("deltas received", f"{report.delta_bytes / 1e6:.1f} MB by one subscriber")
    table.add_row("map hash", f"{report.map_hash}, equal at the subscriber")
    console.print(table)


def _share(part: int, whole: int) -> str:
    style = "green" if part == whole else "yellow" if part > 0.9 * whole else "red"
    return f"[{style}]{part:,} of {whole:,} ({100 * part / max(whole, 1):.1f} %)[/]"


def _add_monocular_rows(table: Table, report: Report) -> None:
    frame = report.map_frame
    table.add_row("depth", f"{frame.depth_words}; {report.fused:,} depth images in the map")
    style = "yellow" if frame.camera_guessed else ""
    table.add_row("calibration", Text(frame.calibration_words, style=style))
    style = "yellow" if frame.units != "m" else ""
    table.add_row("scale", Text(frame.scale_words, style=style))
    if report.true_scale is not None:
        table.add_row("true scale", f"{report.true_scale:.3f} m per unit of the map")
