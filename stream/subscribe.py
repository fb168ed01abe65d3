"""Follow a session: the loop between its hub and one subscriber's socket.

The sockets (`websocket_subscribe.py`, gRPC in `grpc_maps.py`) are thin: each hands a `send` that
returns once its peer can take more. What is not sent stays pending in the hub, at its latest state.
"""

import asyncio
import math
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Hashable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mapcast_client.columns import require_compression
from mapcast_client.delta import (
    LAYERS,
    DeltaHead,
    encode_keyframes,
    encode_mesh,
    encode_status,
    encode_trajectory,
)
from mapcast_client.errors import InputError
from stream.errors import SessionNotFound
from stream.hub import Cursor
from stream.metrics import Metrics
from stream.session import Session

CACHED_DELTAS = 8
LARGEST = 10**18
Send = Callable[[bytes], Awaitable[None]]


@dataclass(slots=True)
class Subscription:
    """What a subscriber asked for; the last three may change while it is followed."""

    layers: tuple[str, ...] = LAYERS
    since: int = 0
    epoch: int = 0
    compression: str = "zstd"
    max_bytes_per_s: float = 0.0
    """0: no cap."""
    max_messages_per_s: float = 0.0
    """0: as often as the map changes."""
    viewpoint: NDArray[np.float64] | None = None
    """(3,) world position, metres: nearest blocks come first."""

    def check(self) -> None:
        """Raise InputError, naming what cannot be."""
        for layer in self.layers:
            if layer not in LAYERS:
                raise InputError(f"layer is {layer!r}, must be one of {', '.join(LAYERS)}")
        require_compression(self.compression)
        for name in ("since", "epoch", "max_bytes_per_s", "max_messages_per_s"):
            if not 0 <= getattr(self, name) <= LARGEST:  # neither NaN nor infinite
                raise InputError(f"{name} is {getattr(self, name)!s:.40}, must be 0 to {LARGEST}")
        if self.viewpoint is not None and (
            self.viewpoint.shape != (3,) or not np.isfinite(self.viewpoint).all()
        ):
            raise InputError("viewpoint must be three finite numbers")


class DeltaCache:
    """Deltas encoded once for all subscribers that need the same one."""

    def __init__(self) -> None:
        self._encoded: OrderedDict[Hashable, asyncio.Future[bytes]] = OrderedDict()

    async def get(self, key: Hashable, encode: Callable[[], bytes]) -> bytes:
        """The delta of `key`; `encode` makes it in a thread if no one has."""
        found = self._encoded.get(key)
        if found is None:
            loop = asyncio.get_running_loop()
            found = self._encoded[key] = loop.run_in_executor(None, encode)
            if len(self._encoded) > CACHED_DELTAS:
                self._encoded.popitem(last=False)
        return await asyncio.shield(found)


class Pace:
    """When the next message may go: at the cap on messages, and after the cap on bytes.

    Subscribers with the same cap on messages are let go at the same instants, so that they need
    the same deltas.
    """

    def __init__(self, subscription: Subscription) -> None:
        self._subscription = subscription
        self._free_at_s = 0.0

    def sent(self, size_bytes: int, now_s: float) -> None:
        """Account for a message."""
        cap = self._subscription.max_bytes_per_s
        if cap:
            self._free_at_s = max(self._free_at_s, now_s) + size_bytes / cap

    def wait_s(self, now_s: float) -> float:
        """How long to wait before the next messages."""
        at_s = max(self._free_at_s, now_s)
        rate = self._subscription.max_messages_per_s
        if rate:
            at_s = math.ceil(at_s * rate) / rate
        return at_s - now_s


