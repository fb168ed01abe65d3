"""`mapcast watch`: follow a session's map and show how it grows."""

import asyncio
import time
from collections import deque
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import typer
from rich.text import Text

from clients.cli.connection import newest_session
from clients.cli.keyframe_moves import KeyframeMoves
from clients.cli.options import CaOption, RunningServer, TokenOption
from clients.cli.progress import console, live_line
from mapcast_client import Delta, FollowOptions, KeyframesDelta, Map, connect
from mapcast_client.client import DEFAULT_ADDRESS

_RATE_OVER_S = 3.0
_RECONNECTS = 10
_ENDED = ("finished", "failed")


def watch(
    session: Annotated[
        str | None,
        typer.Argument(metavar="SESSION", help="The session's id; the newest without one."),
    ] = None,
    server: RunningServer = DEFAULT_ADDRESS,
    token: TokenOption = "",
    ca: CaOption = None,
) -> None:
    """Follow a session's map; show its size, rate and whether it is exact."""
    asyncio.run(_watch(session, server, token, ca))


async def _watch(session: str | None, server: str, token: str, ca: Path | None) -> None:
    async with connect(server, token=token, ca=ca) as client:
        session = session or await newest_session(client, server)
        console.print(f"session [bold]{session}[/] at {server}")
        watched = Watched()
        async with live_line(watched.line):
            async for delta in client.follow(session, FollowOptions(reconnect=_RECONNECTS)):
                watched.take(delta, time.monotonic())
                if watched.is_over:
                    break
        status = watched.followed.status
        if status is not None and status.reason:
            console.print(status.reason, style="yellow", markup=False, soft_wrap=True)


@dataclass(slots=True)
class Watched:
    """A followed map and the rate at which its deltas come."""

    followed: Map = field(default_factory=Map)
    moves: KeyframeMoves = field(default_factory=KeyframeMoves)
    _sizes: deque[tuple[float, int]] = field(default_factory=deque)

    def take(self, delta: Delta, now_s: float) -> None:
        """Apply a delta, and count what it brings."""
        self.followed.apply(delta)
        if isinstance(delta, KeyframesDelta):
            for row in delta.rows:
                self.moves.put(delta.head.epoch, row.capture_ns, row.world_from_keyframe)
        self.add_bytes(delta.size_bytes, now_s)

    def add_bytes(self, size_bytes: int, now_s: float) -> None:
        """Count what came."""
        self._sizes.append((now_s, size_bytes))
        while self._sizes[0][0] < now_s - _RATE_OVER_S:
            self._sizes.popleft()

    @property
    def is_over(self) -> bool:
        """Whether the session takes no more frames and the map is complete."""
        status = self.followed.status
        return (
            status is not None
            and status.state in _ENDED
            and status.map_hash == self.followed.map_hash
        )

    def bytes_per_s(self, now_s: float) -> float:
        """Bytes received per second, over the last few."""
        return sum(size for at_s, size in self._sizes if at_s > now_s - _RATE_OVER_S) / _RATE_OVER_S

    def line(self) -> Text:
        """One line: state, whether the map is exact, rate, size; a narrow screen cuts the end."""
        followed, status = self.followed, self.followed.status
        state = "connecting" if status is None else status.state
        if state == "active" and status is not None:
            state = status.tracking or state
        rate = self.bytes_per_s(time.monotonic()) / 1e6
        line = Text(f"{state:<11} ", no_wrap=True, overflow="ellipsis")
        if followed.is_exact:
            line.append("hash ok    ", style="green")
        else:
            line.append("catching up", style="yellow")
        return line.append(
            f"  {rate:.2f} MB/s  {followed.blocks:,} blocks  {followed.triangles:,} triangles  "
            f"{followed.frames:,} poses  {self.moves.words()}"
        )
