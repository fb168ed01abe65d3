"""Following a map over any transport: decode, watch for silence, come back after a loss."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass

from mapcast_client.columns import require_compression
from mapcast_client.delta import LAYERS, Delta, decode
from mapcast_client.errors import ConnectionLost, InputError
from mapcast_client.map import Progress
from mapcast_client.transport import DEFAULT_TIMEOUT_S

_FIRST_RETRY_S = 0.2
_LAST_RETRY_S = 5.0
HEARTBEAT = "status"


@dataclass(frozen=True, slots=True)
class FollowOptions:
    """What a follower wants. Zeros are the server's defaults.

    `since` and `epoch` are `Map.complete_through` and `Map.epoch` of a map to go on with.
    `reconnect` is how many times in a row a lost connection is taken up again.
    """

    layers: Sequence[str] = LAYERS
    since: int = 0
    epoch: int = 0
    compression: str = "zstd"
    max_bytes_per_s: float = 0.0
    max_messages_per_s: float = 0.0
    viewpoint: tuple[float, float, float] | None = None
    """Nearest blocks come first; metres, world."""
    reconnect: int = 0
    timeout_s: float = DEFAULT_TIMEOUT_S
    """Silence after which the connection counts as lost; a server speaks every second."""

    def __post_init__(self) -> None:
        require_compression(self.compression)
        if not self.layers:
            raise InputError(f"layers is empty, name some of {', '.join(LAYERS)}")
        for name in ("since", "epoch", "max_bytes_per_s", "max_messages_per_s", "reconnect"):
            if getattr(self, name) < 0:
                raise InputError(f"{name} is {getattr(self, name)}, must not be negative")

    @property
    def wire_layers(self) -> tuple[str, ...]:
        """The layers to subscribe to: `status` always, so that silence means a loss."""
        return (*(layer for layer in self.layers if layer != HEARTBEAT), HEARTBEAT)


Subscribe = Callable[[int, int], AsyncGenerator[bytes]]
"""`since` and `epoch` to the messages of one connection."""


async def follow_deltas(subscribe: Subscribe, options: FollowOptions) -> AsyncIterator[Delta]:
    """Yield the decoded deltas of the wanted layers until the server ends the subscription.

    Raises ConnectionLost when the connection is lost more than `reconnect` times in a row, and
    ProtocolError for a broken message.
    """
    progress = Progress(options.layers, options.since, options.epoch)
    losses = 0
    while True:
        try:
            messages = subscribe(progress.complete_through, progress.epoch)
            async for data in _heard(messages, options.timeout_s):
                losses = 0
                delta = decode(data)
                progress.observe(delta.head)
                if delta.head.layer in options.layers:
                    yield delta
            return
        except ConnectionLost:
            if losses >= options.reconnect:
                raise
        await asyncio.sleep(min(_FIRST_RETRY_S * 2**losses, _LAST_RETRY_S))
        losses += 1


async def _heard(messages: AsyncGenerator[bytes], timeout_s: float) -> AsyncIterator[bytes]:
    async with aclosing(messages):
        while True:
            try:
                async with asyncio.timeout(timeout_s):
                    data = await anext(messages)
            except StopAsyncIteration:
                return
            except TimeoutError:
                raise ConnectionLost(f"the server was silent for {timeout_s:g} s") from None
            yield data
