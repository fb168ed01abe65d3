"""A subscriber that stops reading: what it costs the server, and whether it catches up."""

import socket
import time
from contextlib import ExitStack
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit

from websockets.sync.client import connect

from mapcast_client import Map
from mapcast_client.delta import decode

_RECEIVE_BUFFER_BYTES = 1 << 16


class StalledReader:
    """A WebSocket subscriber of the mesh that takes what fits small buffers, then nothing."""

    def __init__(self, http_url: str, session: str) -> None:
        """Subscribe. Raises OSError when the server cannot be reached."""
        host = urlsplit(http_url)
        plain = socket.socket()
        plain.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _RECEIVE_BUFFER_BYTES)
        plain.connect((host.hostname, host.port))
        self._open = ExitStack()
        connecting = connect(
            f"ws://{host.netloc}/v1/sessions/{session}/subscribe?layers=mesh",
            sock=plain,
            compression=None,
            max_size=None,
            max_queue=1,
            close_timeout=1,
            ping_interval=None,  # it would notice that nobody reads, and leave
        )
        self._connection = self._open.enter_context(connecting)

    def catches_up(self, map_hash: int, within_s: float = 30.0) -> bool:
        """Read again, and say whether its map comes to have this hash."""
        map_ = Map(["mesh"])
        give_up_s = time.monotonic() + within_s
        while map_.map_hash != map_hash:
            try:
                message = self._connection.recv(give_up_s - time.monotonic(), decode=False)
            except TimeoutError:
                return False
            map_.apply(decode(message))
        return True

    def close(self) -> None:
        """Leave."""
        self._open.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()
