"""A network that loses packets, on the way to the WebRTC receivers of this process."""

import random
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

_HANDLE = "_handle_rtp_packet"


@contextmanager
def losing_packets(share: float) -> Iterator[None]:
    """Lose a share of all RTP packets that come in, retransmissions among them; fixed seed."""
    from aiortc import RTCRtpReceiver

    handle, rng = getattr(RTCRtpReceiver, _HANDLE), random.Random(0)

    async def handle_some(receiver: Any, packet: Any, arrival_time_ms: int) -> None:
        if rng.random() >= share:
            await handle(receiver, packet, arrival_time_ms)

    setattr(RTCRtpReceiver, _HANDLE, handle_some)
    try:
        yield
    finally:
        setattr(RTCRtpReceiver, _HANDLE, handle)