class Follower:
    """Sends one subscriber what it lacks, as fast as it takes it."""

    def __init__(
        self,
        session: Session,
        subscription: Subscription,
        cache: DeltaCache,
        metrics: Metrics,
        message_bytes: int,
    ) -> None:
        subscription.check()
        self._session = session
        self._wants = subscription
        self._cache = cache
        self._metrics = metrics
        self._message_bytes = message_bytes
        self._told_status = -1

    async def follow(self, send: Send) -> None:
        """Send deltas until cancelled, or until `send` raises.

        Raises SessionNotFound when the session is deleted.
        """
        hub, pace = self._session.hub, Pace(self._wants)
        cursor = hub.join(self._wants.since, self._wants.epoch)
        self._metrics.subscribers.inc()
        try:
            while True:
                if (delay_s := pace.wait_s(time.monotonic())) > 0:
                    await asyncio.sleep(delay_s)
                sent = 0
                for layer in LAYERS:
                    if layer in self._wants.layers:
                        sent += await self._send_layer(layer, cursor, send)
                pace.sent(sent, time.monotonic())
                if self._session.is_closed:
                    raise SessionNotFound(f"session {self._session.id} was deleted")
                if not sent:
                    await self._session.changed.wait()
        finally:
            hub.leave(cursor)
            self._metrics.subscribers.dec()

    async def _send_layer(self, layer: str, cursor: Cursor, send: Send) -> int:
        delta_of = {
            "mesh": self._mesh,
            "keyframes": self._keyframes,
            "trajectory": self._poses,
            "status": self._status,
        }
        delta = await delta_of[layer](cursor)
        if delta is None:
            return 0
        await send(delta)
        self._metrics.delta_bytes.labels(layer).inc(len(delta))
        return len(delta)

    def _head(self, complete_through: int, is_mesh: bool = False) -> DeltaHead:
        session, hub = self._session, self._session.hub
        return DeltaHead(
            session=session.id,
            epoch=hub.epoch,
            revision=hub.revision,
            complete_through=complete_through,
            voxel_size_m=session.voxel_size_m,
            map_hash=hub.map_hash,
            world=session.world,
            units=session.map_frame.units or "m",
            frame_index=session.newest_frame.index if is_mesh else None,
            capture_ns=session.newest_frame.capture_ns if is_mesh else None,
        )

    async def _mesh(self, cursor: Cursor) -> bytes | None:
        hub, viewpoint = self._session.hub, self._wants.viewpoint
        viewpoint_vox = None if viewpoint is None else viewpoint / self._session.voxel_size_m
        batch = hub.take(cursor, self._budget_bytes(), viewpoint_vox)
        if batch is None:
            return None
        rows, revisions = hub.columns(batch.slots), hub.revisions(batch.slots)
        head = self._head(batch.complete_through, is_mesh=True)

        def encode() -> bytes:
            self._metrics.encoded.labels("mesh").inc()
            return encode_mesh(rows, revisions, head, self._wants.compression)

        return await self._cache.get((batch.key, self._wants.compression), encode)

    def _budget_bytes(self) -> int:
        """A message's size: within half a second of the cap on bytes."""
        cap = self._wants.max_bytes_per_s
        return min(self._message_bytes, int(cap / 2)) if cap else self._message_bytes

    async def _keyframes(self, cursor: Cursor) -> bytes | None:
        batch = self._session.hub.take_keyframes(cursor)
        if batch is None:
            return None
        head = self._head(batch.complete_through)

        def encode() -> bytes:
            self._metrics.encoded.labels("keyframes").inc()
            return encode_keyframes(batch.rows, head, self._wants.compression)

        return await self._cache.get((batch.key, self._wants.compression), encode)

    async def _poses(self, cursor: Cursor) -> bytes | None:
        batch = self._session.hub.take_poses(cursor)
        if batch is None:
            return None
        head = self._head(batch.complete_through)

        def encode() -> bytes:
            self._metrics.encoded.labels("trajectory").inc()
            return encode_trajectory(batch.rows, head, self._wants.compression)

        return await self._cache.get((batch.key, self._wants.compression), encode)

    async def _status(self, cursor: Cursor) -> bytes | None:
        version = self._session.status_version
        if version == self._told_status:
            return None
        self._told_status = version
        complete_through = self._session.hub.complete_through(cursor, self._wants.layers)
        status, head = self._session.status(), self._head(complete_through)

        def encode() -> bytes:
            self._metrics.encoded.labels("status").inc()
            return encode_status(status, head, "none")  # one short row

        return await self._cache.get(("status", version, head.epoch, complete_through), encode)
